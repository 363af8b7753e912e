"""What is free, as Server-Sent Events."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final

from aiohttp import hdrs, web

from service.errors import OpenBookingError
from service.http.broadcast import PIECE_BYTES, TooSlowError
from service.http.context import Request
from service.http.feed import cursor_of, parse_cursor
from service.http.request import ids_of, the_seller
from service.http.response import Response, sign
from service.ledger.feed import Cursor

PATIENCE_SECONDS: Final = 5.0
"""How long a listener may take nothing before it is dropped."""

# The kernel would keep megabytes for a listener that reads nothing.
_KERNEL_BYTES: Final = 65_536

_LAST_EVENT_ID: Final = "Last-Event-ID"
_HEADERS: Final[dict[str, str]] = {
    hdrs.CONTENT_TYPE: "text/event-stream",
    hdrs.CACHE_CONTROL: "no-store",
    # nginx would collect events before it passes them on.
    "X-Accel-Buffering": "no",
}


async def get(request: Request) -> web.StreamResponse:
    """Listen to what is free: the items of the capacity feed as they come, each an event.

    Without `Last-Event-ID` it begins now: to miss nothing, read the feed first, and go on here
    with the `afterTimestamp` and `afterId` of its last `next`. With `?id=` it tells of these
    Opportunities alone. Who is too slow is disconnected, and resumes where it was.
    """
    ids = ids_of(request) if "id" in request.query else []
    wanted = request.services.feed.ids(await the_seller(request), ids) if ids else ()
    listening = request.services.broadcast.listen(_place(request), wanted)
    async with contextlib.aclosing(listening) as stream:
        first = await anext(stream)
        if request.method == hdrs.METH_HEAD:
            return Response(headers=_HEADERS)
        if request.transport is not None:
            sock = request.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BYTES)
            request.transport.set_write_buffer_limits(PIECE_BYTES)
        response = web.StreamResponse(headers=_HEADERS)
        sign(response, request.id)
        await response.prepare(request)
        try:
            await _send(response, first)
            async for text in stream:
                await _send(response, text)
        except (TimeoutError, TooSlowError):
            # To end the response properly would mean to wait for this listener once more.
            if request.transport is not None:
                request.transport.abort()
        except (ConnectionError, OpenBookingError):
            # It is gone, or the feed is: a listener comes back by itself, with its place.
            response.force_close()
    return response


def _place(request: web.BaseRequest) -> Cursor | None:
    last = request.headers.get(_LAST_EVENT_ID)
    if not last:
        return cursor_of(request)
    timestamp, _, id_ = last.partition(",")
    return parse_cursor(timestamp, id_)


async def _send(response: web.StreamResponse, text: bytes) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await response.write(text)
