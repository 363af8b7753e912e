"""One connection of a client: how long it may dawdle, and what it hears beside HTTP.

aiohttp waits for a request, and for an answer to be taken, as long as the client likes. Here one
look a second at every connection ends that, and costs a request nothing.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from service.errors import InternalApplicationError, OpenBookingError
from service.http.response import refusal

if TYPE_CHECKING:
    from service.http.context import Request

LINE_BYTES: Final = 65_536
"""The longest request line: one with a hundred long ids in its query still fits."""

HEADER_BYTES: Final = 8192
"""The longest header, with its name."""

HEADERS: Final = 100
"""The most headers of a request."""

HEAD_SECONDS: Final = 10.0
"""How long a request's line and headers may take; the first ones, from the connection on."""

TAKE_SECONDS: Final = 20.0
"""How long a client may take for the next `TAKE_BYTES` of an answer."""

TAKE_BYTES: Final = 1024

# A front-end keeps its connections; whoever closes one first makes a request fail now and then, so
# that is to be the client. A little more than an hour is more than proxies keep them.
_IDLE_SECONDS: Final = 3630.0
# What is left of a body that was refused is read for so long, or the answer would be lost.
_LINGER_SECONDS: Final = 5.0
_GRACE_SECONDS: Final = 0.05
_AT_ONCE: Final = struct.pack("ii", 1, 0)
_HEADERS_TOO_LARGE: Final = 431

_log = structlog.stdlib.get_logger(__name__)


class Connection(web.RequestHandler):
    """aiohttp's side of a connection, with an end to its patience.

    Attributes:
        request: The one that is being answered.
        requests: How many there have been.
        is_for_this_machine: Whether requests that name another host are refused (rule 26).

    """

    def __init__(
        self,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        *,
        is_for_this_machine: bool = False,
    ) -> None:
        """Wait for a client of `server`."""
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type] # None is no log, whatever its type says
            auto_decompress=False,
            keepalive_timeout=_IDLE_SECONDS,
            lingering_time=_LINGER_SECONDS,
            max_line_size=LINE_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=HEADERS,
        )
        self.request: Request | None = None
        self.is_for_this_machine = is_for_this_machine
        self.requests = 0
        self._received = 0
        self._is_held_back = False
        self._doing: tuple[str, int] = ("", 0)
        self._mark = 0
        self._since = 0.0

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        self._received += len(data)
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override] # as asyncio has it: aiohttp closes
        """Answer what came before the client stopped sending; return whether it still listens."""
        if self.ssl_context is not None:
            return False
        # What has just come may not have begun to be answered yet.
        asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._end_when_answered)
        return True

    def pause_reading(self) -> None:
        """Let the client wait."""
        self._is_held_back = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        """Read on after a pause; aiohttp asks for it after every body, pause or not."""
        if self._is_held_back:
            self._is_held_back = False
            super().resume_reading(resume_parser)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the client."""
        super().connection_lost(exc)
        self.request = None

    def look(self, now: float) -> None:
        """End the connection if its client is too slow; call this about once a second.

        Args:
            now: Seconds of a clock that never goes back.

        """
        what, progress = self._state()
        doing = (what, self.requests)
        if doing != self._doing:
            self._doing, self._since, self._mark = doing, now, progress
        elif what == "wait":
            if progress == self._mark and self.requests:
                # Between two requests it may be silent for as long as aiohttp keeps it.
                self._since = now
            elif now - self._since >= HEAD_SECONDS:
                self.force_close()
        elif what and now - self._since >= TAKE_SECONDS:
            if progress - self._mark < TAKE_BYTES:
                self._abort()
            self._since, self._mark = now, progress

    def log_exception(self, *args: object, **kwargs: Any) -> None:  # noqa: ANN401, ARG002 - aiohttp's signature
        """Log what failed behind the handlers; what a client sent is no failure."""
        error = kwargs.get("exc_info")
        if not isinstance(error, web.RequestPayloadError | ConnectionError):
            _log.error("request.failed", exc_info=error)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature
    ) -> web.StreamResponse:
        """Answer what never reached the application, as an OpenBookingError (rule 24)."""
        if request.writer.output_size > 0:
            raise ConnectionError("The answer has begun already.")
        error: OpenBookingError
        if isinstance(exc, LineTooLong):
            limits = f"A request line has {LINE_BYTES} bytes at most, a header {HEADER_BYTES}."
            error = OpenBookingError(limits, status=_HEADERS_TOO_LARGE)
        elif status < web.HTTPInternalServerError.status_code:
            error = OpenBookingError("The request is no HTTP/1.1 that this service reads.")
        else:
            error = InternalApplicationError("The service failed.")
        response = refusal(error, cast("Request", request).id)
        response.force_close()
        return response

    def _end_when_answered(self) -> None:
        """Close behind the last answer to a client that sends nothing more."""
        request = self.request
        if request is None or (request.route is not None and request.route.lasts):
            if self.transport is not None:
                self.transport.close()
            return
        if not request.content.is_eof():
            request.content.set_exception(ConnectionResetError("The client stopped sending."))
        asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._end_when_answered)

    def _state(self) -> tuple[str, int]:
        """Return what the connection waits for its client to do, and how far that has come."""
        if self.transport is None:
            return "", 0
        if self.writing_paused:
            return "take", -self.transport.get_write_buffer_size()
        return ("wait", self._received) if self.request is None else ("", 0)

    def _abort(self) -> None:
        if self.transport is not None:
            # What it has not taken is thrown away, by the kernel too, which would keep megabytes.
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self.transport.abort()
