"""Rules 15–17 and the deletion of Orders: every OrderItem or none, once."""

import asyncio

import pytest

from service.errors import (
    GoneError,
    OpenBookingError,
    OrderAlreadyExistsError,
    UnknownOrderError,
)
from service.ledger import Step
from tests.ledger.desk import CLASS, COURT, OFFER, OTHER_OFFER, epoch_seconds, errors
from tests.polling import eventually


async def test_b_uses_the_lease_and_ends_it(desk):
    """Rule 15: with a live lease B turns its spaces into booked ones, and the lease is over."""
    await desk.register(5)
    await desk.quote(1, 2)
    booked = await desk.book(1, 2)
    assert not booked.replayed
    assert [item.order_item_status for item in booked.body.ordered_item] == [
        "https://openactive.io/OrderItemConfirmed"
    ] * 2
    assert await desk.spaces() == (2, 0, 3)
    assert await desk.raw_keys("*:l:*") == []


async def test_b_books_without_a_lease(desk):
    """Rule 15: without a lease B books if there is room."""
    await desk.register(2)
    await desk.book(1, 2)
    assert await desk.spaces() == (2, 0, 0)


async def test_b_books_after_the_lease_expired(make_desk):
    """Rule 15: after its lease expired an Order is booked if there is still room."""
    desk = make_desk(anonymous_seconds=1)
    await desk.register(1)
    expires = epoch_seconds(await desk.quote(1, 1))
    await eventually(lambda: _past(desk, expires))
    await desk.book(1, 1)
    assert await desk.spaces() == (1, 0, 0)


async def test_b_may_differ_from_the_lease(desk):
    """Rule 15: OrderItems that differ from the lease are booked by the same rule."""
    await desk.register(5)
    await desk.register(5, COURT)
    await desk.quote(1, [(CLASS, OFFER)] * 3)
    await desk.book(1, [(CLASS, OFFER), (COURT, OFFER)])
    assert await desk.spaces() == (1, 0, 4)
    assert await desk.spaces(COURT) == (1, 0, 4)


async def test_b_books_all_or_nothing_over_several_opportunities(desk):
    """Rule 15: when one Opportunity has no room nothing is booked of the others."""
    await desk.register(5)
    await desk.register(1, COURT)
    await desk.book(1, [(COURT, OFFER)])
    await desk.refused_booking(2, [(CLASS, OFFER), (COURT, OFFER)])
    assert await desk.spaces() == (0, 0, 5)
    assert await desk.spaces(COURT) == (1, 0, 0)


async def test_no_space_at_all_is_insufficient_capacity(desk):
    """Rule 16: no space at all remains for an OrderItem, and every OrderItem says its error."""
    await desk.register(1)
    await desk.quote(1, 1)
    refused = await desk.refused_booking(2, 1)
    assert type(refused).__name__ == "OpportunityHasInsufficientCapacityError"
    assert refused.status_code == 409
    assert errors(refused.ordered_item) == ["reserved"]
    assert refused.retry_after > 290


async def test_some_space_but_too_little_is_insufficient_capacity(desk):
    """Rule 16: some space remains, but too little for all, and the lease is sustained."""
    await desk.register(3)
    await desk.quote(1, 1)
    await desk.quote(2, 1)
    refused = await desk.refused_booking(2, 3)
    assert type(refused).__name__ == "OpportunityHasInsufficientCapacityError"
    assert errors(refused.ordered_item) == ["", "", "reserved"]
    assert await desk.spaces() == (0, 2, 1)
    assert (await desk.ledger.look_at_quote(desk.key(2))).lease


@pytest.mark.parametrize(
    "item", [(COURT, OFFER), (CLASS, OTHER_OFFER), {}, {"orderedItem": CLASS}]
)
async def test_an_item_that_c2_would_refuse_is_unable_to_process(desk, item):
    """Rule 16: unknown or incomplete OrderItems keep B from booking the others."""
    await desk.register(5, offers=[{"@id": OFFER}])
    refused = await desk.refused_booking(1, [(CLASS, OFFER), item])
    assert type(refused).__name__ == "UnableToProcessOrderItemError"
    assert errors(refused.ordered_item)[0] == ""
    assert errors(refused.ordered_item)[1]
    assert await desk.spaces() == (0, 0, 5)


