"""Whatever breaks while customers buy, what they were answered stays true.

Each test lets customers buy from the real program over real HTTP, breaks something, and lets them
go on. Then it looks at every Order and every ledger, and holds all answers against the contract:
no space is sold twice, and nothing that was answered is lost. `lease-service verify` has the last
word.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final, NamedTuple, Self
from uuid import UUID

import aiohttp
import pytest

from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from tests.faults.ordeal import SETTINGS, shopping
from tests.faults.proxy import Mischief, Proxy
from tests.model.linear import NEVER
from tests.polling import eventually
from tests.process.program import ITEMS, OPPORTUNITY, Program
from tests.servers import RedisServer, redis_binary, valkey_binary

PAUSE_SECONDS: Final = 3.0
INCIDENTS: Final = 10


class Kept(NamedTuple):
    """A server that has on disk what it has answered, and what the service asks of it."""

    server: RedisServer
    durability: str


@pytest.fixture(params=["valkey", "redis"])
def kept(request: pytest.FixtureRequest, short_folder: Path) -> Iterator[Kept]:
    """Give each kind of server in turn; Redis 7.0 cannot confirm what is on its disk."""
    is_valkey = request.param == "valkey"
    binary = valkey_binary() if is_valkey else redis_binary()
    if binary is None:
        pytest.skip("redis-server is not on the PATH")
    with RedisServer(binary, short_folder, appendonly="yes", appendfsync="always") as server:
        yield Kept(server, "disk" if is_valkey else "memory")


@pytest.fixture
def valkey(short_folder: Path) -> Iterator[RedisServer]:
    """Give a Valkey of the test's own."""
    with RedisServer(valkey_binary(), short_folder) as server:
        yield server


@pytest.fixture
def faketime() -> str:
    """Give the library that tells a program another time; Debian's package is faketime."""
    found = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]
    if not found:
        pytest.skip("faketime is not installed")
    return str(found[0])


