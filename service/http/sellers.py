"""The policies of Sellers."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web
from msgspec import UNSET

from service.http.keys import LEDGER
from service.http.request import read_body, the_seller
from service.http.response import answer
from service.model import SellerPolicy

_POLICY: Final = msgspec.json.Decoder(SellerPolicy)


async def put(request: web.Request) -> web.Response:
    """Replace a Seller's policy, from the next call on.

    A step that is null does not lease; what the policy leaves out comes from the settings. Leases
    that exist stay as they are.
    """
    policy = await read_body(request, _POLICY)
    seller = the_seller(request, None if policy.id is UNSET else policy.id)
    return answer(await request.app[LEDGER].catalogue.set_policy(seller, policy))


async def get(request: web.Request) -> web.Response:
    """Look at a Seller's policy."""
    return answer(await request.app[LEDGER].catalogue.policy(the_seller(request)))
