"""An evening on which everybody wants the same few classes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from typing import Final

from aiohttp import ClientSession, ClientTimeout

from service.client import LeaseService, OrderName
from service.errors import OpenBookingError
from service.model import OpportunityRegistration, OrderItemRequest

SELLER: Final = "https://example.com/api/organisations/123"
CLASSES: Final = [f"https://example.com/events/{number}" for number in range(12)]
CUSTOMERS: Final = 40


class Evening:
    """Customers who come, choose, wait, book, cancel or forget about it."""

    def __init__(self, url: str, *, seconds: float, capacity: int) -> None:
        """Prepare it; the same Customers come to every evening.

        Args:
            url: Of the service.
            seconds: How long it lasts.
            capacity: Spaces of each class; of few, many are refused.

        """
        self._url = url
        self._capacity = capacity
        self._until = time.monotonic() + seconds
        self._chance = random.Random(20)  # noqa: S311 - a rehearsal, no secret

    async def pass_by(self) -> None:
        """Let it pass."""
        async with LeaseService.connect(self._url) as service:
            done = await service.register(
                OpportunityRegistration(
                    id=id_,
                    type="ScheduledSession",
                    seller=SELLER,
                    maximum_attendee_capacity=self._capacity,
                )
                for id_ in CLASSES
            )
            assert done.registered == len(CLASSES)
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(self._listen())
                customers = [group.create_task(self._customer(service)) for _ in range(CUSTOMERS)]
                await asyncio.gather(*customers)
                listening.cancel()

    async def _listen(self) -> None:
        timeout = ClientTimeout(total=None)
        async with (
            ClientSession(timeout=timeout) as session,
            session.get(f"{self._url}/capacity-events") as response,
        ):
            async for _ in response.content:
                pass

    async def _customer(self, service: LeaseService) -> None:
        while time.monotonic() < self._until:
            await self._sleep(0.5)
            with contextlib.suppress(OpenBookingError):
                await self._order(service)

    async def _order(self, service: LeaseService) -> None:
        chance = self._chance
        order = OrderName(SELLER, "acme", str(uuid.UUID(int=chance.getrandbits(128))))
        wanted = chance.choices(CLASSES, range(len(CLASSES), 0, -1), k=chance.choice((1, 1, 2, 3)))
        items = [OrderItemRequest(ordered_item=id_, accepted_offer="adult") for id_ in wanted]
        await service.quote_template(order, items)
        await self._sleep(0.5)
        if chance.random() < 0.2:
            await service.quote_template(order, items)
        if chance.random() < 0.2:
            await service.release(order)
        elif chance.random() < 0.6:
            await service.quote(order, items)
            await self._sleep(0.5)
            if chance.random() < 0.15:
                await service.propose(order, items)
            await service.book(order, items)
            if chance.random() < 0.8:
                await self._sleep(2)
                await service.delete(order)

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(self._chance.expovariate(1 / seconds))
