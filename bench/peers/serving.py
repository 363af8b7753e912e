"""What the peers have in common: a small aiohttp server on uvloop, and the answer to C1.

They decode and encode with the service's own types, so that the bytes on the wire are the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec
import uvloop
from aiohttp import web

from service.model import (
    MEDIA_TYPE,
    Lease,
    Offer,
    OrderedOpportunity,
    OrderItem,
    OrderQuote,
    OrderRequest,
    PriceSpecification,
    identity,
)

HOLD_SECONDS: Final = 3_600

_decode: Final = msgspec.json.Decoder(OrderRequest).decode
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class Ask(NamedTuple):
    """What an Order asks for."""

    partner: str
    uuid: str
    request: OrderRequest

    @property
    def spaces(self) -> dict[str, int]:
        """How many of each Opportunity."""
        return Counter(
            identity(item.ordered_item)
            for item in self.request.ordered_item or ()
            if item.ordered_item
        )


class Held(NamedTuple):
    """What became of an Opportunity."""

    type: str
    remaining: int
    price: str
    granted: bool


class Quoted(NamedTuple):
    """What became of an Order."""

    expires: float
    """Seconds since 1970."""
    held: Mapping[str, Held]
    """By the Opportunity's id."""


Quote = Callable[[Ask], Awaitable[Quoted]]


async def ask_of(request: web.Request) -> Ask:
    """Read a request."""
    partner = request.headers.get("Booking-Partner", "default")
    return Ask(partner, request.match_info["uuid"], _decode(await request.read()))


def response(ask: Ask, quoted: Quoted) -> web.Response:
    """Return an answer with the same content as the service's."""
    items = []
    total = Decimal(0)
    for position, item in enumerate(ask.request.ordered_item or ()):
        assert item.ordered_item
        assert item.accepted_offer
        held = quoted.held[identity(item.ordered_item)]
        amount, _, currency = held.price.partition(" ")
        total += Decimal(amount)
        items.append(
            OrderItem(
                position=position if item.position is None else item.position,
                accepted_offer=Offer(
                    id=identity(item.accepted_offer),
                    price=Decimal(amount),
                    price_currency=currency,
                ),
                ordered_item=OrderedOpportunity(
                    id=identity(item.ordered_item),
                    type=held.type,
                    remaining_attendee_capacity=held.remaining,
                ),
            )
        )
    expires = datetime.fromtimestamp(quoted.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert ask.request.seller
    body = OrderQuote(
        identifier=ask.uuid,
        seller=identity(ask.request.seller),
        ordered_item=items,
        lease=Lease(lease_expires=expires),
        total_payment_due=PriceSpecification(price=total, price_currency=currency),
    )
    granted = all(held.granted for held in quoted.held.values())
    return web.Response(
        body=_encode(body),
        status=200 if granted else 409,
        headers={"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"},
    )


def serve(quoting: Callable[[], AbstractAsyncContextManager[Quote]]) -> None:
    """Answer C1 on the loopback port that the command line's first argument names, for ever.

    Args:
        quoting: Gives what holds spaces.

    """

    @asynccontextmanager
    async def application() -> AsyncIterator[web.Application]:
        async with quoting() as quote:

            async def put(request: web.Request) -> web.Response:
                ask = await ask_of(request)
                return response(ask, await quote(ask))

            yield application_of(put)

    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(run(application()))


def application_of(
    put: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> web.Application:
    """Return an application with the endpoint of C1 alone."""
    app = web.Application()
    app.add_routes([web.put("/order-quote-templates/{uuid}", put)])
    return app


async def run(application: AbstractAsyncContextManager[web.Application]) -> None:
    """Serve an application until the process ends."""
    async with application as app:
        # Who hangs up at the end of a round does not go on into the next one.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1]), backlog=4096).start()
        await asyncio.Event().wait()
