"""P, and what is decided upon an OrderProposal."""

from __future__ import annotations

import uuid
from typing import Final

from aiohttp import web

from examples.booking_front_end.answers import answer, nothing
from examples.booking_front_end.authentication import order_of
from examples.booking_front_end.bodies import OrderBody, ProposalPatch, read
from examples.booking_front_end.drafting import path_of
from examples.booking_front_end.keys import RECORDS
from examples.booking_front_end.placing import again, complete_draft, place
from examples.booking_front_end.records import PROPOSAL, Intent
from service.errors import PatchNotAllowedOnPropertyError

AWAITING: Final = "https://openactive.io/AwaitingSellerConfirmation"
CUSTOMER_REJECTED: Final = "https://openactive.io/CustomerRejected"


async def put(request: web.Request) -> web.Response:
    """Propose an Order to its Seller (P); the same request again is answered the same."""
    order, records = order_of(request), request.app[RECORDS]
    body = await read(request, OrderBody, PROPOSAL)
    async with records.claim(order, PROPOSAL) as own:
        if PROPOSAL in own:
            return await again(request, own[PROPOSAL])
        drafted = await complete_draft(request, body)
        versions = f"{path_of(request, 'order-proposals')}/{order.uuid}/versions"
        return await place(
            request,
            drafted,
            ("propose", PROPOSAL, "order-proposals"),
            of_order={
                "orderProposalVersion": f"{versions}/{uuid.uuid4()}",
                "orderProposalStatus": AWAITING,
            },
            of_item={},
        )


async def get(request: web.Request) -> web.Response:
    """Answer an OrderProposal as it stands."""
    return answer(await request.app[RECORDS].look(order_of(request), PROPOSAL))


async def patch(request: web.Request) -> web.Response:
    """Let the Customer reject an OrderProposal."""
    order, records = order_of(request), request.app[RECORDS]
    asked = await read(request, ProposalPatch, PROPOSAL)
    if asked.order_proposal_status not in {None, CUSTOMER_REJECTED}:
        raise PatchNotAllowedOnPropertyError(f"Only {CUSTOMER_REJECTED} is allowed.")
    async with records.lock(order):
        await records.get(order, PROPOSAL)
        # A note by itself changes nothing.
        if asked.order_proposal_status is not None:
            await records.carry_out(Intent(order, "decide", {"status": CUSTOMER_REJECTED}))
    return nothing()