@pytest.mark.parametrize(
    ("capacity", "ask", "kind"),
    [
        (9, 3, "UnableToProcessOrderItemError"),
        (3, 4, "OpportunityHasInsufficientCapacityError"),
        (1, [(CLASS, OFFER), (CLASS, OFFER), {}], "OpportunityHasInsufficientCapacityError"),
        (
            1,
            [(COURT, OFFER), (CLASS, OFFER), (CLASS, OFFER)],
            "OpportunityHasInsufficientCapacityError",
        ),
        (0, [(CLASS, OTHER_OFFER)], "UnableToProcessOrderItemError"),
    ],
    ids=["too many", "too many and lacking", "incomplete", "unknown", "full"],
)
@pytest.mark.parametrize("verb", ["book", "propose"])
async def test_spaces_that_are_lacking_are_named_before_all_else(desk, verb, capacity, ask, kind):
    """Rule 16: insufficient where spaces are lacking for any OrderItem, whatever else is wrong."""
    await desk.policy(maximumSpaces=2)
    await desk.register(capacity, offers=[{"@id": OFFER}])
    with pytest.raises(OpenBookingError) as caught:
        await getattr(desk, verb)(1, ask)
    assert type(caught.value).__name__ == kind
    assert caught.value.status_code == 409


async def test_spaces_of_a_pool_are_spaces_too(desk):
    """Rule 16: what a capacity pool lacks is lacking (rule 28)."""
    pool = "https://example.com/halls/1"
    await desk.register(1, pool, **{"@type": "CapacityPool"})
    await desk.register(5, capacityPools=[{"@id": pool}])
    refused = await desk.refused_booking(1, 2)
    assert type(refused).__name__ == "OpportunityHasInsufficientCapacityError"


async def test_b_needs_an_order_item(desk):
    """B without OrderItems is a 400 that says what is missing."""
    with pytest.raises(OpenBookingError, match="orderedItem") as caught:
        await desk.book(1, [])
    assert caught.value.status_code == 400


async def test_the_same_b_again_returns_the_same_order(desk):
    """Rule 17: the repeated B books nothing and returns an equal Order, marked as a replay."""
    await desk.register(5, offers=[{"@id": OFFER, "price": 7.5, "priceCurrency": "GBP"}])
    customer = {"@type": "Person", "email": "a@example.com", "givenName": "A"}
    first = await desk.book(1, 2, customer=customer)
    await desk.register(5, offers=[{"@id": OFFER, "price": 9}])
    again = await desk.book(1, 2, customer=dict(reversed(customer.items())))
    assert again.replayed
    assert again.body == first.body
    assert await desk.spaces() == (2, 0, 3)


@pytest.mark.parametrize(
    ("ask", "properties"),
    [
        (1, {}),
        ([(CLASS, OTHER_OFFER)] * 2, {}),
        ([{"orderedItem": CLASS, "acceptedOffer": OFFER, "position": p} for p in (0, 2)], {}),
        (2, {"customer": {"@type": "Person", "email": "b@example.com"}}),
    ],
    ids=["fewer", "offer", "position", "customer"],
)
async def test_another_b_on_the_same_uuid_is_a_clash(desk, ask, properties):
    """Rule 17: other OrderItems or another customer on the UUID of an Order are a 500."""
    await desk.register(9)
    await desk.book(1, 2)
    with pytest.raises(OrderAlreadyExistsError) as caught:
        await desk.book(1, ask, **properties)
    assert caught.value.status_code == 500
    assert await desk.spaces() == (2, 0, 7)


@pytest.mark.parametrize("customer", [None, {"email": "a@example.com"}])
async def test_b_without_items_repeats_no_order_that_was_no_proposal(desk, customer):
    """Rule 17: B without `orderedItem` is another B, unless the Order was a proposal."""
    await desk.register(9)
    await desk.book(1, 2, customer=customer)
    with pytest.raises(OrderAlreadyExistsError):
        await desk.book_proposed(1)
    await desk.propose(2, 2, customer=customer)
    booked = await desk.book_proposed(2)
    for again in (await desk.book_proposed(2), await desk.book(2, 2, customer=customer)):
        assert again.replayed
        assert again.body == booked.body
    await desk.propose(3, 2)
    await desk.book(3, 1)
    assert (await desk.book_proposed(3)).replayed
    assert await desk.spaces() == (5, 0, 4)


async def test_what_an_earlier_release_booked_is_repeated_all_the_same(desk):
    """Rule 17: it did not store which Orders were proposals, so a repeated B finds its Order."""
    await desk.register(9)
    await desk.propose(1, 2)
    booked = await desk.book_proposed(1)
    [key] = await desk.raw_keys("*:order:*")
    await desk.batcher.command("HDEL", key, "gross", "status")
    again = await desk.book_proposed(1)
    assert again.replayed
    assert again.body == booked.body


