"""`lease-service verify` as a program."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.redis.embedded import running_url
from tests.process.program import ITEMS, OPPORTUNITY, Program, run
from tests.topology import ClusterServers

ORDER = "/orders/11111111-1111-4111-8111-111111111111"
QUOTE = "/order-quotes/22222222-2222-4222-8222-222222222222"


@pytest.fixture
def program(short_folder: Path) -> Iterator[Program]:
    """Give the service with its own Valkey, a lease and an Order in it."""
    with Program(short_folder) as program:
        entry = {"@type": "ScheduledSession", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 5}
        assert program.call("PUT", "/opportunities", [entry]).status == 200
        assert program.call("PUT", QUOTE, ITEMS).status == 200
        assert program.call("PUT", ORDER, ITEMS).status == 201
        yield program


def damage(url: str) -> None:
    """Count one space too many as booked."""

    async def send() -> None:
        batcher = Batcher(connection_factory(url))
        [key] = await batcher.command("KEYS", "lease:*:opp:*")
        await batcher.command("HINCRBY", key, "booked", 1)
        await batcher.close()

    asyncio.run(send())


def row(table: str, title: str) -> list[str]:
    """Return the numbers of a row of the table."""
    [line] = [line for line in table.splitlines() if line.startswith(title)]
    return line.removeprefix(title).split()


def test_a_running_service_is_verified_and_mended(program: Program, short_folder: Path) -> None:
    """Beside the service: 0 where nothing differs, 1 where something does, mended or not."""
    clean = run(short_folder, "verify")
    assert (clean.returncode, row(clean.stdout, "holds and leases say the same")) == (
        0,
        ["1", "0", "0"],
    )
    assert clean.stdout.endswith("No difference.\n")
    assert "Orders …" in clean.stderr

    url = running_url(str(short_folder / "data"))
    assert url
    damage(url)
    said = f"booked of {OPPORTUNITY}: 2, should be 1"
    found = run(short_folder, "verify")
    assert found.returncode == 1
    assert found.stdout.startswith(f"{said}\n")
    assert row(found.stdout, "booked is what the Orders have booked") == ["1", "1", "0"]

    mended = run(short_folder, "verify", "--repair")
    assert mended.returncode == 1
    assert mended.stdout.startswith(f"{said}; mended\n")
    assert run(short_folder, "verify").returncode == 0
    ledger: Any = program.call("GET", f"/opportunities?id={OPPORTUNITY}").body
    assert (ledger[0]["booked"], ledger[0]["leased"]) == (1, 1)


def test_the_data_of_a_stopped_service_is_verified(program: Program, short_folder: Path) -> None:
    """Without a service its Valkey is started on the data, and stopped again."""
    assert program.stop() == 0
    assert running_url(str(short_folder / "data")) is None
    found = run(short_folder, "verify")
    assert (found.returncode, row(found.stdout, "every expiry is due")) == (0, ["1", "0", "0"])
    assert running_url(str(short_folder / "data")) is None


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"LEASE_DATA_DIR": ":memory:"}, "keeps nothing"),
        ({"LEASE_DATA_DIR": "nowhere"}, "There is no data in nowhere"),
        ({"LEASE_REDIS_URL": "unix:///nowhere.sock"}, "nowhere.sock"),
        ({"LEASE_REDIS_ULR": "unix:///nowhere.sock"}, "did you mean LEASE_REDIS_URL?"),
    ],
    ids=["no data is kept", "there is no data", "no server", "a misspelt setting"],
)
def test_what_cannot_be_verified_is_said(
    short_folder: Path, settings: dict[str, str], says: str
) -> None:
    """Where there is nothing to look at the exit code is 2, and a line says why."""
    refused = run(short_folder, "verify", **settings)
    assert refused.returncode == 2
    assert says in refused.stderr
    assert not (short_folder / "nowhere").exists()
    assert refused.stdout == ""


def test_a_cluster_is_verified_and_mended(short_folder: Path) -> None:
    """Every node of a cluster is looked at, and what is wrong on one of them is mended there."""
    entries = [
        {
            "@type": "ScheduledSession",
            "@id": OPPORTUNITY,
            "seller": f"https://example.com/sellers/{number}",
            "maximumAttendeeCapacity": 5,
        }
        for number in range(12)
    ]
    with ClusterServers(short_folder, replicas=False) as cluster:
        settings = {"LEASE_REDIS_URL": cluster.url}
        with Program(short_folder, **settings) as program:
            assert program.call("PUT", "/opportunities", entries).status == 200
            for entry in entries:
                basket = ITEMS | {"seller": entry["seller"]}
                assert program.call("PUT", QUOTE, basket).status == 200
                assert program.call("PUT", ORDER, basket).status == 201
        for member in cluster.primaries:
            key, *_ = member.ask("KEYS", "lease:*:opp:*")
            member.ask("HINCRBY", key, "booked", 1)
        mended = run(short_folder, "verify", "--repair", **settings)
        assert mended.returncode == 1, mended.stderr
        assert row(mended.stdout, "booked is what the Orders have booked") == ["12", "3", "3"]
        clean = run(short_folder, "verify", **settings)
    assert clean.returncode == 0
    assert row(clean.stdout, "holds and leases say the same") == ["12", "0", "0"]
