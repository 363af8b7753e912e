"""An application on its sockets: the limits of each connection, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from ipaddress import ip_address
from socket import AF_UNIX, socket
from typing import Any, Final

from aiohttp import web
from aiohttp.http import RawRequestMessage

from service.http.connection import Connection
from service.http.context import Request
from service.http.middleware import App

IN_FLIGHT_SECONDS: Final = 10.0
"""How long a request may go on after the process stopped listening."""

BACKLOG: Final = 1024
"""Connections that wait in the kernel to be accepted."""

LOOK_SECONDS: Final = 1.0
"""How often slow clients are looked for."""

_HANDSHAKE_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 1.0
_FINISH_SECONDS: Final = 0.02


@contextlib.asynccontextmanager
async def serving(
    app: App, sockets: Sequence[socket], tls: ssl.SSLContext | None = None
) -> AsyncIterator[None]:
    """Serve an application; at the end stop listening, then finish what is in flight.

    Args:
        app: From `create_app` or `create_admin_app`.
        sockets: Bound already.
        tls: What TCP connections are encrypted with; a unix socket does not leave the machine.

    """
    loop = asyncio.get_running_loop()

    def request(
        message: RawRequestMessage,
        payload: Any,  # noqa: ANN401 - these as aiohttp has them
        connection: Any,  # noqa: ANN401 - as `payload`
        *rest: Any,  # noqa: ANN401 - as `payload`
    ) -> Request:
        found = app.find(message.url.raw_path)
        came = Request(app.services, found, message, payload, connection, *rest, loop)
        connection.request = came
        connection.requests += 1
        return came

    server = web.Server(
        app.handle,  # type: ignore[arg-type] # it gets what the factory makes
        request_factory=request,
    )
    async with contextlib.AsyncExitStack() as resources:
        resources.push_async_callback(server.shutdown, _CLOSE_SECONDS)
        resources.callback(server.pre_shutdown)
        looking = asyncio.create_task(_look_for_slow_clients(server))
        resources.callback(looking.cancel)
        listeners = [
            await loop.create_server(
                partial(
                    Connection,
                    server,
                    loop,
                    is_for_this_machine=app.is_open and _is_loopback(bound),
                ),
                sock=bound,
                backlog=BACKLOG,
                ssl=(own := None if bound.family == AF_UNIX else tls),
                ssl_handshake_timeout=None if own is None else _HANDSHAKE_SECONDS,
            )
            for bound in sockets
        ]
        yield
        for listener in listeners:
            listener.close()
        await _finish(server)


async def _finish(server: web.Server) -> None:
    """Return when no request is open, or after `IN_FLIGHT_SECONDS`.

    aiohttp throws away what it receives once it shuts down, and with it the rest of a body that is
    on its way.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(IN_FLIGHT_SECONDS):
            # An event instead would cost every request something.
            while any(each.request is not None for each in _connections(server)):  # noqa: ASYNC110 - see above
                await asyncio.sleep(_FINISH_SECONDS)


async def _look_for_slow_clients(server: web.Server) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = loop.time()
        for connection in _connections(server):
            connection.look(now)


def _is_loopback(bound: socket) -> bool:
    return bound.family != AF_UNIX and ip_address(bound.getsockname()[0]).is_loopback


def _connections(server: web.Server) -> Iterator[Connection]:
    return (each for each in server.connections if isinstance(each, Connection))