async def test_quotes_on_the_uuid_of_an_order_are_refused(desk):
    """Rule 17: C1, C2 and P on the UUID of an Order that exists or was deleted are a 500."""
    await desk.register(5)
    await desk.book(1, 1)
    for step in Step:
        with pytest.raises(OrderAlreadyExistsError):
            await desk.quote(1, 1, step)
    with pytest.raises(OrderAlreadyExistsError):
        await desk.propose(1, 1)
    await desk.ledger.delete(desk.key(1))
    for step in Step:
        with pytest.raises(OrderAlreadyExistsError):
            await desk.quote(1, 1, step)
    for again in (desk.propose(1, 1), desk.book(1, 1), desk.book_proposed(1)):
        with pytest.raises(OrderAlreadyExistsError):
            await again


async def test_nothing_of_a_customer_reaches_redis(desk):
    """«Calls»: of a customer only a digest is kept."""
    await desk.register(5)
    await desk.quote(1, 1)
    await desk.book(1, 1, customer={"@type": "Person", "email": "geoffcapes@example.com"})
    for key in await desk.raw_keys("*:order:*"):
        stored = b" ".join(await desk.batcher.command("HGETALL", key))
        assert b"geoffcapes" not in stored


async def test_the_item_ids_of_b_are_kept(desk):
    """Rule 20: the `@id` that B was given for an OrderItem is part of the Order."""
    await desk.register(5)
    items = [{"orderedItem": CLASS, "acceptedOffer": OFFER, "@id": "https://example.com/o#1"}]
    await desk.book(1, items)
    order = await desk.ledger.look_at_order(desk.key(1))
    assert [item.id for item in order.ordered_item] == ["https://example.com/o#1"]


async def test_a_look_at_an_order_equals_what_b_answered(desk):
    """A look at an Order shows what B answered."""
    await desk.register(5, offers=[{"@id": OFFER, "price": "7.50", "priceCurrency": "GBP"}])
    await desk.register(5, COURT)
    booked = await desk.book(1, [(COURT, OFFER), (CLASS, OFFER), (COURT, OTHER_OFFER)])
    assert await desk.ledger.look_at_order(desk.key(1)) == booked.body


async def test_deleting_an_order_frees_its_spaces_once(desk):
    """Rule 20: deletion returns all spaces and leaves a stub; again it changes nothing."""
    await desk.register(5)
    await desk.register(5, COURT)
    await desk.book(1, [(CLASS, OFFER), (CLASS, OFFER), (COURT, OFFER)])
    await desk.book(2, 1)
    for _ in range(2):
        await desk.ledger.delete(desk.key(1))
        assert await desk.spaces() == (1, 0, 4)
        assert await desk.spaces(COURT) == (0, 0, 5)
    ledger, key = desk.ledger, desk.key(1)
    for look in (ledger.look_at_order, ledger.look_at_proposal, ledger.look_at_quote):
        with pytest.raises(GoneError) as caught:
            await look(key)
        assert caught.value.status_code == 410


async def test_deleting_what_never_was_is_an_unknown_order(desk):
    """«Calls»: deleting an Order that was never seen is a 404, and a lease is no Order."""
    await desk.register(5)
    await desk.quote(1, 1)
    with pytest.raises(UnknownOrderError) as caught:
        await desk.ledger.delete(desk.key(1))
    assert caught.value.status_code == 404
    assert await desk.spaces() == (0, 1, 4)


async def test_orders_outlive_a_withdrawal(desk):
    """«Calls»: the Orders of a withdrawn Opportunity stay, and its booked comes back with it."""
    await desk.register(5)
    await desk.book(1, 2)
    await desk.book(2, 1)
    await desk.ledger.withdraw(desk.key(1).seller, [CLASS])
    assert len((await desk.ledger.look_at_order(desk.key(1))).ordered_item) == 2
    assert (await desk.book(1, 2)).replayed
    await desk.ledger.delete(desk.key(2))
    await desk.register(5)
    assert await desk.spaces() == (2, 0, 3)


async def test_concurrent_equal_bookings_book_once(desk):
    """Rule 17: 50 concurrent calls of one B book once and all get the same Order."""
    await desk.register(50)
    answers = await asyncio.gather(*(desk.book(1, 1) for _ in range(50)))
    assert sum(not answer.replayed for answer in answers) == 1
    assert all(answer.body == answers[0].body for answer in answers)
    assert await desk.spaces() == (1, 0, 49)


async def _past(desk, seconds):
    return await desk.now() >= seconds
