"""An application on its sockets: the limits of each connection, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
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
        connection.begin(came)
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
                lambda: Connection(server, loop),
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
        await app.services.in_flight.finish(IN_FLIGHT_SECONDS)


async def _look_for_slow_clients(server: web.Server) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = loop.time()
        for connection in server.connections:
            if isinstance(connection, Connection):
                connection.look(now)
