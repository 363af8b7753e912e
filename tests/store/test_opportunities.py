"""Many Opportunities at once, their holds, and the counts of what was refused."""

from __future__ import annotations

import pytest

from service.ledger import Step
from service.ledger.dashboard import Conflicts
from service.ledger.keys import Keys
from service.ledger.opportunities import Opportunities, OpportunityRow, _shares
from service.redis.batcher import Batcher
from tests.polling import eventually
from tests.store.desk import CLASS, COURT, OFFER, SELLER, Desk, order_request

OTHER_SELLER = "https://example.com/api/organisations/124"
POOL = "https://example.com/pools/lifeguards"
PARTITIONS = 64


@pytest.fixture
def opportunities(desk: Desk) -> Opportunities:
    """Give what reads the desk's ledger."""
    return Opportunities(desk.batcher, desk.ledger.scripts.keys)


def spaces(rows: list[OpportunityRow]) -> dict[str, tuple[int, ...]]:
    """Return capacity, booked, anonymous, named, proposed and free spaces by Opportunity."""
    return {row.id: tuple(row[3:]) for row in rows}


async def test_a_window_shows_where_the_spaces_are(
    desk: Desk, opportunities: Opportunities
) -> None:
    """Spaces are told apart: booked, and leased by the kind of lease."""
    await desk.register(20)
    await desk.register(4, COURT, seller=OTHER_SELLER)
    await desk.book(1, 5)
    await desk.quote(2, 3)
    await desk.quote(3, 2, Step.NAMED)
    await desk.ledger.orders.propose(desk.key(4), order_request(1))
    _, rows, total = await opportunities.latest(100)
    assert spaces(rows) == {CLASS: (20, 5, 3, 2, 1, 9), COURT: (4, 0, 0, 0, 0, 4)}
    assert {row.seller for row in rows} == {SELLER, OTHER_SELLER}
    assert total == 2


async def test_a_window_leaves_out_what_was_withdrawn(
    desk: Desk, opportunities: Opportunities
) -> None:
    """A withdrawn Opportunity is in the feed still, but not in the window."""
    await desk.register(20)
    await desk.register(4, COURT)
    await desk.ledger.catalogue.withdraw(SELLER, [CLASS])
    _, rows, total = await opportunities.latest(100)
    assert [row.id for row in rows] == [COURT]
    assert total == 1


async def test_a_window_is_bounded_and_has_the_latest(
    desk: Desk, opportunities: Opportunities
) -> None:
    """Of many Opportunities those that changed last are shown, and how many there are."""
    for number in range(10):
        await desk.register(5, f"{CLASS}/{number}")
    await desk.quote(1, [(f"{CLASS}/3", OFFER)])
    _, rows, total = await opportunities.latest(3)
    assert {row.id for row in rows} == {f"{CLASS}/{number}" for number in (3, 8, 9)}
    assert total == 10


async def test_a_pool_limits_what_is_free(desk: Desk, opportunities: Opportunities) -> None:
    """Rule 28: what is free of an Opportunity is no more than its pools have left."""
    await desk.register(7, POOL, **{"@type": "CapacityPool"})
    await desk.register(20, capacityPools=[{"@id": POOL, "spaces": 2}])
    await desk.quote(1, 1)
    assert spaces((await opportunities.latest(10))[1]) == {CLASS: (20, 0, 1, 0, 0, 2)}
    [pool] = await opportunities.find([SELLER], POOL)
    assert (pool.anonymous, pool.free) == (2, 5)


@pytest.mark.parametrize(
    ("counts", "limit", "shares"),
    [
        ([3, 0, 2], 10, [3, 0, 2]),
        ([100, 1, 100], 21, [10, 1, 10]),
        ([100, 100], 5, [3, 2]),
        ([], 5, []),
    ],
)
def test_a_limit_is_shared_evenly(counts: list[int], limit: int, shares: list[int]) -> None:
    """Who has less than an even share leaves the rest to the others."""
    assert sorted(_shares(counts, limit)) == sorted(shares)
    assert all(share <= count for share, count in zip(_shares(counts, limit), counts, strict=True))


