"""B, cancellation and deletion of an Order, and a look at it."""

from __future__ import annotations

from typing import Final

import msgspec

from service.http.context import Request
from service.http.request import order_key, read_order
from service.http.response import REPLAYED, Response, answer, nothing
from service.model import OrderPatch, OrderRequest

_REQUEST: Final = msgspec.json.Decoder(OrderRequest)
_PATCH: Final = msgspec.json.Decoder(OrderPatch)


async def put(request: Request) -> Response:
    """Book every OrderItem, or none (B).

    A live lease of this Order is used and ends; without one the call books if there is room.
    Without `orderedItem` it books what was proposed. The same call again returns the same body,
    with `Idempotency-Replayed: true`.
    """
    order = read_order(request, _REQUEST, "Order")
    booked = await request.services.ledger.book(order_key(request, order.seller), order)
    request.spaces = len(booked.body.ordered_item)
    return answer(booked.body, status=201, headers=REPLAYED if booked.replayed else None)


async def patch(request: Request) -> Response:
    """Cancel OrderItems of an Order: all of those named, or none.

    Each is named by its `@id`, where B was given one, or by its `position`. Their spaces come back
    at once; cancelling again changes nothing.
    """
    cancellation = read_order(request, _PATCH, "Order")
    await request.services.ledger.cancel(order_key(request, cancellation.seller), cancellation)
    request.spaces = len(cancellation.ordered_item)
    return nothing()


async def delete(request: Request) -> Response:
    """Delete an Order and return all its spaces; again changes nothing."""
    await request.services.ledger.delete(order_key(request))
    return nothing()


async def get(request: Request) -> Response:
    """Look at an Order."""
    return answer(await request.services.ledger.look_at_order(order_key(request)))
