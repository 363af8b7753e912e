"""Rule 14: a Seller's policy holds from the next call on; the settings say what it leaves out."""

import pytest

from service.errors import TooManyRequestsError
from service.ledger import Step
from tests.ledger.desk import (
    CLASS,
    COURT,
    OFFER,
    SELLER,
    Desk,
    epoch_seconds,
    errors,
    order_request,
)
from tests.polling import eventually

CONFLICT = "OpportunityIsInConflictError"


async def test_a_policy_says_how_long_a_step_leases(desk):
    """Rule 14: the length of a step is the policy's."""
    await desk.register(5)
    await desk.policy(anonymous={"duration": "PT1H"})
    before = await desk.now()
    expires = epoch_seconds(await desk.quote(1, 1))
    assert before + 3600 <= expires <= await desk.now() + 3601


async def test_what_a_policy_leaves_out_comes_from_the_settings(make_desk):
    """Rule 14: a policy of one term changes nothing else, and forgets what an earlier one said."""
    desk = make_desk(anonymous_seconds=100, named_seconds=1000)
    await desk.register(5)
    await desk.policy(named={"duration": "PT1H"}, maximumSpaces=1)
    await desk.policy(maximumHold="PT2H")
    before = await desk.now()
    for step, seconds in ((Step.ANONYMOUS, 100), (Step.NAMED, 1000)):
        expires = epoch_seconds(await desk.quote(1, 2, step))
        assert before + seconds <= expires <= await desk.now() + seconds + 1


async def test_a_step_that_is_null_does_not_lease(desk):
    """Rule 14: the call checks availability, holds nothing and returns no lease."""
    await desk.register(2)
    await desk.policy(anonymous=None)
    quoted = await desk.quote(1, 3)
    assert errors(quoted.body.ordered_item) == ["", "", "insufficient"]
    assert not (await desk.quote(1, 2)).body.lease
    assert await desk.spaces() == (0, 0, 2)
    assert (await desk.quote(1, 2, Step.NAMED)).body.lease
    assert await desk.spaces() == (0, 2, 0)


async def test_a_null_step_leaves_the_lease_of_another_step_alone(desk):
    """Rules 10 and 14: it extends nothing and adds nothing, but frees what is gone."""
    await desk.register(5)
    expires = epoch_seconds(await desk.quote(1, 3, Step.NAMED))
    await desk.policy(anonymous=None)
    assert epoch_seconds(await desk.quote(1, 4)) == expires
    assert await desk.spaces() == (0, 3, 2)
    assert epoch_seconds(await desk.quote(1, 1)) == expires
    assert await desk.spaces() == (0, 1, 4)


async def test_limits_hold_from_the_next_call_at_every_ledger(desk, batcher):
    """Rule 14: no ledger remembers an earlier policy."""
    other = Desk(batcher)
    await desk.register(5)
    assert not (await other.quote(1, 3)).refused
    await desk.policy(maximumSpaces=2)
    assert await other.quoted_errors(2, 3) == ["", "", CONFLICT]
    await other.policy(maximumSpaces=3)
    await other.release(1)
    assert await desk.quoted_errors(2, 3) == ["", "", ""]


async def test_items_beyond_the_most_spaces_are_in_conflict(desk):
    """Rule 14: the limit is per Opportunity, and rule 3's last clause applies: nothing new."""
    await desk.register(5)
    await desk.register(5, COURT)
    await desk.policy(maximumSpaces=2)
    quoted = await desk.quote(1, [(CLASS, OFFER)] * 3 + [(COURT, OFFER)] * 2)
    assert errors(quoted.body.ordered_item) == ["", "", CONFLICT, "", ""]
    assert await desk.spaces() == (0, 0, 5)
    assert await desk.spaces(COURT) == (0, 2, 3)


async def test_a_lowered_limit_takes_nothing_away(desk):
    """Rules 3 and 14: an Order that holds more than a new limit keeps what it had."""
    await desk.register(5)
    await desk.quote(1, 4)
    await desk.policy(maximumSpaces=2)
    assert await desk.quoted_errors(1, 4) == ["", "", CONFLICT, CONFLICT]
    assert await desk.spaces() == (0, 4, 1)


async def test_full_wins_over_the_conflict(desk):
    """Rule 3: where c − b ≤ 0, every OrderItem is refused because of that."""
    await desk.register(2)
    await desk.book(1, 2)
    await desk.policy(maximumSpaces=1)
    assert await desk.quoted_errors(2, 2) == ["full", "full"]