async def test_what_has_expired_does_not_count(batcher: Batcher) -> None:
    """Rule 12: a lease that has expired holds nothing, though no sweeper has run."""
    desk = Desk(batcher, anonymous_seconds=1)
    opportunities = Opportunities(batcher, Keys("lease", PARTITIONS))
    await desk.register(20)
    await desk.quote(1, 3)
    await desk.quote(2, 2, Step.NAMED)
    assert spaces((await opportunities.latest(10))[1]) == {CLASS: (20, 0, 3, 2, 0, 15)}

    async def lapsed() -> bool:
        return spaces((await opportunities.latest(10))[1]) == {CLASS: (20, 0, 0, 2, 0, 18)}

    await eventually(lapsed)
    _, _, leases, count = await opportunities.opportunity(SELLER, CLASS, 10)
    assert [(lease.kind, lease.spaces) for lease in leases] == [("named", 2)]
    assert count == 1
    assert [lease.kind for lease in (await opportunities.lapsing(10))[1]] == ["named"]


async def test_an_opportunity_has_its_holds(desk: Desk, opportunities: Opportunities) -> None:
    """The holds of an Opportunity come with their kind and Order, the first to expire first."""
    await desk.register(20)
    await desk.quote(1, 3, Step.NAMED)
    await desk.quote(2, 2)
    now, row, leases, _ = await opportunities.opportunity(SELLER, CLASS, 10)
    assert row is not None
    assert [(lease.kind, lease.spaces, lease.order[-1]) for lease in leases] == [
        ("anonymous", 2, "2"),
        ("named", 3, "1"),
    ]
    assert {lease.partner for lease in leases} == {"default"}
    assert leases[0].expires > now
    _, _, first, count = await opportunities.opportunity(SELLER, CLASS, 1)
    assert (len(first), count) == (1, 2)


async def test_an_unknown_opportunity_has_no_row(desk: Desk, opportunities: Opportunities) -> None:
    """What is not registered is not there, and is not found by its id either."""
    assert (await opportunities.opportunity(SELLER, CLASS, 10))[1] is None
    assert await opportunities.find([SELLER], CLASS) == []
    await desk.register(20)
    assert [row.id for row in await opportunities.find([SELLER, OTHER_SELLER], CLASS)] == [CLASS]


async def test_what_lapses_next_comes_first(desk: Desk, opportunities: Opportunities) -> None:
    """Over all Sellers and Opportunities, the holds that expire next are listed."""
    await desk.register(20)
    await desk.register(5, COURT, seller=OTHER_SELLER)
    await desk.quote(1, 1, Step.NAMED)
    await desk.ledger.orders.quote(
        desk.key(2, seller=OTHER_SELLER), Step.ANONYMOUS, order_request([(COURT, OFFER)] * 2)
    )
    _, lapsing = await opportunities.lapsing(10)
    assert [(lease.seller, lease.opportunity) for lease in lapsing] == [
        (OTHER_SELLER, COURT),
        (SELLER, CLASS),
    ]
    assert len((await opportunities.lapsing(1))[1]) == 1


async def test_conflicts_add_up_over_processes(batcher: Batcher) -> None:
    """Every process writes what it has counted, and all of them read the sum."""
    counters = [Conflicts(batcher, "lease") for _ in range(2)]
    assert await counters[0].last_hour() == [0] * 60
    for counter in counters:
        counter.add(2)
        await counter.flush()
        await counter.flush()
    counters[0].add(1)
    await counters[0].flush()
    assert sum((await counters[1].last_hour())[-2:]) == 5


async def test_conflicts_are_forgotten_after_a_while(batcher: Batcher) -> None:
    """The counts of a minute expire by themselves."""
    counter = Conflicts(batcher, "lease")
    counter.add(1)
    await counter.flush()
    [key] = await batcher.command("KEYS", "lease:conflicts:*")
    assert 3600 < await batcher.command("TTL", key) <= 7200
