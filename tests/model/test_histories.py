"""What the real program answers to many callers at once, held against the contract."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from hypothesis import settings

from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from tests.conftest import make_short_folder
from tests.model.crowd import rush
from tests.model.history import PATIENCE_SECONDS, History, RedisClock
from tests.model.linear import Inconclusive, Violation
from tests.process.program import ROOT, Program, run
from tests.servers import RedisServer

AT_ONCE: Final = 10
ROUNDS: Final = {"short": 5, "long": 100}
CONNECTIONS: Final = 100
FEW_STATES: Final = 3_000
"""Enough to find most of what is broken."""
DURATIONS: Final = (1, 2)
SETTINGS: Final = {
    "LEASE_KEY_PREFIX": "histories",
    "LEASE_WORKERS": "2",
    "LEASE_ANONYMOUS_SECONDS": str(DURATIONS[0]),
    "LEASE_NAMED_SECONDS": str(DURATIONS[1]),
}

BROKEN: Final = {
    "others' leases count for nothing": (
        "shared/availability.lua",
        "group.others = group.leased - group.had",
        "group.others = 0",
    ),
    "what expired holds on": (
        "shared/opportunity.lua",
        "'ZRANGEBYSCORE', group.holds_key, '-inf', now,",
        "'ZRANGEBYSCORE', group.holds_key, '-inf', now - 2,",
    ),
    "a booking counts for nothing": (
        "book.lua",
        "count_booked(groups, group, group.pools, group.wanted)",
        "count_booked(groups, group, group.pools, 0)",
    ),
}


@pytest.fixture
def program(short_folder: Path, valkey_server: RedisServer) -> Iterator[Program]:
    """Give the real program: two workers, and leases that expire while one looks on."""
    with Program(short_folder, LEASE_REDIS_URL=valkey_server.url, **SETTINGS) as program:
        yield program


async def record(program: Program, redis_url: str, seeds: range) -> list[History]:
    """Let a crowd rush in for each seed, all at once and each to a Seller of its own."""
    batcher = Batcher(connection_factory(redis_url), deadline_seconds=PATIENCE_SECONDS)
    slots = asyncio.Semaphore(CONNECTIONS)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    try:
        async with aiohttp.ClientSession(program.url, connector=connector) as session:
            histories = [
                History(session, slots, RedisClock(batcher), f"https://example.com/sellers/{seed}")
                for seed in seeds
            ]
            await asyncio.gather(*map(rush, histories, seeds))
    finally:
        await batcher.close()
    return histories


@pytest.mark.timeout(0)
async def test_every_history_is_linearizable(
    program: Program,
    valkey_server: RedisServer,
    short_folder: Path,
    count: Callable[..., None],
) -> None:
    """Rules 1–12, 15–17 and 20: what 50 callers are answered at once, some order explains."""
    is_long = settings.get_current_profile_name() == "long"
    for number in range(ROUNDS["long" if is_long else "short"]):
        seeds = range(number * AT_ONCE, (number + 1) * AT_ONCE)
        for history in await record(program, valkey_server.url, seeds):
            history.check(DURATIONS)
            count("histories were found linearizable")
            count("calls were in histories that were found linearizable", len(history.events))
    stored = {"LEASE_REDIS_URL": valkey_server.url, **SETTINGS}
    verified = await asyncio.to_thread(run, short_folder, "verify", **stored)
    assert verified.returncode == 0, verified.stdout


# What a busy machine may need: `make model` runs for an hour or two beside other work.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", BROKEN)
async def test_a_broken_service_is_found_out(fault: str, valkey_server: RedisServer) -> None:
    """A service whose script was broken on purpose has histories that are not linearizable."""
    with make_short_folder() as folder:
        for part in ("service", "lua"):
            shutil.copytree(ROOT / part, Path(folder) / part)
        name, whole, broken = BROKEN[fault]
        script = Path(folder) / "lua" / name
        text = script.read_text()
        assert text.count(whole) == 1
        script.write_text(text.replace(whole, broken))
        prefix = f"broken-{[*BROKEN].index(fault)}"
        changes = {"LEASE_REDIS_URL": valkey_server.url, "LEASE_KEY_PREFIX": prefix}
        with Program(Path(folder), PYTHONPATH=folder, **SETTINGS | changes) as program:
            histories = await record(program, valkey_server.url, range(AT_ONCE))
    assert any(map(is_found_out, histories))


def is_found_out(history: History) -> bool:
    """Tell whether a history is surely not linearizable."""
    try:
        history.check(DURATIONS, most_states=FEW_STATES)
    except Violation:
        return True
    except Inconclusive:
        return False
    return False
