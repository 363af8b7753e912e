"""What the service answers: every body in one place, errors included (contract, rule 24)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET, structs

from service.errors import OpenBookingError
from service.ledger import error_body
from service.model import CONTEXT, MEDIA_TYPE

REPLAYED: Final[Mapping[str, str]] = {"Idempotency-Replayed": "true"}
"""Says that an earlier call did it (contract, rule 17)."""

REQUEST_ID_HEADER: Final = "X-Request-Id"

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


def answer(
    body: object,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str = MEDIA_TYPE,
) -> web.Response:
    """Return a wire type as a response, which no cache may keep unless `headers` say so."""
    response = web.Response(body=_encode(body), status=status, headers=headers)
    response.headers[hdrs.CONTENT_TYPE] = media_type
    return response


def sign(response: web.StreamResponse, request_id: str) -> None:
    """Give an answer the headers that all have; aiohttp's own `Server` would tell its version."""
    headers = response.headers
    headers[REQUEST_ID_HEADER] = request_id
    headers[hdrs.SERVER] = "lease-service"
    headers.setdefault(hdrs.CACHE_CONTROL, "no-store")


def nothing(headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a 204."""
    return web.Response(status=204, headers=headers)


def refusal(
    error: OpenBookingError, request_id: str, *, allowed: Collection[str] = ()
) -> web.Response:
    """Return an error as its OpenActive body, with the headers that HTTP asks for beside it.

    Args:
        error: What went wrong.
        request_id: The id of the request that it went wrong for.
        allowed: The verbs that the endpoint knows, for a 405.

    """
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: "no-store"}
    if error.retry_after is not None:
        headers[hdrs.RETRY_AFTER] = str(error.retry_after)
    if error.status_code == web.HTTPUnauthorized.status_code:
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    if allowed:
        headers[hdrs.ALLOW] = ", ".join(sorted(allowed))
    body = structs.replace(
        error_body(error),
        context=CONTEXT,
        request_id=request_id,
        ordered_item=list(error.ordered_item) or UNSET,
    )
    response = answer(body, status=error.status_code, headers=headers)
    sign(response, request_id)
    if error.status_code == web.HTTPRequestTimeout.status_code:
        # The rest of the request may come still, and is no request.
        response.force_close()
    return response
