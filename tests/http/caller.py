"""A client that speaks HTTP itself, over a raw socket: when and as it likes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

from service.http.middleware import App
from service.http.serving import serving

PATIENCE_SECONDS = 20.0


class Reply(NamedTuple):
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: Any


class Caller:
    """A client that says what it likes, when it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak over a connection."""
        self.reader = reader
        self.writer = writer

    async def say(self, *parts: bytes) -> None:
        """Send bytes; a connection that is gone already is not this method's affair."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(b"".join(parts))
            await self.writer.drain()

    async def hear(self) -> Reply:
        """Read one answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.rstrip().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            text = await self.reader.readexactly(int(headers.get("Content-Length", "0")))
        return Reply(int(status_line.split()[1]), headers, json.loads(text) if text else None)

    async def is_cut_off(self) -> bool:
        """Tell whether the service ended the connection without a word."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True

    async def drip(self, text: bytes) -> None:
        """Send a byte at a time, for as long as anybody takes them."""
        for byte in text:
            if self.reader.at_eof() or self.writer.is_closing():
                return
            await self.say(bytes([byte]))
            await asyncio.sleep(0.02)


MakeCaller = Callable[[], Awaitable[Caller]]


@contextlib.asynccontextmanager
async def callers(app: App, bound: socket.socket | None = None) -> AsyncIterator[MakeCaller]:
    """Serve an application as a worker does it, on a socket; give what connects to it."""
    bound = bound or socket.create_server(("127.0.0.1", 0))
    where = bound.getsockname()
    async with contextlib.AsyncExitStack() as resources:
        await resources.enter_async_context(serving(app, [bound]))

        async def connect() -> Caller:
            if isinstance(where, str):
                reader, writer = await asyncio.open_unix_connection(where, limit=4096)
            else:
                reader, writer = await asyncio.open_connection(*where, limit=4096)
            resources.callback(writer.close)
            return Caller(reader, writer)

        yield connect
