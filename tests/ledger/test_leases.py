"""Rules 9–12: how a lease begins, changes, lasts and ends."""

import asyncio

import pytest

from service.errors import OpenBookingError, UnknownOrderError
from service.ledger import Step
from service.model import OrderRequest
from tests.ledger.desk import (
    CLASS,
    COURT,
    OFFER,
    OTHER_OFFER,
    epoch_seconds,
    errors,
    order_request,
)
from tests.polling import eventually


async def test_a_lease_becomes_named_at_c2_and_never_goes_back(desk):
    """Rule 9: an anonymous lease becomes named at C2; a later C1 leaves it named."""
    await desk.register(5)
    seen = []
    for step in (Step.ANONYMOUS, Step.NAMED, Step.ANONYMOUS):
        await desk.quote(1, 1, step)
        seen.append((await desk.store.orders.lease(desk.key(1))).step)
    assert seen == [Step.ANONYMOUS, Step.NAMED, Step.NAMED]


async def test_an_opportunity_counts_its_leases_by_kind(make_desk):
    """Named spaces are counted apart, through conversion, release and expiry."""
    desk = make_desk(anonymous_seconds=60, named_seconds=1)
    await desk.register(9)
    seen = []
    for call in (
        lambda: desk.quote(1, 2, Step.NAMED),
        lambda: desk.quote(2, 3),
        lambda: desk.quote(2, 4, Step.NAMED),
        lambda: desk.release(2),
    ):
        await call()
        seen.append(await _leased_and_named(desk))
    assert seen == [("2", "2"), ("5", "2"), ("6", "6"), ("2", "2")]

    async def expired():
        return await desk.spaces() == (0, 0, 9)

    await eventually(expired)
    assert await _leased_and_named(desk) == ("0", "0")


async def test_a_repeated_call_makes_the_lease_match(desk):
    """Rule 10: what is gone from the request is released in the same step."""
    await desk.register(5)
    await desk.register(5, COURT)
    await desk.quote(1, [(CLASS, OFFER)] * 3)
    await desk.quote(1, [(CLASS, OFFER), (COURT, OFFER)])
    assert await desk.spaces() == (0, 1, 4)
    assert await desk.spaces(COURT) == (0, 1, 4)
    await desk.quote(1, [(COURT, OFFER)] * 2)
    assert await desk.spaces() == (0, 0, 5)
    assert await desk.spaces(COURT) == (0, 2, 3)


async def test_an_empty_order_releases_everything(desk):
    """Rule 10: an empty orderedItem returns no lease and leaves no key behind."""
    await desk.register(5)
    await desk.quote(1, 3)
    quoted = await desk.quote(1, [])
    assert not quoted.body.lease
    assert not quoted.refused
    assert await desk.spaces() == (0, 0, 5)
    assert await desk.raw_keys("*:l:*") == []


async def test_no_lease_is_returned_when_nothing_is_held(desk):
    """Rule 9: `lease` is there whenever the Order holds a space, and only then."""
    await desk.register(1)
    await desk.book(1, 1)
    assert not (await desk.quote(2, 1)).body.lease


async def test_lease_expires_is_a_whole_second_of_the_steps_length(desk):
    """Rule 11: now + duration of the step, on Redis's clock, on a whole second."""
    await desk.register(5)
    before = await desk.now()
    expires = epoch_seconds(await desk.quote(1, 1))
    after = await desk.now()
    assert before + 300 <= expires < after + 301


async def test_a_step_never_shortens_a_lease(desk):
    """Rule 11: a C1 after the C2 keeps the later instant."""
    await desk.register(5)
    named = epoch_seconds(await desk.quote(1, 1, Step.NAMED))
    assert epoch_seconds(await desk.quote(1, 1, Step.ANONYMOUS)) == named


async def test_the_maximum_hold_ends_what_extensions_began(make_desk):
    """Rule 11: no extension goes beyond first leased + maximum hold."""
    desk = make_desk(anonymous_seconds=10, named_seconds=900, maximum_hold_seconds=60)
    await desk.register(5)
    first = await desk.now()
    await desk.quote(1, 1)
    expires = epoch_seconds(await desk.quote(1, 1, Step.NAMED))
    assert first + 59 <= expires <= await desk.now() + 60


@pytest.mark.parametrize("end", ["release", "empty quote"])
async def test_a_lease_that_a_call_ended_is_remembered_until_it_would_have_expired(make_desk, end):
    """Rule 11: one that is made again before then goes on where it was, and no longer."""
    desk = make_desk(maximum_hold_seconds=60)
    await desk.register(5)
    expires = epoch_seconds(await desk.quote(1, 1))
    if end == "release":
        assert await desk.release(1) == 1
    else:
        await desk.quote(1, 0)
    [remembered] = await desk.raw_keys("*:a:*")
    assert await desk.batcher.command("PEXPIRETIME", remembered) == expires * 1000
    assert epoch_seconds(await desk.quote(1, 1)) == expires


