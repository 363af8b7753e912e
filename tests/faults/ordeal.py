"""Customers who go on buying while something breaks, and what they saw, held against the contract.

They do what `docs/protocol.md` tells a caller to do: whoever gets no answer, or a 503, repeats the
call until it is answered.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from tests.model.history import PATIENCE_SECONDS, History, RedisClock, monotonic
from tests.model.sequential import Answer, Call
from tests.polling import eventually
from tests.verify.looking import look

DURATIONS: Final = (1, 2)
SETTINGS: Final = {
    "LEASE_ANONYMOUS_SECONDS": str(DURATIONS[0]),
    "LEASE_NAMED_SECONDS": str(DURATIONS[1]),
}

_CLASSES: Final = {f"class-{number}": 5 for number in range(12)}
_CUSTOMERS: Final = 48
_ENOUGH: Final = 300
_PAUSE_SECONDS: Final = 0.05


class Regular:
    """One who comes back to the same class, with a new Order each time."""

    def __init__(self, history: History, number: int) -> None:
        self._history = history
        self._number = number
        self._class = [*_CLASSES][number % len(_CLASSES)]
        self._choose = random.Random(number)  # noqa: S311 - a game, no secret
        self._visits = 0
        self.answers = 0

    async def shop(self, stopping: asyncio.Event) -> None:
        """Come back until it is enough."""
        while not stopping.is_set():
            self._visits += 1
            await self._visit(str(1 + self._number + _CUSTOMERS * self._visits))

    async def _visit(self, order: str) -> None:
        """Lease, and book, release or forget it; most bookings are given back."""
        choose = self._choose
        basket = (self._class,) * choose.choice([1, 1, 2])
        await self._insist(Call("C1", order, basket))
        if choose.random() < 0.3:
            await self._insist(Call("C2", order, basket))
        way = choose.random()
        if way < 0.1:
            await self._insist(Call("release", order))
        elif way < 0.9:
            booked = await self._insist(Call("B", order, basket))
            if booked.status == 201 and choose.random() < 0.8:
                await self._insist(Call(choose.choice(["delete", "delete", "cancel"]), order))
        if choose.random() < 0.3:
            await self._insist(Call("inspect", basket=(self._class,)))

    async def _insist(self, call: Call) -> Answer:
        """Make a call, again until it is answered."""
        await asyncio.sleep(self._choose.uniform(0, _PAUSE_SECONDS))
        while True:
            answer = await self._history.call(call, patience_seconds=PATIENCE_SECONDS)
            if answer is not None:
                self.answers += 1
                return answer
            await asyncio.sleep(_PAUSE_SECONDS)


@asynccontextmanager
async def shopping(url: str, redis_url: str, seller: str = "default") -> AsyncIterator[History]:
    """Let customers buy before, during and after the block; then check what all of them saw.

    Args:
        url: The service, where it listens all the time or again.
        redis_url: Its Redis, without anything in between.
        seller: Nobody else's.

    Yields:
        The history, at a moment when everything is under way.

    Raises:
        Violation: It is not linearizable.
        Inconclusive: Nobody knows.

    """
    batcher = Batcher(connection_factory(redis_url), deadline_seconds=PATIENCE_SECONDS)
    slots = asyncio.Semaphore(_CUSTOMERS)
    connector = aiohttp.TCPConnector(limit=_CUSTOMERS)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        history = History(session, slots, RedisClock(batcher), seller)
        await history.begin(_CLASSES)
        regulars = [Regular(history, number) for number in range(_CUSTOMERS)]
        stopping = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for regular in regulars:
                group.create_task(regular.shop(stopping))
            try:
                await eventually(_answered(regulars, _ENOUGH))
                begin = monotonic()
                yield history
                await eventually(
                    _answered(regulars, sum(one.answers for one in regulars) + _ENOUGH)
                )
                history.doubt(begin, monotonic())
            finally:
                stopping.set()
        await history.end()
    found = await look(batcher)
    await batcher.close()
    history.check(DURATIONS)
    assert found.lines == []


def _answered(regulars: list[Regular], enough: int) -> Callable[[], Awaitable[bool]]:
    async def is_enough() -> bool:
        return sum(regular.answers for regular in regulars) >= enough

    return is_enough
