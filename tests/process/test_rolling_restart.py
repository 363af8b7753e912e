"""Instances are replaced one by one while Customers call, as a new version is rolled out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from tests.polling import eventually
from tests.process.balancer import Balancer
from tests.process.program import ITEMS, OPPORTUNITY, Program
from tests.servers import RedisServer, free_port

CALLERS = 16
DRAIN_SECONDS = 2
# A crowd, and not a flood: the machine has other things to do.
PAUSE_SECONDS = 0.005

BODY = json.dumps(ITEMS).encode()
EXCHANGE = (
    ("PUT", "/order-quote-templates/{uuid}", BODY, 200),
    ("PUT", "/order-quotes/{uuid}", BODY, 200),
    ("PUT", "/orders/{uuid}", BODY, 201),
    ("GET", "/orders/{uuid}", b"", 200),
)
LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)


class Caller:
    """A front-end with one connection, which it keeps open; it never repeats a call."""

    def __init__(self, port: int) -> None:
        """Call this loopback port."""
        self._port = port
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, body: bytes) -> int:
        """Make a call; return its status."""
        if self._connection is None:
            self._connection = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._connection
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        await reader.readexactly(int(length[1]) if length else 0)
        if b"\r\nconnection: close\r\n" in head.lower():
            self.close()
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None


async def book_on_and_on(port: int, answers: Counter[str], over: asyncio.Event) -> None:
    """Lease and book for one Customer after another; count what is answered, and what is not."""
    with contextlib.closing(Caller(port)) as caller:
        while not over.is_set():
            order = uuid.uuid4()
            for method, path, body, expected in EXCHANGE:
                try:
                    status = await caller.call(method, path.format(uuid=order), body)
                except (OSError, EOFError) as error:
                    caller.close()
                    answers[f"{method} {path}: {error!r}"] += 1
                else:
                    answers["as expected" if status == expected else f"{path}: {status}"] += 1
                    answers["booked"] += status == 201
            await asyncio.sleep(PAUSE_SECONDS)


@contextlib.asynccontextmanager
async def customers(port: int, answers: Counter[str]) -> AsyncIterator[None]:
    """Let Customers call until the end."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(book_on_and_on(port, answers, over))
        yield
        over.set()


async def test_a_rolling_restart_loses_no_call(
    short_folder: Path, valkey_server: RedisServer
) -> None:
    """Two instances are replaced in turn under load, and every call is answered as it should."""
    ports = [free_port(), free_port()]
    answers = Counter[str]()

    def instance(port: int) -> Program:
        return Program(
            short_folder,
            LEASE_LISTEN=f"127.0.0.1:{port}",
            LEASE_REDIS_URL=valkey_server.url,
            LEASE_KEY_PREFIX="rolling",
            LEASE_DRAIN_SECONDS=str(DRAIN_SECONDS),
        )

    async with contextlib.AsyncExitStack() as resources:

        async def start(port: int) -> Program:
            program = await asyncio.to_thread(instance(port).__enter__)
            resources.push_async_callback(asyncio.to_thread, program.__exit__, None, None, None)
            # At the end nobody calls any more.
            resources.callback(program.process.kill)
            return program

        instances = {port: await start(port) for port in ports}
        first = instances[ports[0]]
        sold = {"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 1_000_000}
        await asyncio.to_thread(first.call, "PUT", "/opportunities", [sold])
        balancer = await resources.enter_async_context(Balancer.over(ports))

        async def all_are_ready() -> bool:
            return balancer.ready == ports

        await eventually(all_are_ready)
        async with customers(balancer.port, answers):
            for port in ports:
                assert await asyncio.to_thread(instances[port].stop) == 0
                instances[port] = await start(port)
                await eventually(all_are_ready)

        [ledger] = (
            await asyncio.to_thread(
                instances[ports[0]].call, "GET", f"/opportunities?id={OPPORTUNITY}"
            )
        ).body
        assert {*answers} == {"as expected", "booked"}, answers
        assert answers["as expected"] > 2000
        assert ledger["booked"] == answers["booked"]
        assert min(balancer.opened[port] for port in ports) >= CALLERS
