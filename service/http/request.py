"""What a request says, read and checked before the ledger is asked (contract, rule 24)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from service.errors import OpenBookingError, UnexpectedOrderTypeError
from service.http.context import Request
from service.http.decoding import decode, with_place
from service.ledger import DEFAULT_SELLER, DefaultOrderKey, OrderKey
from service.model import Id, OrderBody, Reference, identity
from service.text import is_partner, type_names

T = TypeVar("T")
OrderT = TypeVar("OrderT", bound=OrderBody)

DEFAULT_PARTNER: Final = "default"
"""The Booking Partner of a deployment that has just one."""

_UUID: Final = re.compile(r"(?!0{8}(?:-0{4}){3}-0{12})[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ORDER_TYPES: Final = frozenset({"OrderQuote", "OrderProposal", "Order"})


def order_key(request: Request, seller: Reference | None = None) -> OrderKey:
    """Return the Order that a call is about: its Seller, Booking Partner and UUID.

    Args:
        request: The request, with `{uuid}` in its path.
        seller: The `seller` of its body, if any.

    Raises:
        OpenBookingError: One of the three is unusable.

    """
    named = _allowed_seller(request, seller)
    kind = DefaultOrderKey if named is None else OrderKey
    key = kind(named or DEFAULT_SELLER, _partner(request), _order_uuid(request))
    if (grant := request.grant) is not None:
        grant.allow_partner(key.partner)
    return key


async def the_seller(request: Request, in_body: Reference | None = None) -> str:
    """Return the Seller that a call is about; `default` where it names none.

    Raises:
        OpenBookingError: As `seller_of`; the token of the call is bound to other Sellers; or the
            call has to name one.

    """
    named = _allowed_seller(request, in_body)
    return await request.services.ledger.default_seller() if named is None else named


def seller_of(request: Request, in_body: Reference | None = None) -> str | None:
    """Return the Seller that the body or `?seller=` names, which must agree; None without any.

    Raises:
        OpenBookingError: They differ, or `?seller=` is no usable id.

    """
    named = None if in_body is None else identity(in_body)
    if not request.rel_url.raw_query_string:
        return named
    for value in request.query.getall("seller", ()):
        in_query = _usable_id(value, "?seller=")
        if named is not None and named != in_query:
            raise OpenBookingError("The request names two different Sellers.")
        named = in_query
    return named


def ids_of(request: Request) -> list[str]:
    """Return the ids that the query asks for, in its order.

    Raises:
        OpenBookingError: There is none, or an unusable one.

    """
    ids = request.query.getall("id", [])
    if not ids:
        raise OpenBookingError("Name at least one Opportunity: ?id=…; several: ?id=…&id=….")
    return [_usable_id(value, "?id=") for value in ids]


def wants_strict(request: Request) -> bool:
    """Say whether the request has `Prefer: handling=strict` (RFC 7240; contract, rule 5)."""
    if "Prefer" not in request.headers:
        return False
    for preference in ",".join(request.headers.getall("Prefer")).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "handling":
            return value.strip().strip('"').lower() == "strict"
    return False


def read_body(request: Request, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode a body that was read whole.

    Raises:
        OpenBookingError: It is missing, or not what it should be; the description names the place
            (rule 24).

    """
    if not request.body:
        raise OpenBookingError("The body is empty; it must be JSON.")
    return decode(request.body, decoder)


def read_order(request: Request, decoder: msgspec.json.Decoder[OrderT], kind: str) -> OrderT:
    """Decode the body of a call of one Order, which is not to be of another kind (rule 4).

    Args:
        request: The request; its body was read whole.
        decoder: Of what the body should be.
        kind: `OrderQuote`, `OrderProposal` or `Order`.

    Raises:
        UnexpectedOrderTypeError: It is one of the other two.
        OpenBookingError: As `read_body`.

    """
    body = read_body(request, decoder)
    if body.type:
        said = _ORDER_TYPES.intersection(type_names(body.type))
        if said and kind not in said:
            raise UnexpectedOrderTypeError(
                f"$.@type: this endpoint takes an {kind}, and this is an {min(said)}."
            )
    return body


def _allowed_seller(request: Request, in_body: Reference | None) -> str | None:
    seller = seller_of(request, in_body)
    if (grant := request.grant) is not None:
        grant.allow_seller(seller or DEFAULT_SELLER)
    return seller


def _order_uuid(request: Request) -> str:
    uuid = request.name.lower()
    if _UUID.fullmatch(uuid) is None:
        raise OpenBookingError(
            "The Order UUID in the path must look like e11429ea-467f-4270-ab62-e47368996fe8."
        )
    return uuid


def _partner(request: Request) -> str:
    partners: Sequence[str] = request.headers.getall("Booking-Partner", ())
    if not partners:
        return DEFAULT_PARTNER
    partner = partners[0]
    if len(partners) > 1 or not is_partner(partner):
        raise OpenBookingError(
            "Booking-Partner must be one header of 1 to 200 printable characters without «|»."
        )
    return partner


def _usable_id(value: str, place: str) -> str:
    try:
        return msgspec.convert(value, Id)
    except msgspec.ValidationError as error:
        raise OpenBookingError(with_place(str(error), place)) from error
