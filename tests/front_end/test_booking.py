"""B through the front-end, and what happens to an Order afterwards."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from examples.booking_front_end.catalogue import Catalogue
from examples.booking_front_end.settings import Settings
from examples.booking_front_end.storage import Storage
from service.client import LeaseService
from tests.front_end.broker import API, INDIVIDUAL, SESSION, SLOT, Answer, Broker, new_order

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
    """Deleting an Order returns its spaces, and may be repeated."""
    id_, order = await broker.create(), new_order()
    await broker.b(order, id_)
    await broker.sees(id_, 9)
    for _ in range(2):
        assert (await broker.call("DELETE", f"{API}/orders/{order}")).status == 204
    await broker.sees(id_, 10)
    # It was never in the feed, so its Broker need not be told there.
    assert not await broker.feed(f"{API}/orders-rpde")
    gone = await broker.call("GET", f"{API}/orders/{order}")
    assert (gone.status, gone.body["@type"]) == (410, "GoneError")
    other = await broker.of_seller("2").call("GET", f"{API}/orders/{order}")
    assert (other.status, other.body["@type"]) == (404, "UnknownOrderError")
    # As at the service: what would change it does not find it.
    assert (await broker.call("PATCH", f"{API}/orders/{order}", {})).status == 404
    assert (await broker.b(order, id_)).body["@type"] == "OrderAlreadyExistsError"
    unknown = await broker.call("DELETE", f"{API}/orders/{new_order()}")
    assert (unknown.status, unknown.body["@type"]) == (404, "UnknownOrderError")


async def test_what_a_deleted_order_was_is_gone_too(broker: Broker) -> None:
    """An OrderProposal that became an Order is unknown, and with the Order it is gone."""
    id_, order = await broker.create(flow="Approval"), new_order()
    proposed = await broker.p(order, id_)
    await broker.act("SellerAcceptOrderProposal", proposed)
    version = proposed.body["orderProposalVersion"]
    assert (await broker.b(order, orderProposalVersion=version)).status == 201
    path = f"{API}/order-proposals/{order}"
    assert (await broker.call("GET", path)).body["@type"] == "UnknownOrderError"
    await broker.call("DELETE", f"{API}/orders/{order}")
    assert (await broker.call("GET", path)).body["@type"] == "GoneError"


async def test_a_deletion_is_told_where_the_order_was(broker: Broker) -> None:
    """An Order that was in the Orders feed is there as deleted, with nothing of it."""
    id_, order = await broker.create(), new_order()
    booked = await broker.b(order, id_, id_)
    await cancel(broker, booked, 0)
    assert (await broker.feed(f"{API}/orders-rpde"))[order]["state"] == "updated"
    assert (await broker.call("DELETE", f"{API}/orders/{order}")).status == 204
    item = (await broker.feed(f"{API}/orders-rpde"))[order]
    assert (item["state"], "data" in item) == ("deleted", False)


async def test_a_deleted_order_leaves_no_person_behind(broker: Broker, settings: Settings) -> None:
    """What is kept of a deleted Order is its UUID."""
    order = new_order()
    await broker.b(order, await broker.create())
    await broker.call("DELETE", f"{API}/orders/{order}")
    async with Storage.open(settings.database) as storage:
        (row,) = await storage.rows("SELECT * FROM record")
    assert order in tuple(row)
    assert "@example.com" not in str(tuple(row))


@pytest.mark.parametrize("kind", [SESSION, SLOT, INDIVIDUAL])
async def test_a_feed_names_opportunities_only(broker: Broker, kind: str) -> None:
    """An Order in its feed has its Opportunities' `@type` and `@id`, and no `position`."""
    id_, order = await broker.create(kind), new_order()
    booked = await broker.b(order, id_)
    assert [item["position"] for item in booked.body["orderedItem"]] == [0]
    await broker.act("CustomerNotice", booked)
    (item,) = (await broker.feed(f"{API}/orders-rpde"))[order]["data"]["orderedItem"]
    type_ = booked.body["orderedItem"][0]["orderedItem"]["@type"]
    assert item["orderedItem"] == {"@type": type_, "@id": id_}
    assert "position" not in item


async def test_a_position_belongs_to_a_request(broker: Broker) -> None:
    """Order Status has no `position`, the Opportunities in full, and the answer to B keeps it."""
    id_, order = await broker.create(), new_order()
    booked = await broker.b(order, id_, id_)
    (first, second) = (await broker.call("GET", f"{API}/orders/{order}")).body["orderedItem"]
    assert "position" not in first
    assert first["orderedItem"] == second["orderedItem"]
    assert "superEvent" in first["orderedItem"]
    assert (await broker.b(order, id_, id_)).text == booked.text
    id_, proposal = await broker.create(flow="Approval"), new_order()
    proposed = await broker.p(proposal, id_)
    assert [item["position"] for item in proposed.body["orderedItem"]] == [0]
    (item,) = (await broker.call("GET", f"{API}/order-proposals/{proposal}")).body["orderedItem"]
    assert "position" not in item


async def test_an_empty_quote_has_no_items(broker: Broker) -> None:
    """Rule 10: without OrderItems everything is released, and no property is empty."""
    id_, order = await broker.create(), new_order()
    await broker.c2(order, id_)
    await broker.sees(id_, 9)
    for step in (broker.c1, broker.c2):
        quoted = await step(order)
        assert quoted.status == 200
        assert not {"orderedItem", "lease", "payment"} & {*quoted.body}
        assert [] not in quoted.body.values()
    await broker.sees(id_, 10)


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
