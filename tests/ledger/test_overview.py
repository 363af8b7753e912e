"""Many Opportunities at once, their holds, and the counts of what was refused."""

from __future__ import annotations

import pytest

from service.ledger import Step
from service.ledger.conflicts import Conflicts
from service.ledger.dashboard_reads import Overview, Window, _shares
from service.ledger.keys import Keys
from service.ledger.statistics import Censuses
from service.redis.batcher import Batcher
from tests.ledger.desk import CLASS, COURT, OFFER, SELLER, Desk, order_request
from tests.polling import eventually

OTHER_SELLER = "https://example.com/api/organisations/124"
POOL = "https://example.com/pools/lifeguards"
PARTITIONS = 64


@pytest.fixture
def overview(desk: Desk) -> Overview:
    """Give what reads the desk's ledger."""
    return Overview(
        desk.batcher, key_prefix=desk.settings.key_prefix, partitions=desk.settings.partitions
    )


def spaces(window: Window) -> dict[str, tuple[int, ...]]:
    """Return capacity, booked, anonymous, named, proposed and free spaces by Opportunity."""
    return {row.id: tuple(row[3:]) for row in window.rows}


async def test_a_window_shows_where_the_spaces_are(desk: Desk, overview: Overview) -> None:
    """Spaces are told apart: booked, and leased by the kind of lease."""
    await desk.register(20)
    await desk.register(4, COURT, seller=OTHER_SELLER)
    await desk.book(1, 5)
    await desk.quote(2, 3)
    await desk.quote(3, 2, Step.NAMED)
    await desk.ledger.propose(desk.key(4), order_request(1))
    window = await overview.window(100)
    assert spaces(window) == {CLASS: (20, 5, 3, 2, 1, 9), COURT: (4, 0, 0, 0, 0, 4)}
    assert {row.seller for row in window.rows} == {SELLER, OTHER_SELLER}
    assert window.total == 2


async def test_a_window_leaves_out_what_was_withdrawn(desk: Desk, overview: Overview) -> None:
    """A withdrawn Opportunity is in the feed still, but not in the window."""
    await desk.register(20)
    await desk.register(4, COURT)
    await desk.ledger.withdraw(SELLER, [CLASS])
    window = await overview.window(100)
    assert [row.id for row in window.rows] == [COURT]
    assert window.total == 1


async def test_a_window_is_bounded_and_has_the_latest(desk: Desk, overview: Overview) -> None:
    """Of many Opportunities those that changed last are shown, and how many there are."""
    for number in range(10):
        await desk.register(5, f"{CLASS}/{number}")
    await desk.quote(1, [(f"{CLASS}/3", OFFER)])
    window = await overview.window(3)
    assert {row.id for row in window.rows} == {f"{CLASS}/{number}" for number in (3, 8, 9)}
    assert window.total == 10


async def test_a_pool_limits_what_is_free(desk: Desk, overview: Overview) -> None:
    """Rule 28: what is free of an Opportunity is no more than its pools have left."""
    await desk.register(7, POOL, **{"@type": "CapacityPool"})
    await desk.register(20, capacityPools=[{"@id": POOL, "spaces": 2}])
    await desk.quote(1, 1)
    assert spaces(await overview.window(10)) == {CLASS: (20, 0, 1, 0, 0, 2)}
    [pool] = await overview.find([SELLER], POOL)
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
    overview = Overview(batcher, key_prefix="lease", partitions=PARTITIONS)
    await desk.register(20)
    await desk.quote(1, 3)
    await desk.quote(2, 2, Step.NAMED)
    assert spaces(await overview.window(10)) == {CLASS: (20, 0, 3, 2, 0, 15)}

    async def lapsed() -> bool:
        return spaces(await overview.window(10)) == {CLASS: (20, 0, 0, 2, 0, 18)}

    await eventually(lapsed)
    detail = await overview.opportunity(SELLER, CLASS, 10)
    assert [(hold.kind, hold.spaces) for hold in detail.holds] == [("n", 2)]
    assert detail.hold_count == 1
    assert [hold.kind for hold in (await overview.lapsing(10)).holds] == ["n"]


async def test_an_opportunity_has_its_holds(desk: Desk, overview: Overview) -> None:
    """The holds of an Opportunity come with their kind and Order, the first to expire first."""
    await desk.register(20)
    await desk.quote(1, 3, Step.NAMED)
    await desk.quote(2, 2)
    detail = await overview.opportunity(SELLER, CLASS, 10)
    assert detail.row is not None
    assert [(hold.kind, hold.spaces, hold.uuid[-1]) for hold in detail.holds] == [
        ("a", 2, "2"),
        ("n", 3, "1"),
    ]
    assert {hold.partner for hold in detail.holds} == {"default"}
    assert detail.holds[0].expires > detail.now
    first = await overview.opportunity(SELLER, CLASS, 1)
    assert (len(first.holds), first.hold_count) == (1, 2)


async def test_an_unknown_opportunity_has_no_row(desk: Desk, overview: Overview) -> None:
    """What is not registered is not there, and is not found by its id either."""
    assert (await overview.opportunity(SELLER, CLASS, 10)).row is None
    assert await overview.find([SELLER], CLASS) == []
    await desk.register(20)
    assert [row.id for row in await overview.find([SELLER, OTHER_SELLER], CLASS)] == [CLASS]