class Service:
    """The program, which a test may kill and start again at the same address."""

    def __init__(self, folder: Path, redis_url: str, **settings: str) -> None:
        self._settings = {"LEASE_REDIS_URL": redis_url, **SETTINGS, **settings}
        self._folder = folder
        self._running = ExitStack()
        self.program: Program

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop it."""
        await asyncio.to_thread(self._running.close)

    async def start(self) -> None:
        """Start it, and return when it listens."""
        program = Program(self._folder, **self._settings)
        self.program = await asyncio.to_thread(self._running.enter_context, program)
        self._settings["LEASE_LISTEN"] = self.program.url.removeprefix("http://")

    async def kill(self) -> None:
        """Kill it, workers and all: left alone, those would finish what is in flight."""
        os.killpg(self.program.process.pid, signal.SIGKILL)
        await asyncio.to_thread(self.program.wait)


async def test_a_killed_server_has_every_answered_booking(kept: Kept, short_folder: Path) -> None:
    """Rules 8 and 21: Redis killed and started again with its append-only file has all of it."""
    async with (
        Service(short_folder, kept.server.url, LEASE_DURABILITY=kept.durability) as service,
        shopping(service.program.url, kept.server.url),
    ):
        await asyncio.to_thread(kept.server.kill)
        await asyncio.to_thread(kept.server.start)


async def test_a_server_that_pauses_is_waited_for(valkey: RedisServer, short_folder: Path) -> None:
    """Rule 25: while Redis hangs for 3 s calls have no known outcome, and repeated they settle."""
    async with Service(short_folder, valkey.url) as service:
        async with shopping(service.program.url, valkey.url) as history:
            valkey.pause()
            await asyncio.sleep(PAUSE_SECONDS)
            valkey.resume()
        assert any(event.end == NEVER for event in history.events)


async def test_a_server_that_forgets_its_scripts_is_told_them(
    valkey: RedisServer, short_folder: Path
) -> None:
    """Rule 25: SCRIPT FLUSH while all are buying is noticed by none."""
    batcher = Batcher(connection_factory(valkey.url))
    async with Service(short_folder, valkey.url) as service:
        async with shopping(service.program.url, valkey.url) as history:
            for _ in range(50):
                await batcher.command("SCRIPT", "FLUSH")
        assert not history.unchanged
    await batcher.close()


async def test_a_full_server_changes_nothing(valkey: RedisServer, short_folder: Path) -> None:
    """Rule 25: without memory Redis refuses (`noeviction`), nothing is half done or evicted."""
    batcher = Batcher(connection_factory(valkey.url))
    async with (
        Service(short_folder, valkey.url) as service,
        shopping(service.program.url, valkey.url) as history,
    ):
        await batcher.command("CONFIG", "SET", "maxmemory", 1)

        async def is_felt() -> bool:
            return history.unchanged > 100

        await eventually(is_felt)
        await batcher.command("CONFIG", "SET", "maxmemory", 0)
    await batcher.close()


@pytest.mark.parametrize(
    "mischief",
    [
        Mischief.CUT_BEFORE_SENDING,
        Mischief.CUT_AFTER_SENDING,
        Mischief.CUT_IN_THE_ANSWER,
        Mischief.GARBLE_THE_ANSWER,
    ],
    ids=lambda mischief: mischief.name,
)
async def test_a_broken_connection_costs_nothing(
    mischief: Mischief, valkey: RedisServer, short_folder: Path
) -> None:
    """Rule 25: connections that break before or after sending, or in an answer, lose nothing."""
    async with (
        Proxy(Path(valkey.socket), short_folder / "proxy.sock") as proxy,
        Service(short_folder, proxy.url) as service,
        shopping(service.program.url, valkey.url),
    ):
        proxy.mischief = mischief

        async def is_enough() -> bool:
            return proxy.incidents >= INCIDENTS

        await eventually(is_enough)
        proxy.mischief = None


async def test_a_killed_service_goes_on_where_it_was(
    valkey: RedisServer, short_folder: Path
) -> None:
    """Rule 8: SIGKILL while all are buying, and started again the service knows everything."""
    async with (
        Service(short_folder, valkey.url, LEASE_WORKERS="2") as service,
        shopping(service.program.url, valkey.url),
    ):
        await service.kill()
        await service.start()


async def test_a_killed_worker_takes_no_booking_along(
    valkey: RedisServer, short_folder: Path
) -> None:
    """Rule 8: one of two workers killed while both serve loses nothing that was answered."""
    async with (
        Service(short_folder, valkey.url, LEASE_WORKERS="2") as service,
        shopping(service.program.url, valkey.url),
    ):
        victim = service.program.events("worker.listening")[0]["pid"]
        os.kill(victim, signal.SIGKILL)

        async def is_replaced() -> bool:
            return len(service.program.events("worker.listening")) == 3

        await eventually(is_replaced)


@pytest.mark.parametrize(
    ("mischief", "replayed"),
    [(Mischief.HOLD_THE_CALL, None), (Mischief.HOLD_THE_ANSWER, "true")],
    ids=["before it is booked", "when it is booked"],
)
async def test_a_service_killed_in_the_middle_of_b_books_once(
    mischief: Mischief, replayed: str | None, valkey: RedisServer, short_folder: Path
) -> None:
    """Rules 8 and 17: B that a SIGKILL cut off is repeated, and is one booking either way."""
    proxy = Proxy(Path(valkey.socket), short_folder / "proxy.sock")
    async with proxy, Service(short_folder, proxy.url) as service, aiohttp.ClientSession() as http:
        url = service.program.url
        entry = {"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 3}
        await http.put(f"{url}/opportunities", json=[entry])
        # Redis knows the script from another booking.
        assert (await http.put(f"{url}/orders/{UUID(int=2)}", json=ITEMS)).status == 201
        proxy.every, proxy.about, proxy.mischief = 1, str(UUID(int=1)).encode(), mischief
        booking = asyncio.ensure_future(http.put(f"{url}/orders/{UUID(int=1)}", json=ITEMS))

        async def is_under_way() -> bool:
            return proxy.incidents > 0

        await eventually(is_under_way)
        await service.kill()
        with pytest.raises(aiohttp.ClientError):
            await booking

        proxy.mischief = None
        await service.start()
        repeated = await http.put(f"{url}/orders/{UUID(int=1)}", json=ITEMS)
        assert repeated.status == 201
        assert repeated.headers.get("Idempotency-Replayed") == replayed
        [ledger] = await (await http.get(f"{url}/opportunities?id={OPPORTUNITY}")).json()
        assert ledger["booked"] == 2


@pytest.mark.parametrize("offset_hours", [1, -1])
async def test_no_host_clock_decides(
    offset_hours: int, faketime: str, valkey: RedisServer, short_folder: Path
) -> None:
    """Rule 11: a service whose clock is an hour off leases and lets expire by Redis's clock."""
    fake = {"FAKETIME": f"{offset_hours:+}h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    async with (
        Service(short_folder, valkey.url, LD_PRELOAD=faketime, **fake) as service,
        shopping(service.program.url, valkey.url),
        aiohttp.ClientSession() as http,
    ):
        answer = await http.get(f"{service.program.url}/livez")
        ahead = parsedate_to_datetime(answer.headers["Date"]) - datetime.now(UTC)
        assert round(ahead / timedelta(hours=1)) == offset_hours
