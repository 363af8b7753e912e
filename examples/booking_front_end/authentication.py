"""Who calls: the Booking Partner and the Seller, by the headers of OpenActive's test suite.

A front-end for the world takes both from an access token; only this file would change.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from service.client import OrderName
from service.errors import InvalidAuthorizationDetailsError, NoAPITokenError

PARTNER_HEADER: Final = "X-OpenActive-Test-Client-Id"
SELLER_HEADER: Final = "X-OpenActive-Test-Seller-Id"


def partner_of(request: web.Request) -> str:
    """Return the Booking Partner.

    Raises:
        NoAPITokenError: The request does not say who calls.

    """
    return _header(request, PARTNER_HEADER)


def order_of(request: web.Request) -> OrderName:
    """Return the Order that a call is about.

    Raises:
        NoAPITokenError: The request does not say who calls, or for which Seller.

    """
    uuid = request.match_info["uuid"].lower()
    return OrderName(_header(request, SELLER_HEADER), partner_of(request), uuid)


def authorise(order: OrderName, seller: str) -> None:
    """Refuse a body that is about another Seller than the caller may sell for.

    Raises:
        InvalidAuthorizationDetailsError: It is.

    """
    if order.seller != seller:
        raise InvalidAuthorizationDetailsError(f"You may not book for {seller}.")


def _header(request: web.Request, name: str) -> str:
    value = request.headers.get(name)
    if not value:
        raise NoAPITokenError(f"The header {name} is missing.")
    return value
