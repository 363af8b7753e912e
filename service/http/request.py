"""What a request says, read and checked before the ledger is asked (contract, rule 24)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec
from aiohttp import hdrs

from service.errors import OpenBookingError
from service.http.context import Request
from service.ledger import OrderKey
from service.model import Id, Reference, identity

T = TypeVar("T")

DEFAULT: Final = "default"
"""The Seller, or the Booking Partner, of a deployment that has just one."""

JSON_TYPES: Final = frozenset({"application/json", "application/vnd.openactive.booking+json"})
STREAM_TYPES: Final = JSON_TYPES | {"application/x-ndjson", "application/jsonl"}

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PARTNER_LENGTH: Final = 200


def order_key(request: Request, seller: Reference | None = None) -> OrderKey:
    """Return the Order that a call is about: its Seller, Booking Partner and UUID.

    Args:
        request: The request, with `{uuid}` in its path.
        seller: The `seller` of its body, if any.

    Raises:
        OpenBookingError: One of the three is unusable.

    """
    key = OrderKey(the_seller(request, seller), _partner(request), _order_uuid(request))
    if (grant := request.grant) is not None:
        grant.allow_partner(key.partner)
    return key


def the_seller(request: Request, in_body: Reference | None = None) -> str:
    """Return the Seller that a call is about; `default` where it names none.

    Raises:
        OpenBookingError: As `seller_of`; or the token of the call is bound to other Sellers.

    """
    seller = seller_of(request, in_body) or DEFAULT
    if (grant := request.grant) is not None:
        grant.allow_seller(seller)
    return seller


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


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode JSON, all of it UTF-8, also where the decoder skips what it does not need.

    Raises:
        OpenBookingError: It is not what it should be.

    """
    try:
        body.decode()
        return decoder.decode(body)
    except UnicodeDecodeError as error:
        problem = f"The JSON is not UTF-8 (byte {error.start})."
    except msgspec.ValidationError as error:
        problem = _with_place(str(error), "$")
    except msgspec.DecodeError as error:
        problem = f"{error}."
    except RecursionError:
        problem = "The JSON is nested too deeply."
    raise OpenBookingError(problem)


def check_media_type(request: Request, accepted: frozenset[str]) -> None:
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
        return DEFAULT
    partner = partners[0]
    if (
        len(partners) > 1
        or not 0 < len(partner) <= _PARTNER_LENGTH
        or not partner.isprintable()
        or "|" in partner
    ):
        raise OpenBookingError(
            "Booking-Partner must be one header of 1 to 200 printable characters without «|»."
        )
    return partner


def _usable_id(value: str, place: str) -> str:
    try:
        return msgspec.convert(value, Id)
    except msgspec.ValidationError as error:
        raise OpenBookingError(_with_place(str(error), place)) from error


def _with_place(problem: str, place: str) -> str:
    """End a complaint of msgspec with its place: it leaves out the top one."""
    return f"{problem}." if " - at `" in problem else f"{problem} - at `{place}`."
