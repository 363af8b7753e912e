"""An application on its socket as a worker serves it, for aiohttp's own test client."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp.test_utils import BaseTestServer, TestClient
from aiohttp.web import BaseRequest, BaseRunner
from yarl import URL

from service.http.middleware import App
from service.http.serving import serving


class Served(BaseTestServer):
    """What aiohttp's test server is, with our connections and their limits."""

    def __init__(self, app: App) -> None:
        """Serve `app` once it is started."""
        super().__init__()
        self.app = app
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
        self.app.services.broadcast.close()
        await self._resources.aclose()
        self._closed = True

    async def _make_runner(self, **_kwargs: Any) -> BaseRunner:
        raise NotImplementedError


class Client(TestClient[BaseRequest, None]):
    """A client of an application of ours."""

    app: App  # type: ignore[assignment] # aiohttp's own finds it on the server

    def __init__(self, app: App) -> None:
        """Serve `app`, and call it."""
        super().__init__(Served(app))


MakeClient = Callable[[App], Awaitable[Client]]