async def test_b_obeys_the_most_spaces(desk):
    """Rule 14: B of more than a policy allows is refused."""
    await desk.register(5)
    await desk.policy(maximumSpaces=1)
    assert errors((await desk.refused_booking(1, 2)).ordered_item) == ["", CONFLICT]
    assert await desk.spaces() == (0, 0, 5)


async def test_a_lease_too_many_waits_for_the_first_expiry(desk):
    """Rule 14: 429, with Retry-After until the Booking Partner's first lease lapses."""
    await desk.register(9)
    await desk.policy(maximumLeases=2, anonymous={"duration": "PT1M"}, named={"duration": "PT1H"})
    await desk.quote(1, 1, Step.NAMED)
    first = epoch_seconds(await desk.quote(2, 1))
    for call in (desk.quote, desk.propose):
        before = await desk.now()
        with pytest.raises(TooManyRequestsError) as caught:
            await call(3, 1)
        seconds = caught.value.retry_after or 0
        assert first - await desk.now() <= seconds <= first - int(before)
    assert await desk.spaces() == (0, 2, 7)


async def test_only_new_leases_count_against_the_limit(desk):
    """Rule 14: a lease may grow at the limit, and what holds nothing is no lease."""
    await desk.register(5)
    await desk.policy(maximumLeases=1)
    await desk.quote(1, 1)
    assert not (await desk.quote(1, 3)).refused
    assert not (await desk.quote(2, [])).body.lease
    assert (await desk.quote(2, 9)).refused
    await desk.book(3, 1)


async def test_a_lease_that_ends_makes_room_for_another(desk):
    """Rule 14: released, booked and expired leases do not count."""
    await desk.register(9)
    await desk.policy(maximumLeases=1, anonymous={"duration": "PT1S"})
    await desk.quote(1, 1, Step.NAMED)
    await desk.release(1)
    await desk.quote(2, 1, Step.NAMED)
    await desk.book(2, 1)
    expires = epoch_seconds(await desk.quote(3, 1))

    async def is_over():
        return await desk.now() >= expires

    await eventually(is_over)
    assert (await desk.quote(4, 1)).body.lease


async def test_a_rejected_proposal_that_holds_nothing_does_not_count(make_desk):
    """Rules 14 and 19: the grace is for spaces; where all were withdrawn there is no lease."""
    desk = make_desk(rejection_grace_seconds=600)
    await desk.register(5)
    await desk.register(5, COURT)
    await desk.policy(maximumLeases=1)
    await desk.propose(1, 2)
    await desk.ledger.withdraw(SELLER, [CLASS])
    await desk.decide(1, "SellerRejected")
    assert (await desk.quote(2, [(COURT, OFFER)])).body.lease


async def test_every_booking_partner_has_leases_of_its_own(desk):
    """Rule 14: the limit is per Booking Partner."""
    await desk.register(5)
    await desk.policy(maximumLeases=1)
    await desk.quote(1, 1)
    another = desk.key(1, partner="another")
    quoted = await desk.ledger.quote(another, Step.ANONYMOUS, order_request(1))
    assert quoted.body.lease


async def test_leasing_again_right_away_does_not_start_a_new_window(make_desk):
    """Rule 11: the maximum hold counts from the first lease of the UUID, released or not."""
    desk = make_desk(anonymous_seconds=60, maximum_hold_seconds=60)
    await desk.register(5)
    first = epoch_seconds(await desk.quote(1, 1))

    async def is_later():
        return await desk.now() >= first - 58

    await eventually(is_later)
    await desk.release(1)
    assert epoch_seconds(await desk.quote(1, 2)) <= first
    assert epoch_seconds(await desk.quote(2, 2)) > first


async def test_another_maximum_hold_counts_from_the_same_instant(make_desk):
    """Rules 11 and 14: it is the policy's of now, and from the first lease of the UUID."""
    desk = make_desk(anonymous_seconds=3600, maximum_hold_seconds=600)
    await desk.register(5)
    first = epoch_seconds(await desk.quote(1, 1)) - 600
    for seconds in (400, 900):
        await desk.release(1)
        await desk.policy(maximumHold=f"PT{seconds}S")
        assert epoch_seconds(await desk.quote(1, 1)) == first + seconds


async def test_a_policy_is_what_a_look_shows(desk):
    """Rule 14: a look at the policy shows what was said, the null step included."""
    said = await desk.policy(anonymous=None, maximumHold="PT1H", maximumLeases=3)
    assert said.leasing.anonymous is None
    assert said.leasing.maximum_leases == 3
    assert not said.leasing.named
    assert await desk.ledger.look_at_policy(SELLER) == said
