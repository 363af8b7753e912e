"""What a call costs does not depend on how many leases there are: counted in Redis commands."""

import re

import pytest

from service.ledger import Step
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from tests.ledger.desk import CLASS, OFFER, Desk


@pytest.fixture
async def counted_desk(valkey_server):
    """Give a desk on a server that counts commands, fakeredis does not."""
    batcher = Batcher(connection_factory(valkey_server.url))
    await batcher.command("FLUSHALL")
    yield Desk(batcher)
    await batcher.close()


async def test_a_call_sends_the_same_commands_whatever_is_leased(counted_desk):
    """C1, C2, B and release run as many Redis commands with 2,000 live leases as with 1."""
    desk = counted_desk
    await desk.register(10_000)
    await desk.quote(1, 1)
    alone = await _commands_of_journeys(desk, range(10, 40))
    for customer in range(1_000, 3_000):
        await desk.quote(customer, 1)
    assert await _commands_of_journeys(desk, range(40, 70)) == alone


async def test_cost_grows_with_the_items_and_not_with_their_product(counted_desk):
    """Twice the OrderItems of one Opportunity need no further Redis command."""
    desk = counted_desk
    await desk.register(1_000)
    await desk.quote(3, 1)
    assert await _commands(desk, desk.quote(1, 10)) == await _commands(desk, desk.quote(2, 500))


async def test_every_opportunity_adds_the_same_number_of_commands(counted_desk):
    """The commands of a call are a constant and a multiple of its Opportunities."""
    desk = counted_desk
    ids = [f"{CLASS}/{number}" for number in range(30)]
    for id_ in ids:
        await desk.register(5, id_)
    counts = [
        await _commands(desk, desk.quote(many, [(id_, OFFER) for id_ in ids[:many]]))
        for many in (10, 20, 30)
    ]
    again = [
        await _commands(desk, desk.quote(many, [(id_, OFFER) for id_ in ids[:many]], Step.NAMED))
        for many in (10, 20, 30)
    ]
    for ten, twenty, thirty in (counts, again):
        assert abs((twenty - ten) - (thirty - twenty)) <= 20


async def _commands_of_journeys(desk: Desk, customers: range) -> list[int]:
    """Return the least that each call cost: the first lease of a second sees to the others."""
    return [
        min(costs) for costs in zip(*[await _journey(desk, nth) for nth in customers], strict=True)
    ]


async def _journey(desk: Desk, customer: int) -> list[int]:
    other = customer + 1_000_000
    return [
        await _commands(desk, desk.quote(customer, 1)),
        await _commands(desk, desk.quote(customer, 1, Step.NAMED)),
        await _commands(desk, desk.book(customer, 1)),
        await _commands(desk, desk.quote(other, 1)),
        await _commands(desk, desk.release(other)),
    ]


async def _commands(desk: Desk, call) -> int:
    """Return how many commands the server ran for a call, those inside the script included."""
    await desk.batcher.command("CONFIG", "RESETSTAT")
    await call
    stats = await desk.batcher.command("INFO", "commandstats")
    return sum(map(int, re.findall(rb"calls=(\d+)", stats)))
