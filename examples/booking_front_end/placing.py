"""What B and P have in common: all OrderItems or none, at the prices that were promised."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from examples.booking_front_end import pricing
from examples.booking_front_end.answers import answer
from examples.booking_front_end.authentication import order_of
from examples.booking_front_end.basket import heed
from examples.booking_front_end.bodies import OrderBody, digest
from examples.booking_front_end.drafting import Draft, draft, path_of
from examples.booking_front_end.keys import RECORDS, SERVICE, SETTINGS
from examples.booking_front_end.records import Intent, Record, item_id, taken
from service.errors import OpenBookingError, UnknownOrderError
from service.model import OrderItem


async def complete_draft(request: web.Request, body: OrderBody) -> Draft:
    """Return what is to be booked or proposed, at the prices that its lease guarantees."""
    drafted = await draft(request, body, customer=True)
    if not drafted.lines:
        raise OpenBookingError("$.orderedItem is missing.")
    try:
        held = await request.app[SERVICE].look_at_quote(drafted.order)
    except UnknownOrderError:
        # Without a lease it may be booked all the same, at the prices of today.
        pass
    else:
        heed(drafted.lines, held.ordered_item)
    return drafted


async def place(
    request: web.Request,
    drafted: Draft,
    intent: tuple[str, str, str],
    *,
    of_order: dict[str, Any],
    of_item: dict[str, Any],
) -> web.Response:
    """Book or propose, and answer with 201; or with 409, and why not.

    Args:
        request: The call; its caller has locked the Order.
        drafted: What was ordered.
        intent: The verb, the type of the answer, and its collection in the API.
        of_order: What the answer has besides.
        of_item: What each of its OrderItems has besides.

    Raises:
        OpenBookingError: Its sum or payment is wrong, or the service refused it as a whole.

    """
    verb, kind, collection = intent
    path = path_of(request, collection)
    headers: dict[str, str] = {}
    if not drafted.is_refused:
        body = _answer(request, drafted, kind, path, of_item) | of_order
        claimed = drafted.body.total_payment_due
        pricing.check_payment(body["totalPaymentDue"], claimed, drafted.body.payment)
        payload = {"answer": body, "proposed": False}
        same = await digest(request)
        try:
            await request.app[RECORDS].carry_out(Intent(drafted.order, verb, payload, same))
        except OpenBookingError as error:
            if error.ordered_item is None:
                raise
            said = [item for item in error.ordered_item if isinstance(item, OrderItem)]
            heed(drafted.lines, said)
            if error.retry_after is not None:
                headers["Retry-After"] = str(error.retry_after)
        else:
            return answer(body, status=201)
    return answer(drafted.answer(kind, path, drafted.items()), status=409, headers=headers)


async def again(request: web.Request, record: Record) -> web.Response:
    """Answer B or P as it was answered before.

    Raises:
        OrderAlreadyExistsError: It was another request, or what came of it was deleted.

    """
    if record.deleted or record.digest != await digest(request):
        raise taken(order_of(request))
    return answer(record.answer, status=201)


def _answer(
    request: web.Request, drafted: Draft, kind: str, path: str, of_item: dict[str, Any]
) -> dict[str, Any]:
    api_url, uuid = request.app[SETTINGS].api_url, drafted.order.uuid
    items = [
        item | {"@id": item_id(api_url, uuid, item["position"])} | of_item
        for item in drafted.items()
    ]
    body = drafted.answer(kind, path, items)
    if drafted.body.customer is not None:
        body["customer"] = drafted.body.customer
    return body
