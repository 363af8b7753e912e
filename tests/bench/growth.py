"""What a C1 costs, and a lease weighs, however many leases there are on one Opportunity."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from tests.bench.callers import microseconds_per_c1
from tests.bench.crowd import HOLD_SECONDS, ROUND, Cost, Crowd, crowd_on
from tests.bench.report import Table, progress
from tests.process.program import Program
from tests.servers import RedisServer

FEW = 100
ROUNDS = 7

COLUMNS = ("live leases", "script µs", "at 100", "ratio", "ledger call µs", "at 100", "ratio")
METHOD = (
    f"Two servers side by side, one with {FEW} live leases on one Opportunity, one with as many as"
    f" the row says; C1 for one space on new UUIDs, 64 callers, medians of {ROUNDS} alternating"
    f" rounds of {ROUND:,} calls. *Script* is the server's own figure (`INFO commandstats`),"
    " *ledger call* the wall-clock time per call of one Python process without HTTP."
)
HTTP_METHOD = (
    "The same two servers, each behind one worker of the service: C1 over 64 HTTP connections,"
    f" medians of {ROUNDS} alternating rounds of {ROUND:,} calls; client, worker and server share"
    " the machine."
)


class Pair(NamedTuple):
    """The server with few leases and the one with many."""

    few: tuple[RedisServer, Crowd]
    many: tuple[RedisServer, Crowd]


async def measure(name: str, binary: str, folder: Path, largest: int) -> list[Table]:
    """Measure on one kind of server.

    Args:
        name: How the tables call it.
        binary: Its path.
        folder: An empty one.
        largest: How many leases there are at the end.

    """
    async with _pair(binary, folder) as pair:
        crowd = pair.many[1]
        rows = []
        for size in _sizes(largest):
            progress(f"{name}: {size:,} leases")
            weight = await _bytes_per_lease(crowd, size)
            rows.append(await _row(size, pair))
        progress(f"{name}: C1 over HTTP")
        over_http = await _over_http(pair, folder)
    return [
        Table(f"C1 as leases grow, {name}", METHOD, COLUMNS, rows),
        Table(
            f"C1 over HTTP, {name}",
            HTTP_METHOD,
            (f"µs at {FEW}", f"µs at {largest:,}", "ratio"),
            [over_http],
        ),
        Table(
            f"Memory per lease, {name}",
            "`used_memory` over the last row's leases, one item each; ids have 80 characters.",
            ("what", "bytes"),
            [("a lease", f"{weight:,.0f}")],
        ),
    ]


@contextlib.asynccontextmanager
async def _pair(binary: str, folder: Path) -> AsyncIterator[Pair]:
    async with contextlib.AsyncExitStack() as resources:
        sides = []
        for side in ("few", "many"):
            (folder / side).mkdir()
            server = resources.enter_context(RedisServer(binary, folder / side))
            sides.append((server, await resources.enter_async_context(crowd_on(server))))
        await sides[0][1].fill(FEW)
        yield Pair(*sides)


def _sizes(largest: int) -> list[int]:
    sizes = [FEW]
    while sizes[-1] < largest:
        sizes.append(min(sizes[-1] * 10, largest))
    return sizes


async def _bytes_per_lease(crowd: Crowd, size: int) -> float:
    """Fill, and return what each lease that was added weighs."""
    before, memory = crowd.size, await crowd.used_memory()
    await crowd.fill(size)
    return (await crowd.used_memory() - memory) / (size - before)


async def _row(size: int, pair: Pair) -> list[str]:
    few: list[Cost] = []
    many: list[Cost] = []
    for _ in range(ROUNDS):
        few.append(await pair.few[1].cost())
        many.append(await pair.many[1].cost())
    script = _compared([cost.script for cost in few], [cost.script for cost in many])
    call = _compared([cost.call for cost in few], [cost.call for cost in many])
    return [f"{size:,}", script[1], script[0], script[2], call[1], call[0], call[2]]


async def _over_http(pair: Pair, folder: Path) -> list[str]:
    costs: tuple[list[float], list[float]] = ([], [])
    with contextlib.ExitStack() as programs:
        urls = [
            programs.enter_context(
                Program(
                    folder,
                    LEASE_REDIS_URL=server.url,
                    LEASE_ANONYMOUS_SECONDS=str(HOLD_SECONDS),
                )
            ).url
            for server, _ in pair
        ]
        for _ in range(ROUNDS):
            for url, (_, crowd), measured in zip(urls, pair, costs, strict=True):
                customers = crowd.new_numbers(ROUND)
                measured.append(await microseconds_per_c1(url, customers))
                await crowd.release(customers)
    return _compared(*costs)


def _compared(few: list[float], many: list[float]) -> list[str]:
    """Return both medians and their ratio."""
    low, high = statistics.median(few), statistics.median(many)
    return [f"{low:.1f}", f"{high:.1f}", f"{high / low:.2f}"]
