"""P, what is decided upon an OrderProposal, and a look at it."""

from __future__ import annotations

from typing import Final

import msgspec

from service.http.context import Request
from service.http.request import order_key, read_order
from service.http.response import REPLAYED, Response, answer, nothing
from service.model import OrderRequest, ProposalPatch

_REQUEST: Final = msgspec.json.Decoder(OrderRequest)
_PATCH: Final = msgspec.json.Decoder(ProposalPatch)


async def put(request: Request) -> Response:
    """Hold every OrderItem, or none, until the Seller has decided (P).

    A live lease of this Order is used, and lasts as long as the Seller's policy gives proposals.
    The same call again finds the same OrderProposal, with `Idempotency-Replayed: true`.
    """
    order = read_order(request, _REQUEST, "OrderProposal")
    proposed = await request.services.ledger.propose(order_key(request, order.seller), order)
    request.spaces = len(proposed.body.ordered_item)
    return answer(proposed.body, status=201, headers=REPLAYED if proposed.replayed else None)


async def patch(request: Request) -> Response:
    """Say what the Seller or the Customer decided upon an OrderProposal.

    `SellerRejected` and `CustomerRejected` let its lease lapse; again changes nothing. Nor
    does a body without `orderProposalStatus`, such as a Customer's note.
    """
    decision = read_order(request, _PATCH, "OrderProposal")
    await request.services.ledger.decide(order_key(request, decision.seller), decision)
    return nothing()


async def get(request: Request) -> Response:
    """Look at an OrderProposal."""
    return answer(await request.services.ledger.look_at_proposal(order_key(request)))
