"""Very many leases on one Opportunity, made by way of the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from service.ledger import OrderKey, Step
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from tests.ledger.desk import Desk, order_request
from tests.servers import RedisServer

# Ids of 80 characters: a front-end's are about that long.
OPPORTUNITY = "https://example.com/session-series/".ljust(80, "4")
OFFER = "https://example.com/offers/".ljust(80, "8")
SELLER = "https://example.com/organisations/".ljust(80, "1")
REQUEST = order_request([(OPPORTUNITY, OFFER)])

CALLERS = 64
HOLD_SECONDS = 900
FIRST_NEW = 10**12
PATIENCE_SECONDS = 60.0


def key(number: int) -> OrderKey:
    """Return the name of a customer's Order; the UUIDs are spread like random ones."""
    return OrderKey(SELLER, "default", uuid(number))


def uuid(number: int) -> str:
    """Return a customer's UUID: always the same, and in no order."""
    digits = f"{(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


async def by_callers(
    call: Callable[[int], Awaitable[object]], numbers: Iterable[int], callers: int = CALLERS
) -> None:
    """Make a call for each number, so many at a time."""
    waiting = iter(numbers)

    async def caller() -> None:
        for number in waiting:
            await call(number)

    await asyncio.gather(*(caller() for _ in range(callers)))


class Crowd:
    """One Opportunity on a server, and those who lease a space of it."""

    def __init__(self, batcher: Batcher) -> None:
        self.desk = self.desk_of(batcher, HOLD_SECONDS)
        self._next = FIRST_NEW

    @staticmethod
    def desk_of(batcher: Batcher, seconds: int) -> Desk:
        """Return a desk whose C1 leases for so long."""
        return Desk(batcher, anonymous_seconds=seconds, maximum_hold_seconds=7_200)

    async def register(self) -> None:
        """Register the Opportunity with room for everyone."""
        offer = {"@type": "Offer", "@id": OFFER, "price": 10, "priceCurrency": "GBP"}
        await self.desk.register(10**8, OPPORTUNITY, seller=SELLER, offers=[offer])

    async def quote(self, number: int) -> None:
        """C1 of a customer."""
        quoted = await self.desk.ledger.quote(key(number), Step.ANONYMOUS, REQUEST)
        assert not quoted.refused

    def new_numbers(self, count: int) -> range:
        """Return customers who have not called before."""
        self._next += count
        return range(self._next - count, self._next)


@asynccontextmanager
async def crowd_on(server: RedisServer) -> AsyncIterator[Crowd]:
    """Give a crowd on an empty server, with the Opportunity registered."""
    batcher = Batcher(connection_factory(server.url), deadline_seconds=PATIENCE_SECONDS)
    crowd = Crowd(batcher)
    await crowd.register()
    yield crowd
    await batcher.close()
