"""P, what is decided upon an OrderProposal, and a look at it."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from service.http.keys import LEDGER, NOTE
from service.http.request import order_key, read_body
from service.http.response import REPLAYED, answer, nothing
from service.model import OrderRequest, ProposalPatch

_REQUEST: Final = msgspec.json.Decoder(OrderRequest)
_PATCH: Final = msgspec.json.Decoder(ProposalPatch)


async def put(request: web.Request) -> web.Response:
    """Hold every OrderItem, or none, until the Seller has decided (P).

    A live lease of this Order is used, and lasts as long as the Seller's policy gives proposals.
    The same call again finds the same OrderProposal, with `Idempotency-Replayed: true`.
    """
    order = await read_body(request, _REQUEST)
    proposed = await request.app[LEDGER].orders.propose(order_key(request, order.seller), order)
    request[NOTE].spaces = len(proposed.body.ordered_item)
    return answer(proposed.body, status=201, headers=REPLAYED if proposed.replayed else None)


async def patch(request: web.Request) -> web.Response:
    """Say what the Seller or the Customer decided upon an OrderProposal.

    `SellerRejected` and `CustomerRejected` let its lease lapse; again changes nothing.
    """
    decision = await read_body(request, _PATCH)
    await request.app[LEDGER].orders.decide(order_key(request, decision.seller), decision)
    return nothing()


async def get(request: web.Request) -> web.Response:
    """Look at an OrderProposal."""
    return answer(await request.app[LEDGER].orders.look_at_proposal(order_key(request)))
