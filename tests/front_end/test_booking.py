"""B through the front-end, and what happens to an Order afterwards."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from examples.booking_front_end.catalogue import Catalogue
from examples.booking_front_end.settings import Settings
from examples.booking_front_end.storage import Storage
from service.client import LeaseService
from tests.front_end.broker import API, SESSION, SLOT, Answer, Broker, new_order

CANCELLED = "https://openactive.io/CustomerCancelled"


async def cancel(broker: Broker, order: Answer, *positions: int) -> Answer:
    """Cancel the OrderItems at these positions."""
    items = [
        {"@type": "OrderItem", "@id": item["@id"], "orderItemStatus": CANCELLED}
        for item in order.body["orderedItem"]
        if item["position"] in positions
    ]
    body = {"@context": "https://openactive.io/", "@type": "Order", "orderedItem": items}
    return await broker.call("PATCH", f"{API}/orders/{order.body['identifier']}", body)


async def test_b_again_is_answered_the_same(broker: Broker) -> None:
    """Rule 17: the same B again has the same body, to the letter; another one is refused."""
    id_, order = await broker.create(), new_order()
    await broker.c2(order, id_)
    first = await broker.b(order, id_)
    assert first.status == 201
    assert await broker.b(order, id_) == first
    other = await broker.b(order, id_, id_)
    assert (other.status, other.body["@type"]) == (500, "OrderAlreadyExistsError")


@pytest.mark.parametrize("kind", [SESSION, SLOT])
async def test_cancelled_spaces_come_back(broker: Broker, kind: str) -> None:
    """A cancelled OrderItem is free again, no longer to be paid, and in the Orders feed."""
    id_, order = await broker.create(kind), new_order()
    booked = await broker.b(order, id_, id_)
    await broker.sees(id_, 8)
    assert not await broker.feed(f"{API}/orders-rpde")
    for _ in range(2):
        assert (await cancel(broker, booked, 1)).status == 204
    await broker.sees(id_, 9)
    told = (await broker.feed(f"{API}/orders-rpde"))[order]["data"]
    assert told["totalPaymentDue"]["price"] == 14.95
    assert [item["orderItemStatus"].rpartition("/")[2] for item in told["orderedItem"]] == [
        "OrderItemConfirmed",
        "CustomerCancelled",
    ]
    assert not {"customer", "seller", "payment"} & {*told}
    status = await broker.call("GET", f"{API}/orders/{order}")
    assert status.body["totalPaymentDue"] == told["totalPaymentDue"]
    assert (await broker.b(order, id_, id_)).text == booked.text


async def test_a_deleted_order_is_gone(broker: Broker) -> None:
    """Deleting an Order returns its spaces, may be repeated, and is told by the Orders feed."""
    id_, order = await broker.create(), new_order()
    await broker.b(order, id_)
    await broker.sees(id_, 9)
    for _ in range(2):
        assert (await broker.call("DELETE", f"{API}/orders/{order}")).status == 204
    await broker.sees(id_, 10)
    assert (await broker.feed(f"{API}/orders-rpde"))[order]["state"] == "deleted"
    assert (await broker.call("GET", f"{API}/orders/{order}")).status == 404
    assert (await broker.b(order, id_)).body["@type"] == "OrderAlreadyExistsError"
    unknown = await broker.call("DELETE", f"{API}/orders/{new_order()}")
    assert (unknown.status, unknown.body["@type"]) == (404, "UnknownOrderError")


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("SellerRequestedCancellation", "SellerCancelled"),
        ("SellerRequestedCancellationWithMessage", "SellerCancelled"),
        ("AttendeeAttended", "AttendeeAttended"),
        ("AttendeeAbsent", "AttendeeAbsent"),
        ("CustomerNotice", "OrderItemConfirmed"),
    ],
)
async def test_what_the_seller_does_is_told(broker: Broker, action: str, status: str) -> None:
    """Whatever the Seller does to an Order is in its Booking Partner's feed."""
    id_, order = await broker.create(), new_order()
    await broker.act(action, await broker.b(order, id_))
    (item,) = (await broker.feed(f"{API}/orders-rpde"))[order]["data"]["orderedItem"]
    assert item["orderItemStatus"] == f"https://openactive.io/{status}"
    assert ("cancellationMessage" in item) == action.endswith("WithMessage")
    assert ("customerNotice" in item) == (action == "CustomerNotice")
    await broker.sees(id_, 10 if status == "SellerCancelled" else 9)


@pytest.mark.parametrize(
    ("seller", "total", "tax"), [("1", "29.90", "4.98"), ("2", "35.88", "5.98")]
)
async def test_tax_is_in_the_price_or_on_top(
    broker: Broker, seller: str, total: str, tax: str
) -> None:
    """A Seller with TaxGross has the tax in its prices, one with TaxNet adds it."""
    broker = broker.of_seller(seller)
    id_, order = await broker.create(), new_order()
    for said in (await broker.c1(order, id_, id_), await broker.b(order, id_, id_)):
        exact = json.loads(said.text, parse_float=Decimal)
        assert exact["totalPaymentDue"]["price"] == Decimal(total)
        assert exact["totalPaymentTax"][0]["price"] == Decimal(tax)


async def test_a_price_is_kept_while_it_is_leased(broker: Broker, settings: Settings) -> None:
    """Rule 13: what is leased costs what it did then, at C2 and at B; the next pays what it is."""
    id_, order = await broker.create(), new_order()
    await broker.c1(order, id_)
    async with (
        Storage.open(settings.database) as storage,
        LeaseService.connect(settings.service_url) as service,
    ):
        async with storage.transaction() as transaction:
            await transaction.execute("UPDATE item SET data = replace(data, '14.95', '99.00')")
        await Catalogue(storage, service).register_all()
    for said in (await broker.c2(order, id_), await broker.b(order, id_)):
        assert said.body["totalPaymentDue"]["price"] == 14.95
    assert (await broker.c1(new_order(), id_)).body["totalPaymentDue"]["price"] == 99


async def test_free_spaces_need_no_payment(broker: Broker) -> None:
    """A free Opportunity is booked without payment, and says so."""
    id_, order = await broker.create(criterion="Free"), new_order()
    booked = await broker.b(order, id_, payment=None)
    assert booked.status == 201
    due = booked.body["totalPaymentDue"]
    assert (due["price"], due["openBookingPrepayment"].rpartition("/")[2]) == (0, "Unavailable")
