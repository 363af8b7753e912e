"""An application on its sockets: the limits of each connection, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from socket import AF_UNIX, socket
from typing import Final

from aiohttp import web

from service.http.connection import HEADER_BYTES, HEADERS, LINE_BYTES, Connection
from service.http.keys import IN_FLIGHT
from service.http.lane import Lane

IN_FLIGHT_SECONDS: Final = 10.0
"""How long a request may go on after the process stopped listening."""

BACKLOG: Final = 1024
"""Connections that wait in the kernel to be accepted."""

LOOK_SECONDS: Final = 1.0
"""How often slow clients are looked for."""

_HANDSHAKE_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 1.0
# A front-end keeps its connections; whoever closes one first makes a request fail now and then, so
# that is to be the client. A little more than an hour is more than proxies keep them.
_IDLE_SECONDS: Final = 3630.0
# What is left of a body that was refused is read for so long, or the answer would be lost.
_LINGER_SECONDS: Final = 5.0


@contextlib.asynccontextmanager
async def serving(
    app: web.Application, sockets: Sequence[socket], tls: ssl.SSLContext | None = None
) -> AsyncIterator[None]:
    """Serve an application; at the end stop listening, then finish what is in flight.

    Args:
        app: From `create_app` or `create_admin_app`.
        sockets: Bound already.
        tls: What TCP connections are encrypted with; a unix socket does not leave the machine.

    """
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(app, shutdown_timeout=_CLOSE_SECONDS)
    await runner.setup()
    manager = runner.server
    assert manager is not None  # noqa: S101 - setup has made it
    lane = Lane(app)

    def connection() -> Connection:
        return Connection(
            manager,
            lane,
            loop=loop,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=_IDLE_SECONDS,
            lingering_time=_LINGER_SECONDS,
            max_line_size=LINE_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=HEADERS,
        )

    async with contextlib.AsyncExitStack() as resources:
        resources.push_async_callback(runner.cleanup)
        looking = asyncio.create_task(_look_for_slow_clients(manager))
        resources.callback(looking.cancel)
        servers = [
            await loop.create_server(
                connection,
                sock=bound,
                backlog=BACKLOG,
                ssl=(own := None if bound.family == AF_UNIX else tls),
                ssl_handshake_timeout=None if own is None else _HANDSHAKE_SECONDS,
            )
            for bound in sockets
        ]
        yield
        for server in servers:
            server.close()
        await app[IN_FLIGHT].finish(IN_FLIGHT_SECONDS)


async def _look_for_slow_clients(manager: web.Server) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = loop.time()
        for connection in manager.connections:
            if isinstance(connection, Connection):
                connection.look(now)
