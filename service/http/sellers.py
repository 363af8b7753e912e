"""The policies of Sellers."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET

from service.http.context import Request
from service.http.request import read_body, the_seller
from service.http.response import Response, answer
from service.model import SellerPolicy

_POLICY: Final = msgspec.json.Decoder(SellerPolicy)


async def put(request: Request) -> Response:
    """Replace a Seller's policy, from the next call on.

    A step that is null does not lease; what the policy leaves out comes from the settings. Leases
    that exist stay as they are.
    """
    policy = read_body(request, _POLICY)
    seller = await the_seller(request, None if policy.id is UNSET else policy.id)
    return answer(await request.services.ledger.set_policy(seller, policy))


async def get(request: Request) -> Response:
    """Look at a Seller's policy."""
    return answer(await request.services.ledger.look_at_policy(await the_seller(request)))