async def test_a_lease_that_expired_begins_anew(make_desk):
    """Rule 11: all others could have had its spaces, so that its maximum hold is over too."""
    desk = make_desk(maximum_hold_seconds=1)
    await desk.register(5)
    expires = epoch_seconds(await desk.quote(1, 1))
    await eventually(lambda: _past(desk, expires))
    assert await desk.raw_keys("*:a:*") == []
    assert epoch_seconds(await desk.quote(1, 1)) > expires


async def test_the_redis_key_expires_exactly_at_lease_expires(desk):
    """Rule 12: PEXPIRETIME of the lease's key is leaseExpires, after every step."""
    await desk.register(5)
    for step in (Step.ANONYMOUS, Step.NAMED):
        expires = epoch_seconds(await desk.quote(1, 2, step))
        [key] = await desk.raw_keys("*:l:*")
        assert await desk.batcher.command("PEXPIRETIME", key) == expires * 1000


async def test_spaces_are_free_from_the_instant_of_expiry(make_desk):
    """Rule 12: held until leaseExpires and free from then on, with nothing but the call itself."""
    desk = make_desk(anonymous_seconds=1)
    await desk.register(1)
    expires = epoch_seconds(await desk.quote(1, 1))

    async def taken():
        asked = await desk.now()
        free = not (await desk.quote(2, 1)).refused
        answered = await desk.now()
        assert not (free and answered < expires), "it was free before it expired"
        assert not (not free and asked >= expires), "it was held after it expired"
        return free

    await eventually(taken)
    assert await desk.spaces() == (0, 1, 0)


async def test_every_call_sees_the_expiry(make_desk):
    """Rule 12: inspect, look and B all see that a lease is over."""
    desk = make_desk(anonymous_seconds=1)
    await desk.register(1)
    expires = epoch_seconds(await desk.quote(1, 1))
    await eventually(lambda: _past(desk, expires))
    assert await desk.spaces() == (0, 0, 1)
    with pytest.raises(UnknownOrderError):
        await desk.ledger.look_at_quote(desk.key(1))
    await desk.book(2, 1)
    assert (await desk.refused_booking(1, 1)).status_code == 409


async def test_many_leases_that_expire_together_are_all_dropped(make_desk):
    """Rule 12: one call settles thousands of holds that expired, in bounded portions."""
    desk = make_desk(anonymous_seconds=1)
    await desk.register(2_500)
    for hundred in range(0, 2_500, 100):
        customers = range(hundred, hundred + 100)
        quotes = await asyncio.gather(*(desk.quote(customer, 1) for customer in customers))
    await eventually(lambda: _past(desk, max(map(epoch_seconds, quotes))))
    assert await desk.spaces() == (0, 0, 2_500)


async def test_an_extended_lease_outlives_its_first_expiry(make_desk):
    """Rule 11: spaces of an extended lease stay held when the first instant has passed."""
    desk = make_desk(anonymous_seconds=1, named_seconds=60)
    await desk.register(1)
    first = epoch_seconds(await desk.quote(1, 1))
    await desk.quote(1, 1, Step.NAMED)
    await eventually(lambda: _past(desk, first))
    assert await desk.quoted_errors(2, 1) == ["reserved"]


async def test_a_step_of_no_length_only_checks(make_desk):
    """Rule 14: a step that does not lease checks availability and returns no lease."""
    desk = make_desk(anonymous_seconds=0)
    await desk.register(2)
    quoted = await desk.quote(1, 2)
    assert not quoted.refused
    assert not quoted.body.lease
    assert await desk.spaces() == (0, 0, 2)
    assert (await desk.quote(1, 2, Step.NAMED)).body.lease
    assert await desk.quoted_errors(2, 1) == ["reserved"]


async def test_a_step_of_no_length_still_gives_back(make_desk):
    """Rule 10: what is gone from the request is released by every step; nothing is extended."""
    leasing, checking = make_desk(), make_desk(named_seconds=0)
    await leasing.register(5)
    first = await leasing.quote(1, 3)
    fewer = await checking.quote(1, 2, Step.NAMED)
    assert fewer.body.lease == first.body.lease
    assert await checking.spaces() == (0, 2, 3)
    more = await checking.quote(1, 4, Step.NAMED)
    assert not more.refused
    assert await checking.spaces() == (0, 2, 3)
    assert not (await checking.quote(1, [], Step.NAMED)).body.lease
    assert await checking.spaces() == (0, 0, 5)


async def test_release_says_how_many_spaces_came_back(desk):
    """Release gives back all that was held, and nothing when it is repeated."""
    await desk.register(5)
    await desk.register(5, COURT)
    await desk.quote(1, [(CLASS, OFFER), (COURT, OFFER), (COURT, OFFER)])
    assert await desk.release(1) == 3
    assert await desk.release(1) == 0
    assert await desk.spaces() == (0, 0, 5)
    assert await desk.raw_keys("*:l:*") == []


