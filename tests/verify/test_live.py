"""Beside a live service nothing that is right is called wrong, nor mended."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import count
from typing import Final

import pytest

from service.errors import OpenBookingError
from service.ledger import Step
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from tests.ledger.desk import OFFER, SELLER, Desk
from tests.ledger.follow import sweeper_of
from tests.verify.looking import Look, look

HALL: Final = "https://example.com/halls/1"
IDS: Final = [f"https://example.com/classes/{number}" for number in range(6)]
LOOKS: Final = 4
CALLERS: Final = 12


@pytest.fixture
async def busy_desk(redis_url: str) -> AsyncIterator[Desk]:
    """Give a desk whose leases last a second."""
    batcher = Batcher(connection_factory(redis_url))
    await batcher.command("FLUSHALL")
    yield Desk(batcher, anonymous_seconds=1, named_seconds=1, proposal_seconds=2)
    await batcher.close()


class Crowd:
    """Callers who do everything that can be done, as fast as they can."""

    def __init__(self, desk: Desk, ways: Sequence[int]) -> None:
        """Let them all call at one desk, in these of the ways."""
        self._desk = desk
        self._ways = ways
        self._customers: Iterator[int] = count(1)
        self._random = random.Random(4)  # noqa: S311 - which call comes next is no secret
        self.calls = 0

    async def call(self) -> None:
        """Make one customer's calls."""
        desk, customer = self._desk, next(self._customers)
        basket = [(id_, OFFER) for id_ in self._random.choices(IDS, k=self._random.randint(1, 3))]
        for way in self._random.sample(self._ways, k=4):
            with contextlib.suppress(OpenBookingError):
                await self._do(desk, way, customer, basket)
            self.calls += 1

    async def _do(
        self, desk: Desk, way: int, customer: int, basket: list[tuple[str, str]]
    ) -> None:
        match way:
            case 0:
                await desk.quote(customer, basket)
            case 1:
                await desk.quote(customer, basket[:1], Step.NAMED)
            case 2:
                await desk.propose(customer, basket)
                await desk.decide(
                    customer, self._random.choice(["Seller", "Customer"]) + "Rejected"
                )
            case 3 | 4:
                await desk.book(customer, basket)
                await desk.cancel(customer, 0)
            case 5:
                await desk.book(customer, basket)
            case 6:
                await desk.book(customer, basket)
                await desk.ledger.delete(desk.key(customer))
            case 7:
                await desk.quote(customer, basket)
                await desk.release(customer)
            case 8:
                await desk.quote(customer, basket)
                await desk.pay(customer, 2)
                if self._random.random() < 0.1:
                    await desk.ledger.withdraw(SELLER, [IDS[0]])
                    await desk.register(5, IDS[0])

    async def run(self) -> None:
        """Call until cancelled."""
        while True:
            await self.call()


@contextlib.asynccontextmanager
async def crowded(desk: Desk, ways: Sequence[int] = range(9)) -> AsyncIterator[Crowd]:
    """Let a crowd call, and a sweeper sweep, for as long as the context lasts."""
    await desk.register(2000, HALL, **{"@type": "CapacityPool"})
    for number, id_ in enumerate(IDS):
        pools = [{"@id": HALL, "spaces": number}] if number > 3 else None
        await desk.register(5 if number < 2 else 500, id_, capacityPools=pools)
    crowd = Crowd(desk, ways)
    tasks = [asyncio.create_task(crowd.run()) for _ in range(CALLERS)]
    tasks.append(asyncio.create_task(sweeper_of(desk).run()))
    try:
        yield crowd
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(one) for one in ended} == {asyncio.CancelledError}, ended


def wrong(found: Look) -> list[str]:
    """Return what is said to be wrong; that something could not be judged is no such thing."""
    return [line for line in found.lines if "not judged" not in line]


async def test_nothing_is_called_wrong_while_everything_changes(busy_desk, monkeypatch):
    """However much is leased, booked, cancelled, deleted and lapses meanwhile: no difference."""
    monkeypatch.setattr("service.verify.checking._PAUSE_SECONDS", 0.1)
    async with crowded(busy_desk) as crowd:
        for number in range(LOOKS):
            calls = crowd.calls
            found = await look(busy_desk, repair=number % 2 == 0, holds_limit=2)
            assert wrong(found) == []
            assert crowd.calls > calls
    assert (await look(busy_desk)).lines == []


async def test_damage_is_mended_while_everything_changes(busy_desk, monkeypatch):
    """What is wrong is mended by as much as it is wrong, though it changes all the time."""
    monkeypatch.setattr("service.verify.checking._PAUSE_SECONDS", 0.1)
    # Where somebody cancels or deletes in every round, nothing can be said of what is booked.
    async with crowded(busy_desk, [0, 1, 2, 5, 7, 8]):
        keys = busy_desk.store.orders._keys
        partition = keys.seller(SELLER).partition
        for id_ in (IDS[2], HALL):
            key = partition.opportunity(keys.ref(SELLER, id_))
            await busy_desk.batcher.command("HINCRBY", key, "booked", 3)
            await busy_desk.batcher.command("HINCRBY", key, "leased", -2)
        said: list[str] = []
        while sum(line.startswith(("booked of", "leased of")) for line in said) < 4:
            said += wrong(await look(busy_desk, repair=True))
        assert len(said) == 4
        assert all(line.endswith("; mended\n") for line in said)
    assert (await look(busy_desk)).lines == []
