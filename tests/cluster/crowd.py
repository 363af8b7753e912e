"""Customers who book as fast as they can, and a count of what they were answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from service.errors import OpenBookingError
from service.ledger import OrderKey, Step
from service.redis.nodes import Nodes
from tests.ledger.desk import CLASS, OFFER, Desk, order_request
from tests.polling import eventually
from tests.verify.looking import look

CUSTOMERS = 12
PAUSE_SECONDS = 0.01
CAPACITIES = {f"https://example.com/sellers/{n}": 20 if n % 2 else 5000 for n in range(12)}
"""Spaces by Seller: enough Sellers that each node has some; half of them soon sell out."""


class Crowd:
    """Customers of several Sellers, who lease and book whether or not there is anything left."""

    def __init__(self, nodes: Nodes) -> None:
        """Let them loose on these nodes."""
        self._desk = Desk(nodes)
        self._orders = 0
        # By Seller: calls of B that were answered 201, that were answered, that are under way.
        self._booked = Counter[str]()
        self._answered = Counter[str]()
        self._open = Counter[str]()
        self._wrong: list[OpenBookingError] = []

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Have them book before, while and after something happens; then count."""
        for seller, capacity in CAPACITIES.items():
            await self._desk.register(capacity, seller=seller)
        customers = [asyncio.create_task(self._book_for_ever()) for _ in range(CUSTOMERS)]
        try:
            await self._books_everywhere()
            yield
            await self._books_everywhere()
        finally:
            for customer in customers:
                customer.cancel()
            await asyncio.gather(*customers, return_exceptions=True)
        await self._count()

    async def _books_everywhere(self) -> None:
        """Return when every Seller has answered more bookings than now."""
        before = self._answered.copy()

        async def answered_more() -> bool:
            return all(self._answered[seller] > before[seller] for seller in CAPACITIES)

        await eventually(answered_more)

    async def _count(self) -> None:
        """Fail if an answered booking is gone, or more was booked than there is or was asked."""
        assert not self._wrong
        for seller, capacity in CAPACITIES.items():
            [found] = await self._desk.ledger.inspect(seller, [CLASS])
            booked, unknown = self._booked[seller], self._open[seller]
            assert booked <= found.booked <= min(booked + unknown, capacity), seller
        assert (await look(self._desk)).lines == []

    async def _book_for_ever(self) -> None:
        while True:
            for seller in CAPACITIES:
                self._orders += 1
                await self._book(OrderKey(seller, "default", str(UUID(int=self._orders))))
                await asyncio.sleep(PAUSE_SECONDS)

    async def _book(self, key: OrderKey) -> None:
        """C2 and B, each repeated after a 503 until it is answered."""
        self._open[key.seller] += 1
        request = order_request([(CLASS, OFFER)])
        await self._repeat(lambda: self._desk.ledger.quote(key, Step.NAMED, request))
        booked = await self._repeat(lambda: self._desk.ledger.book(key, request))
        self._booked[key.seller] += booked
        self._answered[key.seller] += 1
        self._open[key.seller] -= 1

    async def _repeat(self, call) -> bool:
        """Make a call until it is answered; tell whether it succeeded."""
        while True:
            try:
                await call()
            except OpenBookingError as error:
                if error.status == 503:
                    await asyncio.sleep(PAUSE_SECONDS)
                    continue
                if error.status != 409:
                    self._wrong.append(error)
                return False
            return True