async def test_two_booking_partners_never_touch_each_other(desk):
    """The same UUID of two Booking Partners is two Orders."""
    await desk.register(5)
    one, other = desk.key(1, "one"), desk.key(1, "other")
    request = order_request(2)
    await desk.ledger.quote(one, Step.ANONYMOUS, request)
    assert await desk.ledger.release(other) == 0
    with pytest.raises(UnknownOrderError):
        await desk.ledger.look_at_quote(other)
    await desk.ledger.quote(other, Step.ANONYMOUS, request)
    assert await desk.spaces() == (0, 4, 1)
    assert await desk.ledger.release(one) == 2
    assert await desk.spaces() == (0, 2, 3)


async def test_two_equal_positions_are_an_error_with_its_place(desk):
    """Rule 24: two OrderItems with one position are a 400 that names the place."""
    items = [{"position": 2}, {"position": 2}]
    with pytest.raises(OpenBookingError, match=r"^\$\.orderedItem\[1\]\.position: ") as caught:
        await desk.quote(1, items)
    assert caught.value.status_code == 400


async def test_a_missing_position_is_the_index(desk):
    """Rule 24: an OrderItem without position has its index, also against explicit ones."""
    await desk.register(5)
    quoted = await desk.quote(1, 3)
    assert [item.position for item in quoted.body.ordered_item] == [0, 1, 2]
    with pytest.raises(OpenBookingError):
        await desk.quote(1, [{}, {"position": 0}])


async def test_a_look_shows_what_is_held(desk):
    """A look at a lease has its expiry, and its items with Opportunity and Offer."""
    await desk.register(5, offers=[{"@id": OFFER, "price": 10, "priceCurrency": "GBP"}])
    await desk.register(5, COURT)
    quoted = await desk.quote(1, [(CLASS, OFFER), (COURT, OTHER_OFFER), (CLASS, OFFER)])
    held = await desk.ledger.look_at_quote(desk.key(1))
    assert held.lease == quoted.body.lease
    assert [(item.position, item.ordered_item.id) for item in held.ordered_item] == [
        (0, CLASS),
        (1, COURT),
        (2, CLASS),
    ]
    assert [item.accepted_offer.id for item in held.ordered_item] == [OFFER, OTHER_OFFER, OFFER]


async def test_a_look_leaves_out_what_is_not_held(desk):
    """Of an Opportunity that did not fit, a look shows what the Order kept."""
    await desk.register(2)
    await desk.quote(1, 1)
    await desk.quote(1, 3)
    held = await desk.ledger.look_at_quote(desk.key(1))
    assert [item.position for item in held.ordered_item] == [0]


async def test_a_withdrawn_opportunity_holds_nothing_any_more(desk):
    """Withdrawing ends the leases; they stay ended when the Opportunity is registered again."""
    await desk.register(5)
    await desk.quote(1, 3)
    await desk.ledger.withdraw(desk.key(1).seller, [CLASS])
    assert await desk.quoted_errors(2, 1) == ["UnknownOpportunityError"]
    with pytest.raises(UnknownOrderError):
        await desk.ledger.look_at_quote(desk.key(1))
    await desk.register(5)
    assert await desk.spaces() == (0, 0, 5)
    assert await desk.release(1) == 0
    quoted = await desk.quote(1, 5)
    assert errors(quoted.body.ordered_item) == [""] * 5
    assert await desk.spaces() == (0, 5, 0)


async def test_a_release_after_a_withdrawal_takes_nothing_from_others(desk):
    """A lease of before the withdrawal gives nothing back of what others hold since."""
    await desk.register(5)
    await desk.quote(1, 3)
    await desk.ledger.withdraw(desk.key(1).seller, [CLASS])
    await desk.register(5)
    await desk.quote(2, 4)
    await desk.quote(1, [])
    assert await desk.spaces() == (0, 4, 1)


async def test_a_lost_lease_key_cannot_lose_or_free_spaces(desk):
    """The hold index is the truth: a lease key that vanishes early leaves its spaces held."""
    await desk.register(5)
    await desk.quote(1, 2)
    [key] = await desk.raw_keys("*:l:*")
    await desk.batcher.command("DEL", key)
    assert await desk.spaces() == (0, 2, 3)
    await desk.quote(1, 2)
    assert await desk.spaces() == (0, 2, 3)
    await desk.quote(1, 3)
    await desk.release(1)
    assert await desk.spaces() == (0, 0, 5)


async def _past(desk, seconds):
    return await desk.now() >= seconds


async def _leased_and_named(desk):
    [key] = await desk.raw_keys("*:opp:*")
    values = await desk.batcher.command("HMGET", key, "leased", "named")
    return tuple(value.decode() for value in values)


async def test_a_quote_without_its_list_of_items_is_refused(desk):
    """Rule 24: C1 and C2 without `orderedItem` are a 400 that names it, and change nothing."""
    await desk.register(5)
    await desk.quote(1, 2)
    for step in Step:
        with pytest.raises(OpenBookingError, match=r"\$\.orderedItem") as caught:
            await desk.ledger.quote(desk.key(1), step, OrderRequest())
        assert caught.value.status_code == 400
    assert await desk.spaces() == (0, 2, 3)
