from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.process.program import ITEMS, OPPORTUNITY, ROOT, Program
from tests.servers import RedisServer, redis_binary, valkey_binary

USER = (
    "on >secret ~lease:* resetchannels -@all +@read +@write +@scripting +@connection"
    " +info +config|get +time -flushall -flushdb"
)


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_a_user_of_its_own_keys_is_enough(short_folder: Path, kind: str) -> None:
    """The service needs its own keys, and no command that could harm those of others."""
    binary = valkey_binary() if kind == "valkey" else redis_binary()
    if binary is None:
        pytest.skip("redis-server is not on the PATH")
    folder = short_folder / "redis"
    folder.mkdir()
    acl = folder / "users.acl"
    acl.write_text(f"user default on >other ~* &* +@all\nuser lease {USER}\n")
    with RedisServer(binary, folder, aclfile=str(acl)) as server:
        url = server.url.replace("unix://", "unix://lease:secret@")
        with Program(short_folder, LEASE_REDIS_URL=url) as program:
            entry = {"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 3}
            assert program.call("PUT", "/opportunities", [entry]).status == 200
            order = uuid.uuid4()
            assert program.call("PUT", f"/order-quotes/{order}", ITEMS).status == 200
            assert program.call("PUT", f"/orders/{order}", ITEMS).status == 201
            assert program.call("DELETE", f"/orders/{order}").status == 204
            assert program.call("GET", "/capacity-feed").status == 200
            assert program.call("GET", "/dashboard/data/sellers").status == 200
            assert program.stop() == 0
            assert "NOPERM" not in program.output()


def test_the_threat_model_has_that_user() -> None:
    """The document shows the user that the service was tried with."""
    shown = (ROOT / "docs" / "threat-model.md").read_text()
    assert f"ACL SETUSER lease {USER.replace('secret', 'PASSWORD')}" in shown
