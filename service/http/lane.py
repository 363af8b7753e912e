"""The fast lane: a call of one Order that came whole, past most of aiohttp's server.

aiohttp is ready for bodies that come in pieces, for streams and for upgrades: a second task, a
search through all routes, a response that is put together anew cost more than a C1 itself. What
came whole needs none of that. The handlers, what is around them and what the client hears are the
same (tests/http/test_lane.py).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiohttp import hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion11, RawRequestMessage, StreamWriter

from service.http.keys import SETTINGS

if TYPE_CHECKING:
    from aiohttp.streams import StreamReader

_OF_AN_ORDER: Final = re.compile(r"/([a-z-]+)/\{uuid\}")
# Whatever else aiohttp's router makes of a path, of one like this it makes the same.
_PATH: Final = re.compile(r"/([a-z-]+)/([0-9A-Za-z-]+)")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WholeRequest(web.Request):
    """A request that came whole, and whose route is known."""

    def __init__(
        self,
        connection: web.RequestHandler,
        message: RawRequestMessage,
        payload: StreamReader,
        match_info: web.UrlMappingMatchInfo,
    ) -> None:
        """Put together what the parser made of it, and its route."""
        loop = connection._loop  # noqa: SLF001 - CPython 3.11 asks the kernel for it
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101 - one that answers it
        super().__init__(message, payload, connection, StreamWriter(connection, loop), task, loop)
        self._match_info = match_info

    async def read(self) -> bytes:
        """Return the body."""
        return self._payload.read_nowait()


class Lane:
    """Answers the calls of one Order that came whole."""

    def __init__(self, app: web.Application) -> None:
        """Know the calls of an application; those of one Order have a path `/…/{uuid}`."""
        self._app = app
        self._body_limit = app[SETTINGS].body_limit
        self._calls = {
            (route.method, found[1]): (route, _wrapped(route.handler, app))
            for route in app.router.routes()
            if route.resource and (found := _OF_AN_ORDER.fullmatch(route.resource.canonical))
        }

    def take(
        self, connection: web.RequestHandler, message: RawRequestMessage, payload: StreamReader
    ) -> Coroutine[None, None, web.Response] | None:
        """Return what answers a request, or None if aiohttp is to see to it.

        Args:
            connection: It came on this one.
            message: Its line and headers.
            payload: Its body.

        """
        if (
            message.version != HttpVersion11
            or message.should_close
            or message.upgrade
            or not payload.is_eof()
            or payload.total_bytes > self._body_limit
            or hdrs.EXPECT in message.headers
        ):
            return None
        found = _PATH.fullmatch(message.url.raw_path)
        call = self._calls.get((message.method, found[1])) if found else None
        if found is None or call is None:
            return None
        route, handler = call
        match_info = web.UrlMappingMatchInfo({"uuid": found[2]}, route)
        match_info.add_app(self._app)
        return _answer(handler, connection, message, payload, match_info)


async def _answer(handler: _Handler, *came: Any) -> web.Response:  # noqa: ANN401 - of WholeRequest
    response = await handler(WholeRequest(*came))
    assert isinstance(response, web.Response)  # noqa: S101 - no call of an Order streams
    return response


def packed(response: web.Response) -> bytes:
    """Return an answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    if response.keep_alive is False:
        lines.append("Connection: close")
    lines.append(f"Date: {rfc822_formatted_time()}")
    if response.status == web.HTTPNoContent.status_code:
        return "\r\n".join([*lines, "", ""]).encode()
    body = response.body
    assert isinstance(body, bytes)  # noqa: S101 - all that `response.answer` makes
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def _wrapped(handler: _Handler, app: web.Application) -> _Handler:
    """Return a handler inside the application's middlewares."""
    for middleware in reversed(app.middlewares):
        handler = partial(middleware, handler=handler)
    return handler
