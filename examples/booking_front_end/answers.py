"""What the front-end answers: every body in one place, errors included."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
from aiohttp import hdrs, web

from examples.booking_front_end.storage import to_json
from service.errors import (
    InternalApplicationError,
    MethodNotAllowedError,
    OpenBookingError,
    UnknownOrIncorrectEndpointError,
)

MEDIA_TYPE: Final = "application/vnd.openactive.booking+json; version=1"
CONTEXT: Final = "https://openactive.io/"

_log = structlog.stdlib.get_logger(__name__)


def answer(
    body: object,
    *,
    status: int = 200,
    media_type: str = MEDIA_TYPE,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Return a body as a response, which no cache may keep unless `headers` say so."""
    text = body if isinstance(body, str) else to_json(body)
    response = web.Response(body=text.encode(), status=status, headers=headers)
    response.headers[hdrs.CONTENT_TYPE] = media_type
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    return response


def nothing() -> web.Response:
    """Return a 204."""
    return web.Response(status=204)


def error_body(error: OpenBookingError) -> dict[str, Any]:
    """Return an error as it stands in an OrderItem."""
    return {
        "@type": type(error).__name__,
        "statusCode": error.status_code,
        "name": error.title(),
        "description": error.description,
    }


@web.middleware
async def refusing(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer a refusal as the OpenBookingError that it is."""
    try:
        return await handler(request)
    except Exception as raised:  # noqa: BLE001 - whatever it is, the Broker gets an OpenBookingError
        error = _as_open_booking_error(raised)
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers[hdrs.RETRY_AFTER] = str(error.retry_after)
    body = {"@context": CONTEXT, **error_body(error)}
    return answer(body, status=error.status_code, headers=headers)


def _as_open_booking_error(raised: Exception) -> OpenBookingError:
    match raised:
        case OpenBookingError():
            return raised
        case web.HTTPNotFound():
            return UnknownOrIncorrectEndpointError("There is nothing at this path.")
        case web.HTTPMethodNotAllowed():
            return MethodNotAllowedError(f"This endpoint does not know {raised.method}.")
        case web.HTTPException():
            return OpenBookingError(f"{raised.reason}.", status=raised.status)
    _log.error("request.failed", exc_info=raised)
    return InternalApplicationError("The front-end failed; its log has the details.")
