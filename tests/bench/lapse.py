"""How soon very many leases that end in the same second are in the feed, and who waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

import aiohttp
import msgspec

from service.ledger import Step
from service.store.batcher import Batcher
from service.store.connect import connection_factory
from service.store.keys import Keys
from tests.bench.crowd import (
    OFFER,
    OPPORTUNITY,
    PATIENCE_SECONDS,
    SELLER,
    Crowd,
    by_callers,
    key,
    uuid,
)
from tests.bench.report import Findings, Table, progress
from tests.bench.stage import Stage
from tests.process.program import Program
from tests.servers import RedisServer
from tests.store.desk import order_request

ITEM = {"@type": "OrderItem", "position": 0, "acceptedOffer": OFFER, "orderedItem": OPPORTUNITY}
BODY = msgspec.json.encode({"@type": "OrderQuote", "seller": SELLER, "orderedItem": [ITEM]})

FILL_SECONDS = 60
QUIET_SECONDS = 3.0
CALLERS = 16
GIVE_UP_SECONDS = 60.0
_QUEUE_SECONDS = 0.3
METHOD = (
    "One worker with its sweeper; leases of one Seller that all end in the same second; meanwhile"
    f" {CALLERS} connections call C1 on another Opportunity over HTTP without a pause. Seconds"
    " from that instant until the last Opportunity has moved in the feed and none is due any more;"
    f" p99 of C1 in the {QUIET_SECONDS:.0f} seconds before it, and until then. One measurement"
    " each."
)


class Shape(NamedTuple):
    """How the leases lie."""

    opportunities: int
    leases_each: int


def measure(stage: Stage) -> Findings:
    """Measure with a tenth of the leases there may be, in three shapes."""
    count = stage.largest // 10
    rows = []
    for shape in (Shape(1, count), Shape(count // 100, 100), Shape(count, 1)):
        progress(f"{shape.opportunities:,} × {shape.leases_each:,} leases that lapse")
        with (
            stage.folder() as folder,
            stage.redis(folder) as server,
            Program(folder, LEASE_REDIS_URL=server.url) as program,
        ):
            rows.append(asyncio.run(_row(server, program.url, shape)))
    columns = (
        "Opportunities × leases",
        "all in the feed after s",
        "p99 before ms",
        "p99 during ms",
    )
    headline = f"{count:,} leases on as many Opportunities are in the feed {rows[-1][1]} s after"
    return Findings(headline, [Table("Leases that lapse together", METHOD, columns, rows)])


async def _row(server: RedisServer, url: str, shape: Shape) -> Sequence[str]:
    batcher = Batcher(connection_factory(server.url), deadline_seconds=PATIENCE_SECONDS)
    crowd = Crowd(batcher)
    await crowd.register()
    ids = [f"https://example.com/lapsing/{number}" for number in range(shape.opportunities)]
    await by_callers(lambda number: _register(crowd, ids[number]), range(len(ids)), callers=256)
    end = int(time.time()) + FILL_SECONDS
    await _lease_until(end, batcher, ids, shape)
    calls: list[tuple[float, float]] = []
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.sleep(end - QUIET_SECONDS - 1 - time.time())
        callers = [asyncio.create_task(_call(session, calls, one)) for one in range(CALLERS)]
        lapsed = await _all_in_feed(batcher, end, shape.opportunities)
        for caller in callers:
            caller.cancel()
    await batcher.close()
    before = [took for began, took in calls if end - QUIET_SECONDS <= began < end - took]
    during = [took for began, took in calls if end - took <= began < lapsed]
    return (
        f"{shape.opportunities:,} × {shape.leases_each:,}",
        f"{lapsed - end:.1f}",
        f"{_p99(before):.1f}",
        f"{_p99(during):.1f}",
    )


async def _register(crowd: Crowd, id_: str) -> None:
    await crowd.desk.register(10**6, id_, seller=SELLER)


async def _lease_until(end: int, batcher: Batcher, ids: Sequence[str], shape: Shape) -> None:
    """Lease so that everything ends at one second."""
    desks = [Crowd.desk_of(batcher, seconds) for seconds in range(1, FILL_SECONDS + 2)]

    async def lease(number: int) -> None:
        while (left := end - time.time()) % 1.0 < _QUEUE_SECONDS:
            # It would reach Redis when a second later has begun, and end a second later.
            await asyncio.sleep(left % 1.0 + 0.001)
        assert left > QUIET_SECONDS + 2, "the leases took too long to make: raise FILL_SECONDS"
        request = order_request([(ids[number % len(ids)], OFFER)])
        await desks[int(left) - 1].ledger.quote(key(number), Step.ANONYMOUS, request)

    await by_callers(lease, range(shape.opportunities * shape.leases_each), callers=512)


async def _call(
    session: aiohttp.ClientSession, calls: list[tuple[float, float]], caller: int
) -> None:
    """C1 without a pause, of a customer of its own; note when each began and how long it took."""
    with contextlib.suppress(asyncio.CancelledError):
        headers = {"Content-Type": "application/json"}
        path = f"/order-quote-templates/{uuid(10**9 + caller)}"
        while True:
            began = time.time()
            async with session.put(path, data=BODY, headers=headers) as response:
                await response.read()
                assert response.status == 200
            calls.append((began, time.time() - began))


async def _all_in_feed(batcher: Batcher, end: int, opportunities: int) -> float:
    """Return when so many Opportunities have moved in the feed, and nothing is due any more."""
    partition = Keys("lease", 64).seller(SELLER).partition
    give_up = end + GIVE_UP_SECONDS
    while time.time() < give_up:
        moved, due = await asyncio.gather(
            batcher.command("ZCOUNT", partition.feed, end * 1_000_000, "+inf"),
            batcher.command("ZCOUNT", partition.due, "-inf", end),
        )
        if moved >= opportunities and not due:
            return time.time()
        await asyncio.sleep(0.05)
    raise TimeoutError(f"not all of {opportunities} are in the feed after {GIVE_UP_SECONDS:.0f} s")


def _p99(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98] * 1e3
