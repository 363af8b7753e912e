"""The policies of Sellers."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web
from msgspec import structs

from service.http.keys import LEDGER
from service.http.request import read_body, the_seller
from service.http.response import answer
from service.model import LeasingPolicyRequest, SellerPolicyRequest, StepPolicyRequest

_POLICY: Final = msgspec.json.Decoder(SellerPolicyRequest)
_NAMES: Final = [
    field.encode_name
    for kind in (LeasingPolicyRequest, StepPolicyRequest)
    for field in structs.fields(kind)
]


async def put(request: web.Request) -> web.Response:
    """Replace a Seller's policy, from the next call on.

    A step that is null does not lease; what the policy leaves out comes from the settings. Leases
    that exist stay as they are. A name in `leasing` that is misspelt is refused.
    """
    policy = await read_body(request, _POLICY, names=_NAMES)
    seller = the_seller(request, policy.id)
    return answer(await request.app[LEDGER].set_policy(seller, policy))


async def get(request: web.Request) -> web.Response:
    """Look at a Seller's policy."""
    return answer(await request.app[LEDGER].look_at_policy(the_seller(request)))
