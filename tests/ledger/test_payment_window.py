"""Rule 27: a lease does not lapse while money moves."""

import pytest

from service.errors import UnknownOrderError
from service.ledger import Step
from tests.ledger.desk import epoch_seconds


async def test_a_window_goes_beyond_the_maximum_hold(make_desk):
    """Rule 27: the lease lasts at least that long from now, whatever the maximum hold is."""
    desk = make_desk(anonymous_seconds=10, maximum_hold_seconds=10)
    await desk.register(5)
    await desk.quote(1, 1)
    before = await desk.now()
    expires = await desk.pay(1, 60)
    assert before + 60 <= expires <= await desk.now() + 61
    [key] = await desk.raw_keys("*:l:*")
    assert await desk.batcher.command("PEXPIRETIME", key) == expires * 1000


async def test_a_window_is_given_once_per_lease(make_desk):
    """Rule 27: asked again it answers what it gave, whatever is asked."""
    desk = make_desk(anonymous_seconds=10)
    await desk.register(5)
    await desk.quote(1, 1)
    expires = await desk.pay(1, 60)
    assert await desk.pay(1, 120) == expires
    assert await desk.pay(1, 1) == expires
    await desk.release(1)
    await desk.quote(1, 1)
    assert await desk.pay(1, 120) > expires


async def test_a_window_was_given_to_a_lease_that_became_a_proposals(make_desk):
    """Rule 27: once per lease, and P goes on with the lease that there was."""
    desk = make_desk(anonymous_seconds=10)
    await desk.register(5)
    await desk.quote(1, 1)
    expires = await desk.pay(1, 60)
    await desk.propose(1, 1)
    assert await desk.pay(1, 120) == expires


async def test_a_window_is_no_longer_than_two_minutes(make_desk):
    """Rule 27: two minutes, unless the policy says otherwise."""
    desk = make_desk(anonymous_seconds=10)
    await desk.register(5)
    for customer, longest in ((1, 120), (2, 600)):
        await desk.quote(customer, 1)
        before = await desk.now()
        expires = await desk.pay(customer, 3600)
        assert before + longest <= expires <= await desk.now() + longest + 1
        await desk.policy(paymentWindow="PT10M")


async def test_a_window_never_shortens_a_lease(desk):
    """Rule 27: a lease that lasts longer than the window stays as it is."""
    await desk.register(5)
    expires = epoch_seconds(await desk.quote(1, 1, Step.NAMED))
    assert await desk.pay(1, 60) == expires


async def test_there_is_no_window_without_a_live_lease(desk):
    """Rule 27: never leased, released, booked: 404."""
    await desk.register(5)
    with pytest.raises(UnknownOrderError):
        await desk.pay(1, 60)
    await desk.quote(1, 1)
    await desk.release(1)
    with pytest.raises(UnknownOrderError):
        await desk.pay(1, 60)
    await desk.quote(2, 1)
    await desk.book(2, 1)
    with pytest.raises(UnknownOrderError):
        await desk.pay(2, 60)


async def test_a_window_holds_the_spaces_of_the_lease(make_desk):
    """Rules 12 and 27: what the window holds is held against others, and B ends it."""
    desk = make_desk(anonymous_seconds=10)
    await desk.register(2)
    await desk.quote(1, 2)
    expires = await desk.pay(1, 60)
    before = int(await desk.now())
    quoted = await desk.quote(2, 1)
    assert expires - await desk.now() <= quoted.retry_after <= expires - before
    await desk.book(1, 2)
    assert await desk.spaces() == (2, 0, 0)
