"""The media types of bodies: which are read, and in which an answer may come."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs

from service.errors import OpenBookingError
from service.http.context import Request

JSON_TYPES: Final = frozenset(
    {"application/json", "application/ld+json", "application/vnd.openactive.booking+json"}
)
STREAM_TYPES: Final = JSON_TYPES | {"application/x-ndjson", "application/jsonl"}

_OURS: Final = "application/vnd.openactive."
_VERSION: Final = "1"


def check_content_type(request: Request, accepted: frozenset[str]) -> None:
    """Refuse a body of another media type, or an encoded one: a small one may unpack to anything.

    Raises:
        OpenBookingError: With status 415.

    """
    unsupported = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise OpenBookingError("Send the body without Content-Encoding.", status=unsupported)
    given = request.headers.get(hdrs.CONTENT_TYPE)
    if given is None or given in accepted:
        return
    media_type, version = _parsed(given)
    if media_type not in accepted:
        types = " or ".join(sorted(accepted))
        raise OpenBookingError(f"Send the body with Content-Type {types}.", status=unsupported)
    if version != _VERSION:
        raise OpenBookingError(f"{media_type} has version 1 here.", status=unsupported)


def is_json(request: Request) -> bool:
    """Tell whether a body is said to be one JSON text, or not said to be anything."""
    given = request.headers.get(hdrs.CONTENT_TYPE)
    return given is None or _parsed(given)[0] in JSON_TYPES


def check_accept(request: Request) -> None:
    """Refuse to answer a client that reads other versions of our media types alone.

    Other types that it may prefer are ignored, as RFC 9110, 12.5.1, allows.

    Raises:
        OpenBookingError: With status 406.

    """
    accept = ",".join(request.headers.getall(hdrs.ACCEPT, ()))
    if "version" not in accept.lower():
        return
    ranges = [_parsed(each) for each in accept.split(",")]
    readable = {"*/*", "application/*", *JSON_TYPES}
    ours = [version for media_type, version in ranges if media_type.startswith(_OURS)]
    # Every answer in a media type of ours has version 1.
    if ours and not (
        _VERSION in ours
        or any(media_type in readable and version == _VERSION for media_type, version in ranges)
    ):
        raise OpenBookingError(
            "Answers have version 1 of their media type.", status=HTTPStatus.NOT_ACCEPTABLE
        )


@lru_cache(maxsize=256)
def _parsed(text: str) -> tuple[str, str]:
    """Return a media type, and its version: 1 where it names none, or has none."""
    media_type, *parameters = text.lower().split(";")
    media_type = media_type.strip()
    version = _VERSION
    if media_type.startswith(_OURS):
        for name, _, value in (parameter.partition("=") for parameter in parameters):
            if name.strip() == "version":
                version = value.strip().strip('"')
    return media_type, version
