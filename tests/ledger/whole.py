"""A cluster as tests see a server: one thing that takes every command."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.crc import key_slot

from service.redis.call import Part, Script
from service.redis.nodes import Node, Nodes

_OF_EVERY_NODE = {"FLUSHALL", "KEYS", "SCRIPT"}
_OF_ANY_NODE = {"TIME"}


class WholeCluster:
    """Sends what a test asks to where its key is, or to every node.

    The service asks for the way to a key first; whatever takes that way must have such a key.
    """

    # The nodes of a test share a clock, and none is replaced while the suite runs.
    clock_margin_microseconds = 0

    def __init__(self, nodes: Nodes) -> None:
        """Speak for these nodes."""
        self._nodes = nodes

    def command(self, *parts: Part) -> asyncio.Future[Any]:
        """Send a command."""
        if parts[0] in _OF_EVERY_NODE:
            return asyncio.ensure_future(self._ask_every(*parts))
        key = "" if parts[0] in _OF_ANY_NODE else str(parts[1])
        return self._nodes.of(key).command(*parts)

    def call(
        self, script: Script, keys: Sequence[Part], args: Sequence[Part]
    ) -> asyncio.Future[Any]:
        """Run a script."""
        return self._nodes.of(str(keys[0])).call(script, keys, args)

    def of(self, key: str) -> Node:
        """Return a way that only keys of the same slot may take."""
        return _Way(self, key)

    confirming = of

    async def every(self) -> Sequence[Node]:
        """Return each node."""
        return await self._nodes.every()

    async def close(self) -> None:
        """Close all connections."""
        await self._nodes.close()

    async def _ask_every(self, *parts: Part) -> list[Any]:
        answers = await asyncio.gather(*(node.command(*parts) for node in await self.every()))
        return [item for answer in answers if isinstance(answer, list) for item in answer]


class _Way:
    """The way to one slot."""

    def __init__(self, whole: WholeCluster, key: str) -> None:
        self._whole = whole
        self._slot = key_slot(key.encode())

    def command(self, *parts: Part) -> asyncio.Future[Any]:
        if parts[0] not in _OF_ANY_NODE:
            self._check(parts[1:2])
        return self._whole.command(*parts)

    def call(
        self, script: Script, keys: Sequence[Part], args: Sequence[Part]
    ) -> asyncio.Future[Any]:
        self._check(keys)
        return self._whole.call(script, keys, args)

    def _check(self, keys: Sequence[Part]) -> None:
        assert {key_slot(str(key).encode()) for key in keys} == {self._slot}, keys
