"""Stands between the service and its Redis, and does what a bad network does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_CHUNK: Final = 65_536
_EVERY: Final = 3


class Mischief(Enum):
    """What happens to a connection on which a script is called."""

    CUT_BEFORE_SENDING = "before Redis gets the call"
    CUT_AFTER_SENDING = "when Redis has the call, before it answers"
    CUT_IN_THE_ANSWER = "in the middle of the answer"
    GARBLE_THE_ANSWER = "the answer comes, as noise"
    HOLD_THE_CALL = "the call never gets to Redis"
    HOLD_THE_ANSWER = "the answer never comes"


class Proxy:
    """Passes bytes on between two unix sockets, until it is told to do mischief."""

    def __init__(self, server: Path, listen: Path) -> None:
        """Listen at `listen`, for the Redis at `server`."""
        self.url = f"unix://{listen}"
        self.mischief: Mischief | None = None
        self.about = b"EVAL"
        """What is in a call that may meet it."""
        self.every = _EVERY
        """Of so many chunks with such calls one meets it."""
        self.incidents = 0
        """How often it was met."""
        self._server = server
        self._listen = listen
        self._chunks = 0
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._listener = await asyncio.start_unix_server(self._accept, self._listen)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every connection."""
        self._listener.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.ensure_future(self._connect(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; whichever side ends ends both."""
        async with _closing(writer):
            try:
                answers, calls = await asyncio.open_unix_connection(self._server)
            except OSError:
                return
            async with _closing(calls):
                fates: set[Mischief] = set()
                ways = [
                    asyncio.ensure_future(self._pass_calls(fates, reader, calls)),
                    asyncio.ensure_future(self._pass_answers(fates, answers, writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)

    async def _pass_calls(
        self, fates: set[Mischief], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            if self.mischief and self.about in chunk:
                self._chunks += 1
                if self._chunks % self.every == 0:
                    fates.add(self.mischief)
            if Mischief.CUT_BEFORE_SENDING in fates:
                self.incidents += 1
                return
            if Mischief.HOLD_THE_CALL in fates:
                self.incidents += 1
                continue
            writer.write(chunk)
            await writer.drain()

    async def _pass_answers(
        self, fates: set[Mischief], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            self.incidents += bool(fates)
            if Mischief.CUT_AFTER_SENDING in fates:
                return
            if Mischief.CUT_IN_THE_ANSWER in fates:
                writer.write(chunk[: len(chunk) // 2])
                return
            if Mischief.GARBLE_THE_ANSWER in fates:
                writer.write(bytes(byte ^ 0xFF for byte in chunk))
            elif Mischief.HOLD_THE_ANSWER not in fates:
                writer.write(chunk)
            await writer.drain()


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
