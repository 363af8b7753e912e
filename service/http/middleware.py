"""Around every request: its id, its token, its errors, its line in the log (contract, rule 24)."""

from __future__ import annotations

import logging
import math
import random
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

import structlog
from aiohttp import hdrs, web

from service.errors import (
    InternalApplicationError,
    MethodNotAllowedError,
    OpenBookingError,
    TooManyRequestsError,
    UnknownOrIncorrectEndpointError,
)
from service.http.access import Scope
from service.http.admission import ShedError, Tally
from service.http.keys import (
    DASHBOARD,
    IN_FLIGHT,
    NOTE,
    OBSERVER,
    READINESS,
    TOKENS,
    Note,
)
from service.http.response import REQUEST_ID_HEADER, refusal, sign
from service.http.routes import ROUTE_OF, UNKNOWN, Route
from service.redis.errors import NothingSentError, OutcomeUnknownError

_TRACE_PARENT: Final = "traceparent"
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACE: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_REFUSED: Final = "request.refused"
_AWAY: Final = web.HTTPServiceUnavailable.status_code
_RETRY_SECONDS: Final = 1
_AWAY_BECAUSE: Final[Mapping[type[Exception], str]] = {
    NothingSentError: "Redis is out of reach, or refuses; nothing was changed. Repeat the call.",
    OutcomeUnknownError: "Redis did not answer in time. Repeat the call: the same call is safe.",
}
_SANE_ID: Final = re.compile(r"[!-~]{1,128}")

_log = structlog.stdlib.get_logger(__name__)


