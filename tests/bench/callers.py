"""HTTP clients that cost little themselves: the service is what is measured."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import msgspec

from tests.bench.crowd import CALLERS, OFFER, OPPORTUNITY, SELLER, uuid

ITEM = {"@type": "OrderItem", "position": 0, "acceptedOffer": OFFER, "orderedItem": OPPORTUNITY}
BODY = msgspec.json.encode({"@type": "OrderQuote", "seller": SELLER, "orderedItem": [ITEM]})
HEAD = (
    "PUT /order-quote-templates/{uuid} HTTP/1.1\r\nHost: localhost\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)
LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)


async def microseconds_per_c1(url: str, customers: Sequence[int]) -> float:
    """Return what passes between two answers to C1, over 64 connections that stay open.

    Args:
        url: Of the service.
        customers: Who call, each once.

    """
    address = urlsplit(url)
    waiting = iter(customers)
    async with contextlib.AsyncExitStack() as open_connections:
        connections = []
        for _ in range(CALLERS):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            open_connections.callback(writer.close)
            connections.append((reader, writer))
        began = time.perf_counter()
        await asyncio.gather(*(_call(*connection, waiting) for connection in connections))
        return (time.perf_counter() - began) / len(customers) * 1e6


async def _call(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: Iterator[int]
) -> None:
    for customer in waiting:
        writer.write(HEAD.format(uuid=uuid(customer), length=len(BODY)).encode() + BODY)
        head = await reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        assert length
        await reader.readexactly(int(length[1]))
        assert head.startswith(b"HTTP/1.1 200 ")
