"""What the call pays that comes first after very many leases have expired at once."""

from __future__ import annotations

import asyncio
import time

from bench.crowd import (
    OPPORTUNITY,
    PATIENCE_SECONDS,
    REQUEST,
    SELLER,
    Crowd,
    by_callers,
    crowd_on,
    key,
)
from bench.report import Findings, Table, progress
from bench.stage import Stage
from service.ledger import Step
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from tests.servers import RedisServer

FILL_SECONDS = 20
METHOD = (
    "Leases on one Opportunity that all end within a second or two, which nobody sweeps: the first"
    " C1 afterwards drops them all. One measurement: wall-clock time of that call and of the next."
)


def measure(stage: Stage) -> Findings:
    """Measure with a tenth of the leases there may be."""
    count = stage.largest // 10
    progress(f"{count:,} leases that expire together")
    with stage.folder() as folder, stage.redis(folder) as server:
        first, second = asyncio.run(_first_and_second(server, count))
    columns = ("expired leases", "first C1 ms", "next C1 ms")
    row = (f"{count:,}", f"{first:.1f}", f"{second:.2f}")
    headline = f"the first C1 after {count:,} leases expired takes {first:.0f} ms"
    return Findings(headline, [Table("Expiry of many leases at once", METHOD, columns, [row])])


async def _first_and_second(server: RedisServer, count: int) -> tuple[float, float]:
    """Return the milliseconds of the first C1 after so many leases expired, and of the next."""
    async with crowd_on(server) as crowd:
        batcher = Batcher(connection_factory(server.url), deadline_seconds=PATIENCE_SECONDS)
        await _lease_until_the_same_second(batcher, count)
        first, second = [await _milliseconds(crowd) for _ in range(2)]
        await batcher.close()
    return first, second


async def _lease_until_the_same_second(batcher: Batcher, count: int) -> None:
    """Fill, and return when all leases have ended."""
    end = time.time() + FILL_SECONDS
    desks = [Crowd.desk_of(batcher, seconds) for seconds in range(1, FILL_SECONDS + 1)]

    async def lease(number: int) -> None:
        seconds = max(1, round(end - time.time()))
        await desks[seconds - 1].ledger.orders.quote(key(number), Step.ANONYMOUS, REQUEST)

    await by_callers(lease, range(count), callers=512)
    [found] = await desks[0].ledger.catalogue.inspect(SELLER, [OPPORTUNITY])
    assert found.leased == count, "the leases took too long to make: raise FILL_SECONDS"
    await asyncio.sleep(end + 2 - time.time())


async def _milliseconds(crowd: Crowd) -> float:
    [customer] = crowd.new_numbers(1)
    began = time.perf_counter()
    await crowd.quote(customer)
    return (time.perf_counter() - began) * 1e3
