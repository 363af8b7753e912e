"""What a request says, read and checked before the ledger is asked (contract, rule 24)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import msgspec
from aiohttp import hdrs, web

from service.errors import OpenBookingError
from service.http.keys import NOTE
from service.input import Id, Partner, Uuid, decode, usable
from service.ledger import OrderKey
from service.model import Reference, identity

T = TypeVar("T")

DEFAULT: Final = "default"
"""The Seller, or the Booking Partner, of a deployment that has just one."""

JSON_TYPES: Final = frozenset({"application/json", "application/vnd.openactive.booking+json"})
STREAM_TYPES: Final = JSON_TYPES | {"application/x-ndjson", "application/jsonl"}


def order_key(request: web.Request, seller: Reference | None = None) -> OrderKey:
    """Return the Order that a call is about: its Seller, Booking Partner and UUID.

    Args:
        request: The request, with `{uuid}` in its path.
        seller: The `seller` of its body, if any.

    Raises:
        OpenBookingError: One of the three is unusable.

    """
    key = OrderKey(the_seller(request, seller), _partner(request), _order_uuid(request))
    if (grant := request[NOTE].grant) is not None:
        grant.allow_partner(key.partner)
    return key


def the_seller(request: web.Request, in_body: Reference | None = None) -> str:
    """Return the Seller that a call is about; `default` where it names none.

    Raises:
        OpenBookingError: As `seller_of`; or the token of the call is bound to other Sellers.

    """
    seller = seller_of(request, in_body) or DEFAULT
    if (grant := request[NOTE].grant) is not None:
        grant.allow_seller(seller)
    return seller


def seller_of(request: web.Request, in_body: Reference | None = None) -> str | None:
    """Return the Seller that the body or `?seller=` names, which must agree; None without any.

    Raises:
        OpenBookingError: They differ, or `?seller=` is no usable id.

    """
    named = None if in_body is None else identity(in_body)
    if not request.rel_url.raw_query_string:
        return named
    for value in request.query.getall("seller", ()):
        in_query: str = usable(value, Id, "?seller=")
        if named is not None and named != in_query:
            raise OpenBookingError("The request names two different Sellers.")
        named = in_query
    return named


def ids_of(request: web.Request) -> list[str]:
    """Return the ids that the query asks for, in its order.

    Raises:
        OpenBookingError: There is none, or an unusable one.

    """
    ids = request.query.getall("id", [])
    if not ids:
        raise OpenBookingError("Name at least one Opportunity: ?id=…; several: ?id=…&id=….")
    return [usable(value, Id, "?id=") for value in ids]


def wants_strict(request: web.Request) -> bool:
    """Say whether the request has `Prefer: handling=strict` (RFC 7240; contract, rule 5)."""
    if "Prefer" not in request.headers:
        return False
    for preference in ",".join(request.headers.getall("Prefer")).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "handling":
            return value.strip().strip('"').lower() == "strict"
    return False


async def read_body(
    request: web.Request, decoder: msgspec.json.Decoder[T], *, names: Iterable[str] = ()
) -> T:
    """Read a whole body, at most `LEASE_BODY_LIMIT` bytes, and decode it.

    Args:
        request: The request.
        decoder: Of what the body should be.
        names: As for `decode`.

    Raises:
        OpenBookingError: It is missing, of another type, too large (413), or not what it should
            be; the description names the place (rule 24).

    """
    check_media_type(request, JSON_TYPES)
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise OpenBookingError(
            "The body is larger than this service reads.", status=413
        ) from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise OpenBookingError("The body did not arrive whole.") from error
    if not body:
        raise OpenBookingError("The body is empty; it must be JSON.")
    return decode(body, decoder, names=names)


def check_media_type(request: web.Request, accepted: frozenset[str]) -> None:
    """Refuse a body of another media type, or an encoded one: a small one may unpack to anything.

    Raises:
        OpenBookingError: With status 415.

    """
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise OpenBookingError("Send the body without Content-Encoding.", status=415)
    media_type = request.headers.get(hdrs.CONTENT_TYPE)
    if media_type is None or media_type in accepted:
        return
    if media_type.partition(";")[0].strip().lower() not in accepted:
        raise OpenBookingError(
            f"Send the body with Content-Type {' or '.join(sorted(accepted))}.", status=415
        )


def _order_uuid(request: web.Request) -> str:
    try:
        uuid: str = usable(request.match_info["uuid"].lower(), Uuid, "{uuid}")
    except OpenBookingError as error:
        raise OpenBookingError(
            "The Order UUID in the path must look like e11429ea-467f-4270-ab62-e47368996fe8, and"
            " is not of zeros only."
        ) from error
    return uuid


def _partner(request: web.Request) -> str:
    partners: Sequence[str] = request.headers.getall("Booking-Partner", ())
    if not partners:
        return DEFAULT
    try:
        # Several are no name, whatever each of them is.
        partner: str = usable(partners[0] if len(partners) == 1 else None, Partner, "header")
    except OpenBookingError as error:
        raise OpenBookingError(
            "Booking-Partner must be one header of 1 to 200 printable characters without «|»."
        ) from error
    return partner
