"""Around every request: its id, its token, its errors, its line in the log (contract, rule 24)."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import structlog
from aiohttp import hdrs, web

from service.errors import (
    InternalApplicationError,
    MethodNotAllowedError,
    OpenBookingError,
    UnknownOrIncorrectEndpointError,
)
from service.http.keys import DASHBOARD, GRANT, OBSERVER, REFUSED, SPACES, TOKENS
from service.http.response import refusal
from service.http.routes import ROUTE_OF, UNKNOWN, Route
from service.model import OrderItem

_REQUEST_ID: Final = "X-Request-Id"
_REFUSED: Final = "request.refused"
_SANE_ID: Final = re.compile(r"[!-~]{1,128}")

_log = structlog.stdlib.get_logger(__name__)


class _Answered(NamedTuple):
    status: int
    error: OpenBookingError | None
    request_id: str


@web.middleware
async def edge(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer a request, whatever happens on the way."""
    began = time.perf_counter()
    request_id = _request_id(request)
    route = ROUTE_OF.get(request.match_info.handler)
    response: web.StreamResponse
    error: OpenBookingError | None = None
    try:
        _authorise(request, route, began)
        response = await handler(request)
    except Exception as raised:  # noqa: BLE001 - whatever it is, the client gets an OpenBookingError
        error = _as_open_booking_error(raised, request_id)
        allowed = raised.allowed_methods if isinstance(raised, web.HTTPMethodNotAllowed) else ()
        response = refusal(error, request_id, allowed=allowed)
    response.headers[_REQUEST_ID] = request_id
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    seconds = time.perf_counter() - began
    _count(request, route, response.status, error, seconds)
    _record(request, route, _Answered(response.status, error, request_id), seconds)
    return response


def _request_id(request: web.Request) -> str:
    given = request.headers.get(_REQUEST_ID)
    return given if given and _SANE_ID.fullmatch(given) else uuid.uuid4().hex


def _authorise(request: web.Request, route: Route | None, now: float) -> None:
    tokens = request.app.get(TOKENS)
    if tokens is not None and route is not None and route.scope is not None:
        presented = request.headers.get(hdrs.AUTHORIZATION)
        request[GRANT] = tokens.authorise(presented, route.scope, now)


def _as_open_booking_error(raised: Exception, request_id: str) -> OpenBookingError:
    match raised:
        case OpenBookingError():
            return raised
        case web.HTTPNotFound():
            return UnknownOrIncorrectEndpointError("There is nothing at this path; see /docs.")
        case web.HTTPMethodNotAllowed():
            return MethodNotAllowedError(f"This endpoint does not know {raised.method}.")
        case web.HTTPException():
            return OpenBookingError(f"{raised.reason}.", status=raised.status)
    _log.error("request.failed", request_id=request_id, exc_info=raised)
    return InternalApplicationError("The service failed; its log has the details.")


def _count(
    request: web.Request,
    route: Route | None,
    status: int,
    error: OpenBookingError | None,
    seconds: float,
) -> None:
    """Tell those who count; what is refused is counted with all its reasons."""
    errors = set() if error is None else {type(error).__name__}
    items = request.get(REFUSED) if error is None else error.ordered_item
    if items is not None:
        request.app[DASHBOARD].count(items)
        refused = (item for item in items if isinstance(item, OrderItem) and item.error)
        errors.update(reason.type for item in refused for reason in item.error or ())
    step = UNKNOWN if route is None else route.step
    request.app[OBSERVER].answered(step, status, errors, seconds)


def _record(
    request: web.Request, route: Route | None, answered: _Answered, seconds: float
) -> None:
    """Write one line for what changed something, or was refused."""
    status, error, request_id = answered
    events = None if route is None else route.events
    if events is None and error is None:
        return
    event = _REFUSED if events is None else events[status >= web.HTTPBadRequest.status_code]
    fields: dict[str, object] = {
        "request_id": request_id,
        "status": status,
        "duration_ms": round(seconds * 1000, 2),
    }
    if (grant := request.get(GRANT)) is not None:
        fields["token"] = grant.name
    if error is not None:
        fields["error"] = type(error).__name__
    elif (spaces := request.get(SPACES)) is not None:
        fields["spaces"] = spaces
    write = _log.error if status == web.HTTPServiceUnavailable.status_code else _log.info
    write(event, **fields)
