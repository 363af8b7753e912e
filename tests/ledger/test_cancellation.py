"""Rule 20: cancelled spaces are free at once, and an Order remembers what became of its items."""

from decimal import Decimal

import pytest

from service.errors import OrderItemNotWithinOrderError, UnknownOrderError
from tests.ledger.desk import CLASS, COURT, OFFER, OPENACTIVE, order_request

IDS = [f"https://example.com/orders/1#/orderedItem/{number}" for number in (1, 2)]


async def statuses(desk, customer=1):
    """Return the status of each OrderItem of an Order, in short."""
    order = await desk.ledger.look_at_order(desk.key(customer))
    return [item.order_item_status.removeprefix(OPENACTIVE) for item in order.ordered_item]


async def test_cancelled_spaces_come_back_at_once(desk):
    """Rule 20: the spaces of the named OrderItems are free, the others stay booked."""
    await desk.register(5)
    await desk.book(1, 3)
    await desk.cancel(1, 1)
    await desk.cancel(1, 2, by="Seller")
    assert await desk.spaces() == (1, 0, 4)
    assert await statuses(desk) == ["OrderItemConfirmed", "CustomerCancelled", "SellerCancelled"]


async def test_a_repeated_cancellation_changes_nothing(desk):
    """Rule 20: neither the spaces nor the first reason."""
    await desk.register(5)
    await desk.book(1, 2)
    for by in ("Customer", "Seller"):
        await desk.cancel(1, 0, 0, by=by)
    assert await desk.spaces() == (1, 0, 4)
    assert await statuses(desk) == ["CustomerCancelled", "OrderItemConfirmed"]


async def test_items_are_named_by_the_id_that_b_was_given(desk):
    """Rule 20: by `@id` or by position, side by side."""
    await desk.register(5)
    await desk.book(1, [{"@id": id_, "orderedItem": CLASS, "acceptedOffer": OFFER} for id_ in IDS])
    await desk.cancel(1, IDS[1])
    assert await desk.spaces() == (1, 0, 4)
    await desk.cancel(1, IDS[1], 0)
    assert await desk.spaces() == (0, 0, 5)


@pytest.mark.parametrize("unknown", [7, "https://example.com/orders/2#/orderedItem/1"])
async def test_an_unknown_item_keeps_the_others_from_being_cancelled(desk, unknown):
    """Rule 20: all or nothing."""
    await desk.register(5)
    await desk.register(5, COURT)
    await desk.book(1, [(CLASS, OFFER), (COURT, OFFER)])
    with pytest.raises(OrderItemNotWithinOrderError):
        await desk.cancel(1, 0, 1, unknown)
    assert await desk.spaces() == (1, 0, 4)
    assert await statuses(desk) == ["OrderItemConfirmed"] * 2


async def test_only_an_order_can_be_cancelled(desk):
    """Rule 20: no quote, no proposal, no deleted Order."""
    await desk.register(5)
    await desk.quote(1, 1)
    await desk.propose(2, 1)
    await desk.book(3, 1)
    await desk.ledger.delete(desk.key(3))
    for customer in (1, 2, 3, 4):
        with pytest.raises(UnknownOrderError):
            await desk.cancel(customer, 0)


async def test_b_again_answers_as_before_the_cancellation(desk):
    """Rules 17 and 20: B again returns the same body; a look shows what was cancelled."""
    await desk.policy(taxMode=f"{OPENACTIVE}TaxGross")
    await desk.register(5, offers=[{"@id": OFFER, "price": 2.5, "priceCurrency": "GBP"}])
    booked = await desk.book(1, 2)
    await desk.cancel(1, 0)
    again = await desk.ledger.book(desk.key(1), order_request(2))
    assert again.replayed
    assert again.body == booked.body
    look = await desk.ledger.look_at_order(desk.key(1))
    assert look.total_payment_due.price == Decimal("2.5")


async def test_deletion_after_a_cancellation_returns_the_rest(desk):
    """Rule 20: no space comes back twice."""
    await desk.register(5)
    await desk.book(1, 3)
    await desk.book(2, 1)
    await desk.cancel(1, 0)
    for _ in range(2):
        await desk.ledger.delete(desk.key(1))
        assert await desk.spaces() == (1, 0, 4)


async def test_a_cancellation_outlives_a_withdrawal(desk):
    """Rule 20: what a withdrawn Opportunity gets back is there when it is registered again."""
    await desk.register(5)
    await desk.book(1, 2)
    await desk.ledger.withdraw("https://example.com/api/organisations/123", [CLASS])
    await desk.cancel(1, 0)
    await desk.register(5)
    assert await desk.spaces() == (1, 0, 4)
