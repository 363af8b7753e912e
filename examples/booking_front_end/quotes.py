"""C1, C2, and a Customer who gives up."""

from __future__ import annotations

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET

from examples.booking_front_end.answers import answer, nothing
from examples.booking_front_end.authentication import order_of
from examples.booking_front_end.basket import heed, needs_approval
from examples.booking_front_end.bodies import QuoteBody, read
from examples.booking_front_end.drafting import draft, path_of
from examples.booking_front_end.keys import RECORDS, SERVICE
from examples.booking_front_end.records import QUOTE


async def put_template(request: web.Request) -> web.Response:
    """Quote and lease for a Customer who is not known yet (C1)."""
    return await _quote(request, "order-quote-templates", is_named=False)


async def put(request: web.Request) -> web.Response:
    """Quote and lease for a known Customer (C2)."""
    return await _quote(request, "order-quotes", is_named=True)


async def delete(request: web.Request) -> web.Response:
    """Give back what is leased; there may be nothing."""
    await request.app[SERVICE].release(order_of(request))
    return nothing()


async def _quote(request: web.Request, collection: str, *, is_named: bool) -> web.Response:
    drafted = await draft(request, await read(request, QuoteBody, QUOTE), customer=is_named)
    service = request.app[SERVICE]
    lease = service.quote if is_named else service.quote_template
    # What cannot be booked anyway is not leased, and what was leased and is not asked for any more
    # the service gives back by itself.
    async with request.app[RECORDS].claim(drafted.order, QUOTE):
        quoted = await lease(drafted.order, [line.request() for line in drafted.sound])
    heed(drafted.lines, quoted.quote.ordered_item)
    body = drafted.answer("OrderQuote", path_of(request, collection), drafted.items())
    body["orderRequiresApproval"] = needs_approval(drafted.lines)
    if is_named and drafted.body.customer is not None:
        body["customer"] = drafted.body.customer
    if quoted.quote.lease is not UNSET:
        body["lease"] = msgspec.to_builtins(quoted.quote.lease)
    headers: dict[str, str] = {}
    if quoted.retry_after is not None:
        headers[hdrs.RETRY_AFTER] = str(quoted.retry_after)
    return answer(body, status=409 if drafted.is_refused else 200, headers=headers)
