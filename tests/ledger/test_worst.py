"""The worst request of each verb: what it costs Redis is bounded by what it names, and none fails.

1,000 OrderItems, an Opportunity of 100 offers that draws on 8 pools, and 1,000 competing leases.
"""

from __future__ import annotations

import pytest

from service.ledger import Step
from service.ledger.scripts import ForgetKeys, load_scripts
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from tests.ledger.desk import CLASS, COURT, OFFER, SELLER, Desk, errors
from tests.ledger.test_cost import _commands

ITEMS = 1_000
POOLS = [f"https://example.com/pools/{number}" for number in range(8)]
OFFERS = [{"@id": OFFER, "price": 1, "priceCurrency": "GBP"}]
OFFERS += [{"@id": f"{OFFER}/{number}", "price": number} for number in range(1, 100)]
MANY = [f"https://example.com/{number}" for number in range(ITEMS)]

RESOURCES = 1 + len(POOLS)
"""What one space draws on."""


@pytest.fixture
async def desk(valkey_server):
    """Give a desk with a class that 1,000 others have leased, and its pools."""
    batcher = Batcher(connection_factory(valkey_server.url))
    await batcher.command("FLUSHALL")
    desk = Desk(batcher)
    for pool in POOLS:
        await desk.register(10 * ITEMS, pool, **{"@type": "CapacityPool"})
    await register(desk, ITEMS)
    for customer in range(ITEMS):
        await desk.quote(10_000 + customer, 1)
    yield desk
    await batcher.close()


async def register(desk: Desk, capacity: int) -> None:
    """Register the class, with as much as it can have."""
    pools = [{"@id": pool, "spaces": 1} for pool in POOLS]
    await desk.register(capacity, offers=OFFERS, capacityPools=pools)


async def test_what_each_verb_costs_at_most(desk):
    """No verb sends Redis more than some commands for each resource, whatever is named of it."""
    costs = {}

    async def cost(verb, call):
        costs[verb] = await _commands(desk, call)

    await cost("C1, refused", desk.quote(1, ITEMS))
    await cost("B, refused", refused(desk.book(1, ITEMS)))
    await cost("P, refused", refused(desk.propose(1, ITEMS)))
    await cost("register", register(desk, 9 * ITEMS))
    await cost("C1", desk.quote(1, ITEMS))
    await cost("C2", desk.quote(1, ITEMS, Step.NAMED))
    await cost("release", desk.release(1))
    await desk.quote(2, ITEMS)
    await cost("B", desk.book(2, ITEMS))
    await cost("B again", desk.book(2, ITEMS))
    await cost("cancel", desk.cancel(2, *range(ITEMS)))
    await cost("delete", desk.ledger.delete(desk.key(2)))
    await cost("P", desk.propose(3, ITEMS))
    await cost("accepted", desk.decide(3, "SellerAccepted"))
    await cost("B of a proposal", desk.book_proposed(3))
    await desk.propose(4, ITEMS)
    await cost("rejected", desk.decide(4, "SellerRejected"))
    await cost("inspect", desk.ledger.inspect(SELLER, [CLASS]))
    await cost("withdraw", desk.ledger.withdraw(SELLER, [CLASS]))
    assert max(costs.values()) <= 12 * RESOURCES, costs


async def test_an_order_of_as_many_opportunities(desk):
    """1,000 Opportunities cost 1,000 times as much as one, and no list is too long for Redis."""
    for id_ in MANY:
        await desk.register(5, id_)
    ask = [(id_, OFFER) for id_ in MANY]
    for verb, call in (
        ("C1", desk.quote(1, ask)),
        ("C2", desk.quote(1, ask, Step.NAMED)),
        ("B", desk.book(1, ask)),
        ("cancel", desk.cancel(1, *range(ITEMS))),
        ("delete", desk.ledger.delete(desk.key(1))),
        ("P", desk.propose(2, ask)),
        ("rejected", desk.decide(2, "SellerRejected")),
        ("C1 again", desk.quote(3, ask)),
        ("release", desk.release(3)),
        ("inspect", desk.ledger.inspect(SELLER, MANY)),
    ):
        assert await _commands(desk, call) <= 12 * ITEMS, verb
    assert await desk.spaces(MANY[0]) == (0, 0, 5)


async def test_offers_that_change_each_time_do_not_pile_up(desk):
    """Rule 13: however often offers change, those that leases were promised stay, no others."""
    await desk.register(5, COURT, offers=OFFERS)
    await desk.quote(1, [(COURT, OFFER)])
    key = await opportunity_of(desk, COURT)
    for turn in range(90):
        offers = [{"@id": f"{OFFER}/{turn}/{number}", "price": 2} for number in range(100)]
        await desk.register(5, COURT, offers=offers)
        if turn == 40:
            await desk.quote(2, [(COURT, f"{OFFER}/40/7")])
    assert await desk.batcher.command("HLEN", key) < 330
    for customer, offer, price in (
        (1, OFFER, 1),
        (2, f"{OFFER}/40/7", 2),
        (3, f"{OFFER}/89/1", 2),
    ):
        quoted = await desk.quote(customer, [(COURT, offer)], Step.NAMED)
        assert errors(quoted.body.ordered_item) == [""]
        assert quoted.body.ordered_item[0].accepted_offer.price == price
    assert errors((await desk.quote(4, [(COURT, f"{OFFER}/40/8")])).body.ordered_item) != [""]
    await desk.release(1)
    await desk.release(2)
    await desk.release(3)
    await desk.register(5, COURT, offers=OFFERS)
    assert await desk.batcher.command("HLEN", key) < 120


async def test_an_offer_that_came_back_is_not_forgotten(desk):
    """What is on sale again may be leased again, and then goes only with that lease."""
    await desk.register(5, COURT, offers=OFFERS)
    await desk.quote(1, [(COURT, f"{OFFER}/1")])
    key = await opportunity_of(desk, COURT)
    for offers in (OFFERS[:50], OFFERS, OFFERS[:50]):
        await desk.register(5, COURT, offers=offers)
    node = desk.batcher
    before = await node.command("HLEN", key)
    assert await node.command("HGET", key, "returned") == b"50"
    script = load_scripts()["forget"]
    assert await node.call(script, ForgetKeys(key), ("0", f"{OFFER}/60")) == 0
    assert await node.call(script, ForgetKeys(key), ("50", f"{OFFER}/60", OFFER)) == 1
    assert await node.command("HLEN", key) == before - 1


async def opportunity_of(desk: Desk, id_: str) -> str:
    """Return the key of an Opportunity."""
    for key in await desk.raw_keys("*:opp:*"):
        if await desk.batcher.command("HGET", key, "id") == id_.encode():
            return key
    raise LookupError(id_)


async def refused(call) -> None:
    """Make a call that is refused."""
    with pytest.raises(Exception, match=r"(?i)spaces"):
        await call
