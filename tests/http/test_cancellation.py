from __future__ import annotations

import json

import pytest

from tests.http.front_end import (
    EXAMPLES,
    ITEM,
    OPENACTIVE,
    PUBLISHED_UUID,
    SELLER,
    UUIDS,
    FrontEnd,
)

ORDER = UUIDS[0]
IDS = [f"https://example.com/api/orders/{ORDER}#/orderedItem/{number}" for number in range(3)]


async def statuses(desk: FrontEnd, uuid: str = ORDER) -> list[str]:
    """Return the status of each OrderItem of an Order."""
    order = (await desk.look(uuid, "orders")).body
    return [item["orderItemStatus"].removeprefix(OPENACTIVE) for item in order["orderedItem"]]


async def book_three(desk: FrontEnd) -> None:
    """Book three of five spaces, each OrderItem with its own `@id`."""
    await desk.sell(5)
    items = ({**ITEM, "@id": id_} for id_ in IDS)
    assert (await desk.book(ORDER, *items)).status == 201


async def test_the_published_cancellation_goes_through(desk: FrontEnd) -> None:
    """The standard's own cancellation goes through, by the `@id` that B was given (rule 20)."""
    await desk.sell(1)
    published = json.loads((EXAMPLES / "order-cancellation-request.json").read_text())
    [cancelled] = published["body"]["orderedItem"]
    b = json.loads((EXAMPLES / "b-request.json").read_text())["body"]
    b["orderedItem"][0]["@id"] = cancelled["@id"]
    assert (await desk.call("PUT", f"/orders/{PUBLISHED_UUID}", b)).status == 201
    assert await desk.free() == 0
    assert (await desk.published("order-cancellation-request")).status == 204
    assert await statuses(desk, PUBLISHED_UUID) == ["CustomerCancelled"]
    assert await desk.free() == 1


@pytest.mark.parametrize("name", [{"position": 1}, {"@id": IDS[1]}])
async def test_spaces_come_back_at_once_and_only_once(
    desk: FrontEnd, name: dict[str, object]
) -> None:
    """A cancelled OrderItem is free at once, and cancelling it again changes nothing (rule 20)."""
    await book_three(desk)
    for _ in range(2):
        assert (await desk.cancel(ORDER, name)).status == 204
        assert await desk.free() == 3
        assert await statuses(desk) == [
            "OrderItemConfirmed",
            "CustomerCancelled",
            "OrderItemConfirmed",
        ]


async def test_the_seller_may_cancel_too(desk: FrontEnd) -> None:
    """The status says who cancelled, and the first who did stays (rule 20)."""
    await book_three(desk)
    status = {"orderItemStatus": f"{OPENACTIVE}SellerCancelled"}
    assert (await desk.cancel(ORDER, {"position": 0, **status})).status == 204
    assert (await desk.cancel(ORDER, {"position": 0}, {"position": 1})).status == 204
    assert await statuses(desk) == ["SellerCancelled", "CustomerCancelled", "OrderItemConfirmed"]


async def test_an_order_item_that_is_not_there_cancels_nothing(desk: FrontEnd) -> None:
    """One unknown OrderItem: 500 `OrderItemNotWithinOrderError`, and all stay (rule 20)."""
    await book_three(desk)
    for unknown in ({"position": 3}, {"@id": f"{IDS[0]}0"}, {"@id": "1"}):
        refused = await desk.cancel(ORDER, {"position": 0}, unknown, {"position": 1})
        assert refused.error == (500, "OrderItemNotWithinOrderError")
        assert str(*unknown.values()) in refused.body["description"]
    assert await statuses(desk) == ["OrderItemConfirmed"] * 3
    assert await desk.free() == 2


async def test_what_is_left_to_pay_is_shown(desk: FrontEnd) -> None:
    """A look sums what is confirmed; a repeated B still gets the body of the first (rule 17)."""
    await desk.policy("TaxGross")
    await desk.sell(5, 10)
    booked = await desk.book(ORDER, ITEM, ITEM)
    await desk.cancel(ORDER, {"position": 0})
    assert (await desk.look(ORDER, "orders")).total == 10
    again = await desk.book(ORDER, ITEM, ITEM)
    assert (again.status, again.body) == (201, booked.body)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await desk.free() == 4


async def test_a_deletion_returns_what_was_not_cancelled(desk: FrontEnd) -> None:
    """Deleting an Order after a cancellation returns each space once (rule 20)."""
    await book_three(desk)
    await desk.cancel(ORDER, {"position": 0}, {"position": 2})
    assert (await desk.call("DELETE", f"/orders/{ORDER}")).status == 204
    assert await desk.free() == 5
    assert (await desk.cancel(ORDER, {"position": 0})).error == (404, "UnknownOrderError")


async def test_only_an_order_can_be_cancelled(desk: FrontEnd) -> None:
    """Nothing, another Booking Partner's Order and a proposal give 404 `UnknownOrderError`."""
    unknown = (404, "UnknownOrderError")
    assert (await desk.cancel(ORDER, {"position": 0})).error == unknown
    await desk.sell(2)
    await desk.propose(ORDER, ITEM)
    assert (await desk.cancel(ORDER, {"position": 0})).error == unknown
    await desk.book_proposal(ORDER)
    body = {"orderedItem": [{"position": 0, "orderItemStatus": f"{OPENACTIVE}CustomerCancelled"}]}
    path = f"/orders/{ORDER}"
    assert (await desk.call("PATCH", path, body, partner="other")).error == unknown
    assert (await desk.call("PATCH", path, body | {"seller": SELLER})).status == 204


@pytest.mark.parametrize(
    ("item", "kind", "place"),
    [
        ({}, "OpenBookingError", "$.orderedItem[1]: name the OrderItem"),
        ({"position": -1}, "OpenBookingError", "$.orderedItem[1].position"),
        ({"position": "1"}, "OpenBookingError", "$.orderedItem[1].position"),
        ({"@id": ""}, "OpenBookingError", "$.orderedItem[1].@id"),
        ({"orderItemStatus": None}, "OpenBookingError", "$.orderedItem[1].orderItemStatus"),
        (
            {"position": 1, "orderItemStatus": f"{OPENACTIVE}CustomerAttended"},
            "PatchNotAllowedOnPropertyError",
            "$.orderedItem[1].orderItemStatus",
        ),
    ],
)
async def test_a_bad_cancellation_is_refused_by_its_place(
    desk: FrontEnd, item: dict[str, object], kind: str, place: str
) -> None:
    """What cannot be cancelled gives a 400 that names the place, and cancels nothing (rule 24)."""
    await book_three(desk)
    refused = await desk.cancel(ORDER, {"position": 0}, item)
    assert refused.error == (400, kind)
    assert place in refused.body["description"]
    assert await desk.free() == 2


async def test_a_cancellation_of_nothing_is_refused(desk: FrontEnd) -> None:
    """A cancellation without OrderItems gives a 400 that names the place (rule 24)."""
    await book_three(desk)
    refused = await desk.cancel(ORDER)
    assert refused.error == (400, "OpenBookingError")
    assert "$.orderedItem" in refused.body["description"]
