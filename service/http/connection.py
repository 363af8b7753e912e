"""One connection of a client: who answers it, how long it may dawdle, what it hears beside HTTP.

aiohttp waits for a request, for its body, and for an answer to be taken as long as the client
likes. Here one look a second at every connection ends that, and costs a request nothing.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import uuid
from collections.abc import Coroutine
from typing import Final

import structlog
from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong

from service.errors import InternalApplicationError, OpenBookingError
from service.http.lane import Lane, packed
from service.http.response import refusal

LINE_BYTES: Final = 65_536
"""The longest request line: one with a hundred long ids in its query still fits."""

HEADER_BYTES: Final = 8192
"""The longest header, with its name."""

HEADERS: Final = 100
"""The most headers of a request."""

HEAD_SECONDS: Final = 10.0
"""How long a request's line and headers may take; the first ones, from the connection on."""

MOVE_SECONDS: Final = 20.0
"""How long a body, or an answer, may take for the next `MOVE_BYTES`."""

MOVE_BYTES: Final = 1024

_AT_ONCE: Final = struct.pack("ii", 1, 0)
_REQUEST_TIMEOUT: Final = 408
_HEADERS_TOO_LARGE: Final = 431

_log = structlog.stdlib.get_logger(__name__)


class Connection(web.RequestHandler):
    """aiohttp's side of a connection, with an end to its patience.

    What it looks at is aiohttp's own state, which has no other name: tests/http/test_connection.py
    notices when that changes.
    """

    __slots__ = ("_answering", "_doing", "_lane", "_mark", "_received", "_since")

    def __init__(self, manager: web.Server, lane: Lane, **options: object) -> None:
        """Wait for a client.

        Args:
            manager: aiohttp's own.
            lane: Is asked first whether it takes a request.
            options: As aiohttp has them.

        """
        super().__init__(manager, **options)  # type: ignore[arg-type] # they are passed on as they are
        self._received = 0
        self._doing: tuple[str, int] = ("", 0)
        self._mark = 0
        self._since = 0.0
        self._lane = lane
        self._answering: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        self._received += len(data)
        # aiohttp's own loop is not to wake before the lane was asked.
        waiter, self._waiter = self._waiter, None
        super().data_received(data)
        self._waiter = waiter
        if self._messages and self._answering is None:
            self._go_on()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        """Read on after a pause; aiohttp asks for it after every body, pause or not."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _go_on(self) -> None:
        """Have the next request answered, on the lane or by aiohttp, which waits for it."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        message, payload = self._messages[0]
        answer = None
        # Where aiohttp has paused the client, it is also the one to go on.
        if isinstance(message, RawRequestMessage) and not (
            self._buffer_paused or self._reading_paused
        ):
            answer = self._lane.take(self, message, payload)
        if answer is None:
            waiter.set_result(None)
            return
        self._messages.popleft()
        assert self._parser is not None  # noqa: S101 - it is connected
        self._parser.message_consumed()
        # It is not idle, nor will it be for long after this.
        self._keepalive = True
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        self._answering = self._loop.create_task(self._answer(answer))

    async def _answer(self, answer: Coroutine[None, None, web.Response]) -> None:
        """Answer one request on the lane, and go on to the next."""
        try:
            response = await answer
            if self.transport is not None:
                self.transport.write(packed(response))
            if self.writing_paused:
                await self._drain_helper()
        except ConnectionError:
            return
        except Exception as error:  # noqa: BLE001 - the client is not to wait for ever
            _log.error("request.failed", exc_info=error)
            self.force_close()
            return
        self._answering = None
        if self.transport is None:
            return
        if response.keep_alive is False:
            self.transport.close()
        elif self._messages:
            self._go_on()

    def look(self, now: float) -> None:
        """End the connection if its client is too slow; call this about once a second.

        Args:
            now: Seconds of a clock that never goes back.

        """
        what, progress = self._state()
        doing = (what, self._request_count)
        if doing != self._doing:
            self._doing, self._since, self._mark = doing, now, progress
        elif what == "wait":
            if progress == self._mark and self._request_count:
                # Between two requests it may be silent for as long as aiohttp keeps it.
                self._since = now
            elif now - self._since >= HEAD_SECONDS:
                self.force_close()
        elif what and now - self._since >= MOVE_SECONDS:
            if progress - self._mark < MOVE_BYTES:
                self._give_up(what)
            self._since, self._mark = now, progress

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
        response = refusal(error, uuid.uuid4().hex)
        response.force_close()
        return response

    def _state(self) -> tuple[str, int]:
        """Return what the connection waits for its client to do, and how far that has come."""
        if self.transport is None:
            return "", 0
        if self.writing_paused:
            return "read", -self.transport.get_write_buffer_size()
        request = self._current_request
        if request is not None:
            is_ours = request.content.is_eof() or self._reading_paused or self._buffer_paused
            return ("", 0) if is_ours else ("send", self._received)
        return ("", 0) if self._waiter is None else ("wait", self._received)

    def _give_up(self, what: str) -> None:
        if what == "send" and self._current_request is not None:
            # Whoever reads the body gets this instead, and the client is told.
            self._current_request.content.set_exception(
                OpenBookingError(
                    f"The body came too slowly: {MOVE_BYTES} bytes in {MOVE_SECONDS:g} s are the"
                    " least.",
                    status=_REQUEST_TIMEOUT,
                )
            )
        elif self.transport is not None:
            # What it has not taken is thrown away, by the kernel too, which would keep megabytes.
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self.transport.abort()
