"""Whatever breaks while customers buy, what they were answered stays true.

Each test lets customers buy from the real program over real HTTP, breaks something, and lets them
go on. Then it looks at every Order and every ledger, and holds all answers against the contract:
no space is sold twice, and nothing that was answered is lost.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

import pytest

from service.store.batcher import Batcher
from service.store.connect import connection_factory
from tests.faults.ordeal import SETTINGS, shopping
from tests.faults.proxy import Mischief, Proxy
from tests.model.linear import NEVER
from tests.polling import eventually
from tests.process.program import Program
from tests.servers import RedisServer, redis_binary, valkey_binary

PAUSE_SECONDS: Final = 3.0
KEEPING: Final = {"appendonly": "yes", "appendfsync": "always"}
INCIDENTS: Final = 10


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest, short_folder: Path) -> Iterator[RedisServer]:
    """Give each kind of server in turn, which has on disk what it has answered."""
    binary = valkey_binary() if request.param == "valkey" else redis_binary()
    if binary is None:
        pytest.skip("redis-server is not on the PATH")
    with RedisServer(binary, short_folder, **KEEPING) as server:
        yield server


@pytest.fixture
def valkey(short_folder: Path) -> Iterator[RedisServer]:
    """Give a Valkey of the test's own."""
    with RedisServer(valkey_binary(), short_folder) as server:
        yield server


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
        """Kill it, workers and all."""
        self.program.process.kill()
        await asyncio.to_thread(self.program.wait)


async def test_a_killed_server_has_every_answered_booking(
    server: RedisServer, short_folder: Path
) -> None:
    """Rule 8: Redis killed and started again with its append-only file has all it answered."""
    async with (
        Service(short_folder, server.url) as service,
        shopping(service.program.url, server.url),
    ):
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)


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
    "mischief", [one for one in Mischief if one is not Mischief.HOLD_THE_ANSWER]
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
