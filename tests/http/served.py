"""An application on its socket as a worker serves it, for aiohttp's own test client."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from service.http.keys import BROADCAST
from service.http.serving import serving


class Served(TestServer):
    """What aiohttp's test server is, with our connections: their limits and the fast lane."""

    def __init__(self, app: web.Application) -> None:
        """Serve `app` once it is started."""
        super().__init__(app)
        self._resources = contextlib.AsyncExitStack()

    async def start_server(
        self,
        loop: asyncio.AbstractEventLoop | None = None,  # noqa: ARG002 - aiohttp's signature
        **_kwargs: Any,
    ) -> None:
        """Listen on a free port."""
        if self._root is None:
            bound = socket.create_server((self.host, 0))
            await self._resources.enter_async_context(serving(self.app, [bound]))
            self.scheme, self.port = "http", bound.getsockname()[1]
            self._root = URL(f"http://{self.host}:{self.port}")

    async def close(self) -> None:
        """Stop as a worker does."""
        if BROADCAST in self.app:
            self.app[BROADCAST].close()
        await self._resources.aclose()
        self._closed = True
