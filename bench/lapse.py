"""How soon very many leases that end in the same second are in the feed, and who waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from bench import wrk
from bench.crowd import (
    OFFER,
    OPPORTUNITY,
    PATIENCE_SECONDS,
    SELLER,
    Crowd,
    by_callers,
    key,
)
from bench.report import Findings, Goal, Table, progress
from bench.stage import Stage, new_crowd
from bench.traffic import http_request
from bench.wrk import Load
from service.ledger import Step
from service.ledger.keys import Keys
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from tests.ledger.desk import order_request
from tests.process.program import Program
from tests.servers import RedisServer

ITEM = {"@type": "OrderItem", "position": 0, "acceptedOffer": OFFER, "orderedItem": OPPORTUNITY}
QUOTE = {"@type": "OrderQuote", "seller": SELLER, "orderedItem": [ITEM]}
C1 = http_request(
    "PUT",
    "/order-quote-templates/@uuid@",
    msgspec.json.encode(QUOTE).decode(),
    Content_Type="application/json",
)

FILL_SECONDS = 60
QUIET_SECONDS = 3
AIM_SECONDS = 5
AIM_RATIO = 2.0
GIVE_UP_SECONDS = 60.0
_QUEUE_SECONDS = 0.3
METHOD = (
    "One worker with its sweeper; leases of one Seller that all end in the same second; meanwhile"
    f" wrk makes C1 calls on another Opportunity over {wrk.CONNECTIONS} connections. Seconds from"
    " that instant until the last Opportunity has moved in the feed and none is due any more; C1's"
    f" rate and p99 in {QUIET_SECONDS} seconds shortly before it, and in the {AIM_SECONDS} seconds"
    " after it. One measurement each."
)


class Shape(NamedTuple):
    """How the leases lie."""

    opportunities: int
    leases_each: int

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.opportunities:,} × {self.leases_each:,}"


class Lapse(NamedTuple):
    """What was measured."""

    shape: Shape
    seconds: float
    """Until all is in the feed."""
    before: Load
    after: Load

    @property
    def ratio(self) -> float:
        """How many times C1's p99 before it that after it is."""
        return self.after.p99_ms / self.before.p99_ms

    @property
    def goals(self) -> tuple[Goal, Goal]:
        """What was aimed at."""
        return (
            Goal.at_most(f"{self.shape}: in the feed after", AIM_SECONDS, self.seconds, " s"),
            Goal.at_most(
                f"{self.shape}: p99 of C1 in the {AIM_SECONDS} seconds after, by that before",
                AIM_RATIO,
                self.ratio,
            ),
        )

    @property
    def row(self) -> tuple[str, ...]:
        """Its line in the table."""
        loads = (self.before, self.after)
        rates = (f"{load.rate:,.0f}" for load in loads)
        p99s = (f"{load.p99_ms:.1f}" for load in loads)
        return (str(self.shape), f"{self.seconds:.1f}", *rates, *p99s)


def measure(stage: Stage) -> Findings:
    """Measure with a tenth of the leases there may be, in three shapes."""
    count = stage.largest // 10
    lapses = []
    for shape in (Shape(1, count), Shape(count // 100, 100), Shape(count, 1)):
        progress(f"{shape} leases that lapse")
        with (
            stage.folder() as folder,
            stage.redis(folder) as server,
            Program(folder, LEASE_REDIS_URL=server.url) as program,
        ):
            lapses.append(asyncio.run(_lapse(server, program.url, shape)))
    columns = (
        "Opportunities × leases",
        "all in the feed after s",
        "C1/s before",
        "after",
        "p99 before ms",
        "after ms",
    )
    last = lapses[-1]
    headline = (
        f"{count:,} leases on as many Opportunities are in the feed {last.seconds:.1f} s after,"
        f" p99 of C1 goes up {last.ratio:.1f} times"
    )
    table = Table("Leases that lapse together", METHOD, columns, [lapse.row for lapse in lapses])
    return Findings(headline, [table], [goal for lapse in lapses for goal in lapse.goals])


async def _lapse(server: RedisServer, url: str, shape: Shape) -> Lapse:
    batcher = Batcher(connection_factory(server.url), deadline_seconds=PATIENCE_SECONDS)
    crowd = Crowd(batcher)
    await crowd.register()
    ids = [f"https://example.com/lapsing/{number}" for number in range(shape.opportunities)]
    await by_callers(lambda number: _register(crowd, ids[number]), range(len(ids)), callers=256)
    end = int(time.time()) + FILL_SECONDS
    await _lease_until(end, batcher, ids, shape)
    await asyncio.sleep(end - QUIET_SECONDS - 1 - time.time())
    before = await asyncio.to_thread(wrk.load, url, C1, seconds=QUIET_SECONDS, first=new_crowd())
    await asyncio.sleep(end - time.time())
    calls = asyncio.create_task(
        asyncio.to_thread(wrk.load, url, C1, seconds=AIM_SECONDS, first=new_crowd())
    )
    told = await _all_in_feed(batcher, end, shape.opportunities)
    lapse = Lapse(shape, told - end, before, await calls)
    await batcher.close()
    return lapse


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
