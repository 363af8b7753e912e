"""Customers who all want the same class, over HTTP, and an observer of its ledger."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID

import aiohttp

CLASS = "https://example.com/events/452/subEvents/132"
OFFER = "https://example.com/events/452#/offers/878"
CONNECTIONS = 200


class Answer(NamedTuple):
    """What the service answered."""

    status: int
    headers: Any
    body: Any

    @property
    def errors(self) -> set[str]:
        """The types of the errors of its OrderItems."""
        items = (self.body or {}).get("orderedItem", [])
        return {error["@type"] for item in items for error in item.get("error", [])}


class Spaces(NamedTuple):
    """The ledger of the class at one moment."""

    booked: int
    leased: int
    remaining: int


class Reception:
    """The calls of the contract for one class, over many connections."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def register(self, capacity: int) -> None:
        """Register the class."""
        entry = {
            "@type": "ScheduledSession",
            "@id": CLASS,
            "maximumAttendeeCapacity": capacity,
        }
        answer = await self._call("PUT", "/opportunities", [entry])
        assert answer.body["registered"] == 1

    async def c1(self, customer: int, spaces: int = 1) -> Answer:
        """Ask for an anonymous lease."""
        return await self._order("PUT", "order-quote-templates", customer, spaces)

    async def c2(self, customer: int, spaces: int = 1) -> Answer:
        """Ask for a named lease."""
        return await self._order("PUT", "order-quotes", customer, spaces)

    async def b(self, customer: int, spaces: int = 1) -> Answer:
        """Ask for a booking."""
        return await self._order("PUT", "orders", customer, spaces)

    async def release(self, customer: int) -> Answer:
        """Give back what is leased."""
        return await self._order("DELETE", "order-quotes", customer)

    async def has_lease(self, customer: int) -> bool:
        """Tell whether the customer's lease is live."""
        return (await self._order("GET", "order-quotes", customer)).status == 200

    async def spaces(self) -> Spaces:
        """Look at the ledger."""
        [found] = (await self._call("GET", f"/opportunities?id={CLASS}")).body
        return Spaces(found["booked"], found["leased"], found["remainingAttendeeCapacity"])

    async def _order(self, method: str, kind: str, customer: int, spaces: int = 0) -> Answer:
        item = {"orderedItem": CLASS, "acceptedOffer": OFFER}
        body = {"orderedItem": [item] * spaces} if spaces else None
        return await self._call(method, f"/{kind}/{UUID(int=customer + 1)}", body)

    async def _call(self, method: str, path: str, body: object = None) -> Answer:
        async with self._session.request(method, path, json=body) as response:
            content = await response.read()
            answer = await response.json(content_type=None) if content else None
            return Answer(response.status, response.headers, answer)


@contextlib.asynccontextmanager
async def reception(url: str, connections: int = CONNECTIONS) -> AsyncIterator[Reception]:
    """Give the way to a service over many connections."""
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        yield Reception(session)


@contextlib.asynccontextmanager
async def observed(url: str, capacity: int) -> AsyncIterator[list[Spaces]]:
    """Look at the ledger without a pause while the block runs; end it when a look is wrong.

    Args:
        url: The service.
        capacity: Of the class.

    Yields:
        What was seen so far.

    """
    seen = [Spaces(booked=0, leased=0, remaining=capacity)]

    async def look() -> None:
        # A connection of its own: it does not queue behind the customers.
        async with reception(url, connections=1) as desk:
            while True:
                spaces = await desk.spaces()
                assert sum(spaces) == capacity
                assert min(spaces) >= 0
                assert spaces.booked >= seen[-1].booked
                seen.append(spaces)

    async with asyncio.TaskGroup() as group:
        looking = group.create_task(look())
        yield seen
        looking.cancel()
