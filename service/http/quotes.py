"""C1, C2, release, a payment window, and a look at a lease."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import hdrs

from service.http.context import Request
from service.http.request import order_key, read_body, read_order, wants_strict
from service.http.response import Response, answer, nothing
from service.ledger import Step
from service.model import PaymentWindowRequest, QuoteRequest, whole_seconds

_REQUEST: Final = msgspec.json.Decoder(QuoteRequest)
_WINDOW: Final = msgspec.json.Decoder(PaymentWindowRequest)


async def put_template(request: Request) -> Response:
    """Hold spaces before the Customer is known (C1).

    The lease is *anonymous*. A repeated call makes it match the latest OrderItems; an empty
    `orderedItem` releases everything. With an error in any OrderItem the status is 409 and the
    body is still the whole OrderQuote.
    """
    return await _quote(request, Step.ANONYMOUS)


async def put(request: Request) -> Response:
    """Hold spaces for a known Customer (C2).

    The lease is *named*, and lasts longer; an anonymous one becomes named. Otherwise as C1.
    """
    return await _quote(request, Step.NAMED)


async def put_payment_window(request: Request) -> Response:
    """Keep a lease alive while money moves, once.

    It lasts at least `duration` from now, also beyond the maximum hold, but no longer than the
    Seller's policy allows: 2 minutes unless it says otherwise. Asked again, it answers the same.
    """
    window = read_body(request, _WINDOW)
    key = order_key(request, window.seller)
    seconds = whole_seconds(window.duration)
    return answer(await request.services.ledger.open_payment_window(key, seconds))


async def delete(request: Request) -> Response:
    """Release the spaces of a lease.

    The answer is the same when nothing was held; `Lease-Released` says how many spaces came back.
    """
    spaces = request.spaces = await request.services.ledger.release(order_key(request))
    return nothing({"Lease-Released": str(spaces)})


async def get(request: Request) -> Response:
    """Look at a live lease."""
    return answer(await request.services.ledger.look_at_quote(order_key(request)))


async def _quote(request: Request, step: Step) -> Response:
    order = read_order(request, _REQUEST, "OrderQuote")
    strict = wants_strict(request)
    key = order_key(request, order.seller)
    quoted = await request.services.ledger.quote(key, step, order, strict=strict)
    request.spaces = quoted.held
    headers = {"Preference-Applied": "handling=strict"} if strict else {}
    if not quoted.refused:
        return answer(quoted.body, headers=headers)
    request.refused = quoted.body.ordered_item
    if quoted.retry_after is not None:
        headers[hdrs.RETRY_AFTER] = str(quoted.retry_after)
    return answer(quoted.body, status=409, headers=headers)
