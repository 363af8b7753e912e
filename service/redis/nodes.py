"""Where calls go: the one Redis node, or the one of several that has a key.

Whoever makes a call names a key, and gets the way to its node. A single server is all there is, so
that `Batcher` is both; behind Sentinel, in a cluster, or where confirmations are asked for, it is
one of several (`sentinel.py`, `cluster.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from service.redis.call import Part, Reply, Script

CLOCK_MARGIN_MICROSECONDS: Final = 250_000
"""How far apart the clocks of servers may be that stand in for each other; NTP does far better."""


class Node(Protocol):
    """The way to one Redis node; `Batcher` says what the methods raise."""

    def call(
        self, script: Script, keys: Sequence[Part], args: Sequence[Part]
    ) -> asyncio.Future[Reply]:
        """Run a script, which must be idempotent; all its keys are on this node."""

    def command(self, *parts: Part) -> asyncio.Future[Reply]:
        """Send a command, which must be idempotent and mean the same on another connection."""


class Nodes(Protocol):
    """Every Redis node that has keys of ours."""

    @property
    def clock_margin_microseconds(self) -> int:
        """How far the clock that counts may jump back when another node takes over."""

    def of(self, key: str) -> Node:
        """Return the way to a key, and to all keys with the same hash tag."""

    def confirming(self, key: str) -> Node:
        """Return the way to a key that answers once what was changed is safe (rule 21)."""

    async def every(self) -> Sequence[Node]:
        """Return each node that takes writes.

        Raises:
            StoreError: No node says which there are.

        """

    async def close(self) -> None:
        """Finish what was asked for, within its deadlines, then close the connections."""


class OneServer:
    """One server by itself; calls that need confirmation have a connection of their own."""

    def __init__(self, plain: Lane, confirming: Lane, *, clock_margin_microseconds: int) -> None:
        """Send calls one of two ways, which may be the same.

        Args:
            plain: For what is answered at once.
            confirming: For what is answered when it is confirmed. C1 and C2 need not wait behind.
            clock_margin_microseconds: As for `Nodes`.

        """
        self.clock_margin_microseconds = clock_margin_microseconds
        self._plain = plain
        self._confirming = confirming

    def of(self, _key: str) -> Node:
        """Return the way to every key."""
        return self._plain

    def confirming(self, _key: str) -> Node:
        """Return the way to every key that waits for confirmation."""
        return self._confirming

    async def every(self) -> Sequence[Node]:
        """Return the way to the server."""
        return (self._plain,)

    async def close(self) -> None:
        """Finish what was asked for, within its deadlines, then close the connections."""
        await self._plain.close()
        await self._confirming.close()


class Lane(Node, Protocol):
    """One connection to a node, with what waits for it."""

    async def close(self) -> None:
        """Finish what was asked for, within its deadlines, then close the connection."""


async def earliest_microseconds(nodes: Nodes) -> int:
    """Return what the slowest clock of all nodes says, in microseconds since 1970.

    What happens after the question was asked has a later instant, on whichever node.

    Raises:
        StoreError: A node does not answer.

    """
    times = await asyncio.gather(*(node.command("TIME") for node in await nodes.every()))
    return min(int(seconds) * 1_000_000 + int(microseconds) for seconds, microseconds in times)
