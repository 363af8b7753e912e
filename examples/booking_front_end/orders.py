"""B, and what a Customer does with an Order afterwards."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

from aiohttp import web

from examples.booking_front_end import pricing
from examples.booking_front_end.answers import answer, nothing
from examples.booking_front_end.authentication import order_of
from examples.booking_front_end.basket import duration, needs_approval, time_until
from examples.booking_front_end.bodies import ItemPatch, OrderBody, OrderPatch, digest, read
from examples.booking_front_end.drafting import path_of
from examples.booking_front_end.errors import (
    CancellationNotPermittedError,
    OrderItemIdInvalidError,
    OrderProposalVersionOutdatedError,
)
from examples.booking_front_end.keys import RECORDS
from examples.booking_front_end.placing import again, complete_draft, place
from examples.booking_front_end.records import CONFIRMED, ORDER, PROPOSAL, Intent
from service.errors import (
    OrderCreationFailedError,
    OrderItemNotWithinOrderError,
    PatchNotAllowedOnPropertyError,
    UnknownOrderError,
)

CUSTOMER_CANCELLED: Final = "https://openactive.io/CustomerCancelled"

_ACCEPTED: Final = "https://openactive.io/SellerAccepted"


async def put(request: web.Request) -> web.Response:
    """Book (B); the same request again is answered the same."""
    order, records = order_of(request), request.app[RECORDS]
    body = await read(request, OrderBody, ORDER)
    async with records.claim(order, ORDER) as own:
        if ORDER in own:
            return await again(request, own[ORDER])
        if PROPOSAL in own:
            booked = _order_of_proposal(request, own[PROPOSAL].current, body)
            payload = {"answer": booked, "proposed": True}
            await records.carry_out(Intent(order, "book", payload, await digest(request)))
            return answer(booked, status=201)
        drafted = await complete_draft(request, body)
        if needs_approval(drafted.lines):
            raise OrderCreationFailedError("The Seller has to approve of it first: propose it.")
        confirmed = {"orderItemStatus": CONFIRMED}
        return await place(
            request, drafted, ("book", "Order", "orders"), of_order={}, of_item=confirmed
        )


async def get(request: web.Request) -> web.Response:
    """Answer an Order as it stands."""
    return answer(await request.app[RECORDS].look(order_of(request)))


async def patch(request: web.Request) -> web.Response:
    """Cancel OrderItems, all that are named or none."""
    order, records = order_of(request), request.app[RECORDS]
    asked = await read(request, OrderPatch, ORDER)
    for item in asked.ordered_item or ():
        if item.order_item_status != CUSTOMER_CANCELLED:
            raise PatchNotAllowedOnPropertyError(f"Only {CUSTOMER_CANCELLED} is allowed.")
        _check_id(request, item, order.uuid)
    async with records.lock(order):
        current = await records.get(order)
        confirmed = [item for item in _named(current, asked) if _may_be_cancelled(item)]
        if confirmed:
            payload = {"items": [item["@id"] for item in confirmed], "status": CUSTOMER_CANCELLED}
            await records.carry_out(Intent(order, "cancel", payload))
    return nothing()


async def delete(request: web.Request) -> web.Response:
    """Delete an Order and give its spaces back; again changes nothing."""
    order, records = order_of(request), request.app[RECORDS]
    async with records.lock(order):
        record = await records.find(order)
        if record is None:
            raise UnknownOrderError("There is no Order with this UUID.")
        if not record.deleted:
            await records.carry_out(Intent(order, "delete", {}))
    return nothing()


def _order_of_proposal(
    request: web.Request, proposal: dict[str, Any], body: OrderBody
) -> dict[str, Any]:
    """Return the Order that an OrderProposal becomes."""
    if proposal["orderProposalStatus"] != _ACCEPTED:
        raise OrderCreationFailedError("The Seller has not accepted the OrderProposal.")
    if body.order_proposal_version != proposal["orderProposalVersion"]:
        raise OrderProposalVersionOutdatedError("This is not the version that was accepted.")
    pricing.check_payment(proposal["totalPaymentDue"], body.total_payment_due, body.payment)
    order = {
        name: value
        for name, value in proposal.items()
        if name not in {"orderProposalStatus", "orderProposalVersion", "payment"}
    }
    order |= {"@type": "Order", "@id": f"{path_of(request, 'orders')}/{proposal['identifier']}"}
    if body.payment is not None:
        order["payment"] = body.payment
    order["orderedItem"] = [
        item | {"orderItemStatus": CONFIRMED} for item in proposal["orderedItem"]
    ]
    return order


def _check_id(request: web.Request, item: ItemPatch, uuid: str) -> None:
    orders = re.escape(path_of(request, "orders"))
    parts = re.fullmatch(rf"{orders}/([0-9a-f-]{{36}})#/orderedItem/\d+", item.id)
    if parts is None:
        raise OrderItemIdInvalidError(f"{item.id} is not an OrderItem's @id.")
    if parts[1] != uuid:
        raise OrderItemNotWithinOrderError(f"{item.id} belongs to another Order.")


def _named(order: dict[str, Any], asked: OrderPatch) -> list[dict[str, Any]]:
    items = {item["@id"]: item for item in order["orderedItem"]}
    for item in asked.ordered_item or ():
        if item.id not in items:
            raise OrderItemNotWithinOrderError(f"The Order has no OrderItem {item.id}.")
    return [items[item.id] for item in asked.ordered_item or ()]


def _may_be_cancelled(item: dict[str, Any]) -> bool:
    """Tell whether an OrderItem is still to be cancelled.

    Raises:
        CancellationNotPermittedError: The Customer may not, or not any more.

    """
    if item["orderItemStatus"] != CONFIRMED:
        return False
    offer = item["acceptedOffer"]
    if not offer.get("allowCustomerCancellationFullRefund"):
        raise CancellationNotPermittedError("This Offer does not allow it.")
    latest = offer.get("latestCancellationBeforeStartDate")
    notice = duration(latest) if latest else timedelta(0)
    if time_until(item["orderedItem"]) < notice:
        raise CancellationNotPermittedError("It is too late.")
    return True
