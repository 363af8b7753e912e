"""The bytes of a body: how many there may be, and how long they may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11

from service.errors import OpenBookingError
from service.http.context import Request

BODY_SECONDS: Final = 20.0
"""How long a body that is read whole may take."""

MOVE_SECONDS: Final = 20.0
"""How long a body that is read as a stream may take for the next `MOVE_BYTES`."""

MOVE_BYTES: Final = 1024

_TOO_SLOW: Final = 408
_TOO_LARGE: Final = 413


async def read_whole(request: Request) -> bytes:
    """Return a body of at most `LEASE_BODY_LIMIT` bytes.

    Raises:
        OpenBookingError: It is larger, did not come in time, or not whole.

    """
    content, limit = request.content, request.client_max_size
    if content.is_eof() and content.total_bytes <= limit:
        return content.read_nowait()
    too_large = OpenBookingError("The body is larger than this service reads.", status=_TOO_LARGE)
    if (request.content_length or 0) > limit:
        # Whoever says so beforehand need not send it.
        raise too_large
    _invite(request)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise too_large from error
    except TimeoutError as error:
        raise OpenBookingError(
            f"The body came too slowly: it may take {BODY_SECONDS:g} s.", status=_TOO_SLOW
        ) from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise OpenBookingError("The body did not arrive whole.") from error


async def read_chunks(request: Request) -> AsyncIterator[bytes]:
    """Yield a body of any length as it comes, until it ends or its client is gone.

    While it waits for its client the request does not count as in flight.

    Raises:
        OpenBookingError: It came too slowly.

    """
    _invite(request)
    in_flight, clock = request.services.in_flight, asyncio.get_running_loop().time
    moved, seconds = 0, MOVE_SECONDS
    while True:
        began = clock()
        in_flight.leave()
        try:
            async with asyncio.timeout(seconds):
                chunk = await request.content.readany()
        except TimeoutError as error:
            raise OpenBookingError(
                f"The body came too slowly: {MOVE_BYTES} bytes in {MOVE_SECONDS:g} s are the"
                " least.",
                status=_TOO_SLOW,
            ) from error
        except (web.RequestPayloadError, ConnectionError):
            request.is_cut_short = True
            return
        finally:
            in_flight.enter()
        if not chunk:
            return
        # Only what the client takes counts, not what the service does in between.
        moved, seconds = moved + len(chunk), seconds - (clock() - began)
        if moved >= MOVE_BYTES:
            moved, seconds = 0, MOVE_SECONDS
        yield chunk


def _invite(request: Request) -> None:
    """Let the body come that waits for it, and ignore any other expectation (RFC 9110, 10.1.1)."""
    expected = request.headers.get(hdrs.EXPECT, "").lower().split(",")
    is_awaited = "100-continue" in [each.strip() for each in expected]
    if is_awaited and request.version >= HttpVersion11 and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
