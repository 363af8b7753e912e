from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import redis

from tests.process.program import ITEMS, OPPORTUNITY, ROOT, Program, connect, eventually, run
from tests.servers import RedisServer, redis_binary, valkey_binary

JSON = "application/json"
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


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest, short_folder: Path) -> Iterator[RedisServer]:
    """Give a server of each kind in turn, with a user that may do all that the service needs."""
    binary = valkey_binary() if request.param == "valkey" else redis_binary()
    if binary is None:
        pytest.skip("redis-server is not on the PATH")
    folder = short_folder / "redis"
    folder.mkdir()
    with RedisServer(binary, folder) as server:
        ask(server, "ACL", "SETUSER", "lease", *USER.split(" "))
        yield server


def ask(server: RedisServer, *words: str) -> object:
    """Return what the server answers its operator."""
    with redis.Redis(unix_socket_path=str(server.socket), protocol=2) as client:
        return client.execute_command(*words)


def url_of_user(server: RedisServer) -> str:
    """Return what the service is given."""
    return server.url.replace("unix://", "unix://lease:secret@")


@pytest.mark.parametrize("name", ["zadd", "hset", "eval", "evalsha", "info", "time"])
def test_a_missing_right_is_named_at_the_start(
    short_folder: Path, server: RedisServer, name: str
) -> None:
    """Rule 25: a user that lacks a right ends the program with one line that names it."""
    ask(server, "ACL", "SETUSER", "lease", f"-{name}")
    ended = run(short_folder, LEASE_REDIS_URL=url_of_user(server))
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert f" +{name} " in ended.stderr


@pytest.mark.parametrize(
    ("change", "named", "remedy"),
    [
        (
            ("ACL", "SETUSER", "lease", "-zadd"),
            "+zadd",
            ("ACL", "SETUSER", "lease", "+zadd"),
        ),
        (
            ("ACL", "SETUSER", "lease", "-evalsha"),
            "+evalsha",
            ("ACL", "SETUSER", "lease", "+evalsha"),
        ),
        (
            ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"),
            "set it to noeviction",
            ("CONFIG", "SET", "maxmemory-policy", "noeviction"),
        ),
    ],
)
def test_what_the_operator_changes_is_said_until_it_is_mended(
    short_folder: Path,
    server: RedisServer,
    change: Sequence[str],
    named: str,
    remedy: Sequence[str],
) -> None:
    """Rule 25: a 503 of the call's own type says what to set; set, the service works again."""
    with Program(short_folder, LEASE_REDIS_URL=url_of_user(server)) as program:
        entry = {"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 3}
        assert program.call("PUT", "/opportunities", [entry]).status == 200
        ask(server, *change)
        if change[0] == "CONFIG":
            ask(server, "CLIENT", "KILL", "TYPE", "normal")
        path = f"/order-quotes/{uuid.uuid4()}"
        with contextlib.closing(connect(program.url)) as connection:
            connection.request("PUT", path, json.dumps(ITEMS), {"Content-Type": JSON})
            response = connection.getresponse()
            error = json.loads(response.read())
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        assert error["@type"] == "TemporarilyUnableToProduceOrderQuoteError"
        assert named in error["description"]
        assert program.answers("/livez", 200)
        eventually(lambda: named in str(program.events("redis.unusable")))

        ask(server, *remedy)
        eventually(lambda: program.call("PUT", path, ITEMS).status == 200)
        assert program.call("PUT", f"/orders/{uuid.uuid4()}", ITEMS).status == 201
        eventually(lambda: bool(program.events("redis.usable_again")))
        assert program.stop() == 0


def test_the_threat_model_has_that_user() -> None:
    """The document shows the user that the service was tried with."""
    shown = (ROOT / "docs" / "threat-model.md").read_text()
    assert f"ACL SETUSER lease {USER.replace('secret', 'PASSWORD')}" in shown
