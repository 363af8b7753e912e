"""Around every request: its id, its token, its errors, its line in the log (rule 24)."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Awaitable, Collection, Iterable
from functools import partial
from typing import Any, Final, Protocol

import structlog
from aiohttp import hdrs, web

from service.errors import (
    InternalApplicationError,
    MethodNotAllowedError,
    OpenBookingError,
    TooManyRequestsError,
    UnknownOrIncorrectEndpointError,
)
from service.http.access import Scope, Tokens
from service.http.admission import Tally
from service.http.body import read_whole
from service.http.context import Request, Services
from service.http.host import check_target
from service.http.media import JSON_TYPES, STREAM_TYPES, check_accept, check_content_type
from service.http.response import refusal
from service.http.routes import UNKNOWN, Handler, Route, Router
from service.model import OrderItem


class Around(Protocol):
    """Answers a request by having the handler answer it."""

    def __call__(self, request: Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        """Return the handler's answer."""


_TRACE_PARENT: Final = "traceparent"
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACE: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_REFUSED: Final = "request.refused"
_AWAY: Final = web.HTTPServiceUnavailable.status_code
_RETRY_SECONDS: Final = 1

_log = structlog.stdlib.get_logger(__name__)


class App:
    """What answers the requests of one address.

    Attributes:
        services: What its handlers share.
        is_open: Whether it asks for no token.

    """

    def __init__(
        self,
        routes: Iterable[Route],
        services: Services,
        tokens: Tokens | None = None,
        around: Around | None = None,
    ) -> None:
        """Answer by these routes.

        Args:
            routes: What may be asked for.
            services: What their handlers share.
            tokens: Who may ask; None: everyone.
            around: What every request is answered in.

        """
        self.services = services
        self.is_open = tokens is None
        self.find = Router(routes).find
        self.handle = self._handle if around is None else partial(around, handler=self._handle)
        self._tokens = tokens
        self._in_flight = services.in_flight
        self._shed = Tally()
        # As the module has it, it is put together anew for each call.
        self._log = _log.bind()

    async def _handle(self, request: Request) -> web.StreamResponse:
        """Answer a request, whatever happens on the way."""
        began = time.perf_counter()
        try:
            response = await self._answer(request, began)
        except Exception as raised:
            request.error = _as_open_booking_error(raised, request)
            if request.writer.output_size:
                # An answer has begun: all that can be said is that it ends here.
                raise ConnectionResetError from raised
            allowed = request.calls if request.route is None else ()
            response = refusal(request.error, request.id, allowed=allowed)
        finally:
            # That its client takes the answer is another matter.
            request.connection.request = None
        if self.services.draining:
            # The next call of this connection might come just as it is closed.
            response.force_close()
        seconds = time.perf_counter() - began
        self._count(request, response.status, seconds)
        # A line for each that is shed would cost more than the call.
        if not request.is_shed:
            self._record(request, response.status, seconds)
        return response

    async def _answer(self, request: Request, now: float) -> web.StreamResponse:
        check_target(request)
        route = request.route
        if route is None:
            if request.calls:
                raise MethodNotAllowedError(f"This endpoint does not know {request.method}.")
            raise UnknownOrIncorrectEndpointError("There is nothing at this path; see /docs.")
        if route.scope is not None:
            if self._tokens is not None:
                self._authorise(request, self._tokens, route.scope, now)
            check_accept(request)
        if route.takes is not None:
            check_content_type(request, STREAM_TYPES if route.streams else JSON_TYPES)
            if not route.streams:
                request.body = await read_whole(request)
        if route.scope is not None and self._in_flight.is_full:
            self._refuse_for_load(request, route, now)
        if route.lasts:
            return await route.handler(request)
        self._in_flight.enter()
        try:
            return await route.handler(request)
        finally:
            self._in_flight.leave()

    def _authorise(self, request: Request, tokens: Tokens, scope: Scope, now: float) -> None:
        grant = request.grant = tokens.authorise(request.headers.get(hdrs.AUTHORIZATION), scope)
        if grant.pace is not None and (seconds := grant.pace.take(now)):
            grant.shed.add("token.too_fast", now, token=grant.name)
            request.is_shed = True
            raise TooManyRequestsError(
                f"This token may make {grant.pace.rate:g} calls per second.",
                retry_after=math.ceil(seconds),
            )

    def _refuse_for_load(self, request: Request, route: Route, now: float) -> None:
        self._shed.add("requests.too_many", now)
        request.is_shed = True
        kind = next((kind for kind in route.refuses if kind.status == _AWAY), None)
        busy = "Too many calls at once; nothing was changed. Repeat this one a little later."
        if kind is None:
            raise OpenBookingError(busy, status=_AWAY, retry_after=_RETRY_SECONDS)
        raise kind(busy, retry_after=_RETRY_SECONDS)

    def _count(self, request: Request, status: int, seconds: float) -> None:
        """Tell those who count; what is refused is counted with all its reasons."""
        errors: Collection[str] = ()
        error = request.error
        if error is not None or request.refused:
            items = request.refused if error is None else error.ordered_item or ()
            if items:
                self.services.dashboard.count(items)
            refused = (item for item in items if isinstance(item, OrderItem) and item.error)
            errors = {reason.type for item in refused for reason in item.error or ()}
            if error is not None:
                errors.add(type(error).__name__)
        step = UNKNOWN if request.route is None else request.route.step
        self.services.observer.answered(step, status, errors, seconds)

    def _record(self, request: Request, status: int, seconds: float) -> None:
        """Write one line for what changed something, or was refused."""
        events = None if request.route is None else request.route.events
        if status == _AWAY:
            level = logging.ERROR
        elif events is not None:
            level = events.level
        elif request.error is not None:
            level = logging.INFO
        else:
            return
        if not self._log.is_enabled_for(level):
            return
        event = _REFUSED
        if events is not None:
            event = events.done if status < web.HTTPBadRequest.status_code else events.refused
        fields: dict[str, Any] = {
            **_names(request),
            "status": status,
            "duration_ms": round(seconds * 1000, 2),
        }
        if request.grant is not None:
            fields["token"] = request.grant.name
        if request.error is not None:
            fields["error"] = type(request.error).__name__
            if status == _AWAY and request.error.__cause__ is not None:
                # What Redis said, such as that its memory is full; it names no person.
                fields["reason"] = str(request.error.__cause__)
        elif request.spaces is not None:
            fields["spaces"] = request.spaces
        self._log.log(level, event, **fields)


def _names(request: Request) -> dict[str, object]:
    """Return what a line in the log is found by: the request's id, and its caller's trace."""
    names: dict[str, object] = {"request_id": request.id}
    if trace := _TRACE.fullmatch(request.headers.get(_TRACE_PARENT, "")):
        names["trace_id"] = trace[1]
    return names


def _as_open_booking_error(raised: Exception, request: Request) -> OpenBookingError:
    if isinstance(raised, OpenBookingError):
        return raised
    _log.error("request.failed", **_names(request), exc_info=raised)
    return InternalApplicationError("The service failed; its log has the details.")