class Edge:
    """What every request of an application passes on its way in and out."""

    def __init__(self, app: web.Application) -> None:
        """Look up what a request needs, once; the application has all of it by now."""
        self._app = app
        self._in_flight = app[IN_FLIGHT]
        self._observer = app[OBSERVER]
        self._readiness = app[READINESS]
        self._tokens = app.get(TOKENS)
        self._shed = Tally()
        # As the module has it, it is put together anew for each call.
        self._log = _log.bind()

    @web.middleware
    async def middleware(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Answer a request, whatever happens on the way."""
        began = time.perf_counter()
        note = request[NOTE] = Note(_request_id(request))
        route = ROUTE_OF.get(request.match_info.handler)
        response: web.StreamResponse
        is_shed = False
        self._in_flight.enter()
        try:
            if route is not None and route.scope is not None:
                self._admit(request, route, route.scope, began)
            response = await handler(request)
        except ShedError as shed:
            note.error, is_shed = shed.error, True
            response = refusal(note.error, note.request_id)
        except Exception as raised:  # noqa: BLE001 - whatever it is, the client gets an OpenBookingError
            note.error = _as_open_booking_error(raised, route, _names(request, note.request_id))
            allowed = (
                raised.allowed_methods if isinstance(raised, web.HTTPMethodNotAllowed) else ()
            )
            response = refusal(note.error, note.request_id, allowed=allowed)
        finally:
            self._in_flight.leave()
        if self._readiness.draining:
            # The next call of this connection might come just as it is closed.
            response.force_close()
        sign(response, note.request_id)
        seconds = time.perf_counter() - began
        self._count(route, note, response.status, seconds)
        # A line for each that is shed would cost more than the call.
        if not is_shed:
            self._record(request, route, note, response.status, seconds)
        return response

    def _admit(self, request: web.Request, route: Route, scope: Scope, now: float) -> None:
        """Let a call of the API pass: its token allows it, and there are not too many already.

        Raises:
            OpenBookingError: Its token does not allow it.
            ShedError: There are too many, of everyone or of this token.

        """
        if self._tokens is not None:
            grant = self._tokens.authorise(request.headers.get(hdrs.AUTHORIZATION), scope)
            request[NOTE].grant = grant
            if grant.pace is not None and (seconds := grant.pace.take(now)):
                grant.shed.add("token.too_fast", now, token=grant.name)
                raise ShedError(
                    TooManyRequestsError(
                        f"This token may make {grant.pace.rate:g} calls per second.",
                        retry_after=math.ceil(seconds),
                    )
                )
        if self._in_flight.is_full:
            self._shed.add("requests.too_many", now)
            busy = "Too many calls at once; nothing was changed. Repeat this one a little later."
            raise ShedError(_unavailable(route, busy))

    def _count(self, route: Route | None, note: Note, status: int, seconds: float) -> None:
        """Tell those who count; what is refused is counted with all its reasons."""
        errors: Collection[str] = ()
        if note.error is not None or note.refused:
            items = note.refused if note.error is None else note.error.ordered_item
            refused = [item for item in items if item.error]
            if refused:
                self._app[DASHBOARD].count(refused)
            errors = {reason.type for item in refused for reason in item.error or ()}
            if note.error is not None:
                errors.add(type(note.error).__name__)
        step = UNKNOWN if route is None else route.step
        self._observer.answered(step, status, errors, seconds)

    def _record(
        self, request: web.Request, route: Route | None, note: Note, status: int, seconds: float
    ) -> None:
        """Write one line for what changed something, or was refused."""
        events = None if route is None else route.events
        if status == _AWAY:
            level = logging.ERROR
        elif events is not None:
            level = events.level
        elif note.error is not None:
            level = logging.INFO
        else:
            return
        if not self._log.is_enabled_for(level):
            return
        event = _REFUSED
        if events is not None:
            event = events.done if status < web.HTTPBadRequest.status_code else events.refused
        fields: dict[str, Any] = {
            **_names(request, note.request_id),
            "status": status,
            "duration_ms": round(seconds * 1000, 2),
        }
        if note.grant is not None:
            fields["token"] = note.grant.name
        if note.error is not None:
            fields["error"] = type(note.error).__name__
            if note.error.reason is not None:
                fields["reason"] = note.error.reason
        elif note.spaces is not None:
            fields["spaces"] = note.spaces
        self._log.log(level, event, **fields)


def _unavailable(
    route: Route | None, description: str, reason: str | None = None
) -> OpenBookingError:
    """Return the 503 that the standard has for a call, or the general one (rule 25)."""
    kinds = () if route is None else route.refuses
    kind = next((kind for kind in kinds if kind.status == _AWAY), OpenBookingError)
    return kind(description, status=_AWAY, retry_after=_RETRY_SECONDS, reason=reason)


def _request_id(request: web.Request) -> str:
    given = request.headers.get(REQUEST_ID_HEADER)
    if given and _SANE_ID.fullmatch(given):
        return given
    # Unique is enough, and asks the kernel nothing.
    return f"{random.getrandbits(128):032x}"


def _names(request: web.Request, request_id: str) -> dict[str, object]:
    """Return what a line in the log is found by: the request's id, and its caller's trace."""
    names: dict[str, object] = {"request_id": request_id}
    if trace := _TRACE.fullmatch(request.headers.get(_TRACE_PARENT, "")):
        names["trace_id"] = trace[1]
    return names


def _as_open_booking_error(
    raised: Exception, route: Route | None, names: dict[str, object]
) -> OpenBookingError:
    match raised:
        case OpenBookingError():
            return raised
        case NothingSentError() | OutcomeUnknownError():
            return _unavailable(route, _AWAY_BECAUSE[type(raised)], str(raised))
        case web.HTTPNotFound():
            return UnknownOrIncorrectEndpointError("There is nothing at this path; see /docs.")
        case web.HTTPMethodNotAllowed():
            return MethodNotAllowedError(f"This endpoint does not know {raised.method}.")
        case web.HTTPException():
            return OpenBookingError(f"{raised.reason}.", status=raised.status)
    _log.error("request.failed", **names, exc_info=raised)
    return InternalApplicationError("The service failed; its log has the details.")