async def test_what_lapses_next_comes_first(desk: Desk, overview: Overview) -> None:
    """Over all Sellers and Opportunities, the holds that expire next are listed."""
    await desk.register(20)
    await desk.register(5, COURT, seller=OTHER_SELLER)
    await desk.quote(1, 1, Step.NAMED)
    await desk.ledger.quote(
        desk.key(2, seller=OTHER_SELLER), Step.ANONYMOUS, order_request([(COURT, OFFER)] * 2)
    )
    lapsing = await overview.lapsing(10)
    assert [(hold.seller, hold.opportunity) for hold in lapsing.holds] == [
        (OTHER_SELLER, COURT),
        (SELLER, CLASS),
    ]
    assert len((await overview.lapsing(1)).holds) == 1


async def test_what_was_booked_or_released_hides_nothing(desk: Desk, overview: Overview) -> None:
    """However many were due that hold nothing any more, or not yet, the next to lapse is shown."""
    held = [f"https://example.com/{number}" for number in range(20)]
    for opportunity in held:
        await desk.register(20, opportunity)
    for number, opportunity in enumerate(held):
        await desk.quote(2 * number + 1, [(opportunity, OFFER)])
        await desk.quote(2 * number + 2, [(opportunity, OFFER)], Step.NAMED)
    # The earliest of each is given back, but where it was due it is due.
    for number in range(18):
        await desk.release(2 * number + 1)
    await desk.book(37, [(held[18], OFFER)])
    lapsing = await overview.lapsing(3)
    assert (lapsing.holds[0].opportunity, lapsing.holds[0].kind) == (held[19], "a")
    assert [hold.kind for hold in lapsing.holds] == ["a", "n", "n"]


async def test_nothing_is_due_where_nothing_is_held(desk: Desk) -> None:
    """Once the last space is given back or booked the sweeper has nothing to look for."""
    await desk.register(20)
    due = Keys("lease", PARTITIONS).seller(SELLER).partition.due
    for customer in (1, 2):
        await desk.quote(customer, 2)
        assert await desk.batcher.command("ZCARD", due) == 1
        await (desk.release(customer) if customer == 1 else desk.book(customer, 2))
        assert await desk.batcher.command("ZCARD", due) == 0


async def test_a_lease_lapses_once(desk: Desk, overview: Overview) -> None:
    """What it holds of a pool lapses with it, and is no other lease."""
    await desk.register(10, POOL, **{"@type": "CapacityPool"})
    await desk.register(20, capacityPools=[{"@id": POOL, "spaces": 2}])
    await desk.quote(1, 1)
    assert [hold.opportunity for hold in (await overview.lapsing(10)).holds] == [CLASS]


async def test_conflicts_add_up_over_processes(batcher: Batcher) -> None:
    """Every process writes what it has counted, and all of them read the sum."""
    counters = [Conflicts(batcher, key_prefix="lease") for _ in range(2)]
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
    counter = Conflicts(batcher, key_prefix="lease")
    counter.add(1)
    await counter.flush()
    [key] = await batcher.command("KEYS", "lease:conflicts:*")
    assert 3600 < await batcher.command("TTL", key) <= 7200


@pytest.mark.parametrize(
    "plant",
    [
        ("ZADD", "feed", 1, b"\n\xff"),
        ("HSET", "opportunity", "capacity", "x"),
        ("HSET", "opportunity", "next", "x"),
        ("HSET", "opportunity", "pools", "x"),
        ("HSET", "opportunity", "id", b"\xff"),
        ("HDEL", "opportunity", "leased"),
        ("SET", "opportunity", "x"),
        ("SET", "holds", "x"),
        ("ZADD", "holds", "inf", "1aX"),
        ("ZADD", "holds", 4_000_000_000, b"\xff"),
        ("SET", "census", "x"),
    ],
    ids=str,
)
async def test_what_cannot_be_read_is_left_out(
    desk: Desk, overview: Overview, plant: tuple[str | bytes | int, ...]
) -> None:
    """One Opportunity that nobody can read keeps nothing else from being shown and counted."""
    await desk.register(20)
    await desk.register(4, COURT)
    await desk.quote(1, 3)
    keys = Keys(desk.settings.key_prefix, PARTITIONS)
    partition, ref = keys.seller(SELLER).partition, keys.ref(SELLER, COURT)
    verb, key, *words = plant
    names = {
        "feed": partition.feed,
        "opportunity": partition.opportunity(ref),
        "holds": partition.holds(ref),
        "census": f"{desk.settings.key_prefix}:census",
    }
    await desk.batcher.command(verb, names[str(key)], *words)
    assert spaces(await overview.window(100))[CLASS] == (20, 0, 3, 0, 0, 17)
    assert (await overview.opportunity(SELLER, CLASS, 10)).hold_count == 1
    await overview.opportunity(SELLER, COURT, 10)
    assert {hold.opportunity for hold in (await overview.lapsing(10)).holds} == {CLASS}
    prefix = desk.settings.key_prefix
    censuses = Censuses(desk.batcher, key_prefix=prefix, partitions=PARTITIONS)
    assert (await censuses.latest()).leases >= 1
