"""A load balancer for tests: it sends new connections to the instances that are ready."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Self

_PAUSE_SECONDS = 0.05
_ANSWER_SECONDS = 10.0


class Balancer:
    """Like a Service of Kubernetes: it follows `/readyz`, and moves no connection that is open."""

    def __init__(self, ports: Sequence[int]) -> None:
        """Balance over instances on these loopback ports."""
        self._ports = ports
        self._turn = itertools.count()
        self.ready: list[int] = []
        """The ports of those that said last that they are ready."""
        self.opened = Counter[int]()
        """How many connections each instance was given."""
        self.port = 0
        self._serving: set[asyncio.Task[None]] = set()

    @classmethod
    @contextlib.asynccontextmanager
    async def over(cls, ports: Sequence[int]) -> AsyncIterator[Self]:
        """Give one that runs."""
        balancer = cls(ports)
        server = await asyncio.start_server(balancer._accept, "127.0.0.1", 0)
        balancer.port = server.sockets[0].getsockname()[1]
        following = asyncio.create_task(balancer._follow())
        async with server:
            yield balancer
        await _end({following, *balancer._serving})

    async def _follow(self) -> None:
        while True:
            answers = await asyncio.gather(*map(_is_ready, self._ports))
            self.ready = list(itertools.compress(self._ports, answers))
            await asyncio.sleep(_PAUSE_SECONDS)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = self.ready[next(self._turn) % len(self.ready)]
        self.opened[port] += 1
        with contextlib.closing(writer):
            from_instance, to_instance = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(to_instance):
                ways = {
                    asyncio.create_task(_pipe(reader, to_instance)),
                    asyncio.create_task(_pipe(from_instance, writer)),
                }
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    await _end(ways)


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


async def _is_ready(port: int) -> bool:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                writer.write(
                    b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                )
                return (await reader.read()).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False
