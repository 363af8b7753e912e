"""What the scripts leave in Redis: keys, the sweeper's list and the feed's order."""

import re
from zlib import crc32

from service.ledger import Step
from tests.ledger.desk import CLASS, COURT, OFFER, SELLER, epoch_seconds
from tests.polling import eventually


async def test_every_key_of_a_seller_is_in_its_partition(desk):
    """A Seller's partition, crc32 of its id mod 64, is the hash tag of each of its keys."""
    await desk.register(5)
    await desk.quote(1, 2)
    await desk.book(2, 1)
    await desk.quote(3, 1)
    await desk.release(3)
    keys = await desk.raw_keys("lease:*")
    tag = f"lease:{{{crc32(SELLER.encode()) % 64}}}:"
    assert [key for key in keys if not key.startswith(tag)] == []
    kinds = {re.sub(r"^lease:\{\d+\}:(\w+).*$", r"\1", key) for key in keys}
    assert kinds == {
        *("opp", "holds", "l", "a", "leases"),
        *("order", "due", "feed", "seller"),
    }


async def test_the_key_prefix_is_a_setting(make_desk):
    """`LEASE_KEY_PREFIX` keeps two services apart in one Redis."""
    one, other = make_desk(key_prefix="one"), make_desk(key_prefix="other")
    await one.register(5)
    await one.quote(1, 5)
    await other.register(3)
    assert await other.spaces() == (0, 0, 3)
    assert await one.spaces() == (0, 5, 0)


async def test_due_lists_no_opportunity_later_than_its_first_expiry(make_desk):
    """The sweeper's list has each Opportunity with a hold, not later than its first expiry."""
    long, short = make_desk(anonymous_seconds=600), make_desk(anonymous_seconds=60)
    await long.register(9)
    await long.register(9, COURT)
    later = epoch_seconds(await long.quote(1, 1))
    assert await _scores(long, "due") == [later]
    sooner = epoch_seconds(await short.quote(2, [(CLASS, OFFER), (COURT, OFFER)]))
    assert await _scores(long, "due") == [sooner, sooner]
    await short.quote(2, 0, Step.NAMED)
    assert await _scores(long, "due") == [sooner]


async def test_due_forgets_an_opportunity_without_holds(make_desk):
    """Once its holds have expired and a call has settled them, an Opportunity is due no more."""
    desk = make_desk(anonymous_seconds=1)
    await desk.register(5)
    expires = epoch_seconds(await desk.quote(1, 1))

    async def settled():
        return await desk.now() >= expires and await desk.spaces() == (0, 0, 5)

    await eventually(settled)
    assert await _scores(desk, "due") == []


async def test_every_change_of_what_is_free_moves_the_feed(desk):
    """Rule 22: every change of what is free, from registration to withdrawal, moves it."""
    await desk.register(9)
    seen = await _scores(desk, "feed")
    assert len(seen) == 1
    for change in (
        lambda: desk.quote(1, 1),
        lambda: desk.quote(1, 2),
        lambda: desk.release(1),
        lambda: desk.book(2, 2),
        lambda: desk.ledger.delete(desk.key(2)),
        lambda: desk.register(10),
        lambda: desk.ledger.withdraw(SELLER, [CLASS]),
        lambda: desk.register(10),
    ):
        await change()
        [modified] = await _scores(desk, "feed")
        assert modified > seen[-1]
        seen.append(modified)


async def test_what_changes_nothing_leaves_the_feed(desk):
    """Rule 22: a refused call, an extension and a repeated registration move nothing."""
    await desk.register(2)
    await desk.quote(1, 2)
    before = await _scores(desk, "feed")
    await desk.quote(2, 1)
    await desk.quote(1, 2, Step.NAMED)
    await desk.refused_booking(2, 1)
    await desk.release(2)
    await desk.register(2)
    await desk.inspect()
    assert await _scores(desk, "feed") == before


async def test_an_expiry_that_a_call_settles_moves_the_feed(make_desk):
    """Rule 22: an expiry changes what is free, whoever notices it first."""
    desk = make_desk(anonymous_seconds=1)
    await desk.register(5)
    await desk.quote(1, 1)
    [leased] = await _scores(desk, "feed")

    async def noticed():
        return await desk.spaces() == (0, 0, 5)

    await eventually(noticed)
    [lapsed] = await _scores(desk, "feed")
    assert lapsed > leased


async def test_modified_rises_strictly_within_a_call(desk):
    """`modified` is Redis's clock in microseconds, and no two entries of a partition share one."""
    ids = [f"{CLASS}/{number}" for number in range(50)]
    for id_ in ids:
        await desk.register(2, id_)
    before = await desk.now()
    await desk.quote(1, [(id_, OFFER) for id_ in ids])
    scores = await _scores(desk, "feed")
    assert len(set(scores)) == 50
    assert min(scores) >= before * 1_000_000
    assert max(scores) < (await desk.now() + 1) * 1_000_000


async def _scores(desk, kind):
    """Return the scores of the Seller's `due` or `feed`, in order."""
    found: list[int] = []
    for key in await desk.raw_keys(f"*:{kind}"):
        reply = await desk.batcher.command("ZRANGE", key, 0, -1, "WITHSCORES")
        found += [int(float(score)) for score in reply[1::2]]
    return found
