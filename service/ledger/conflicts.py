"""How many OrderItems were refused for want of spaces, minute by minute, over all processes.

A count lives in the process until the next flush, so that a refusal costs no round trip. Each
process writes its own total of a minute: writing it again changes nothing.
"""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import uuid4

from service.redis.errors import StoreError
from service.redis.nodes import Nodes

MINUTES: Final = 60
_KEPT_SECONDS: Final = 2 * MINUTES * 60
_FLUSH_SECONDS: Final = 1.0


class Conflicts:
    """Counts refused OrderItems, and tells what all processes have counted."""

    def __init__(self, nodes: Nodes, *, key_prefix: str) -> None:
        """Keep the counts on `nodes` under keys that begin with `key_prefix`."""
        self._nodes = nodes
        self._prefix = f"{key_prefix}:conflicts:"
        self._process = uuid4().hex
        self._minute = 0
        self._total = 0
        self._new = 0

    def add(self, items: int) -> None:
        """Count refused OrderItems."""
        self._new += items

    async def run(self) -> None:
        """Flush every second until cancelled; while Redis is away the counts wait."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            try:
                await self.flush()
            except StoreError:
                continue

    async def flush(self) -> None:
        """Write what was counted since the last time into the minute that it is now.

        Raises:
            StoreError: Redis does not answer.

        """
        if not self._new:
            return
        minute = await self._now()
        if minute != self._minute:
            self._minute, self._total = minute, 0
        added = self._new
        key = f"{self._prefix}{minute}"
        await asyncio.gather(
            self._nodes.of(key).command("HSET", key, self._process, self._total + added),
            self._nodes.of(key).command("EXPIRE", key, _KEPT_SECONDS),
        )
        self._total += added
        self._new -= added

    async def last_hour(self) -> list[int]:
        """Return the counts of the last 60 minutes; the last one is of the minute that it is now.

        Raises:
            StoreError: Redis does not answer.

        """
        minute = await self._now()
        keys = [f"{self._prefix}{past}" for past in range(minute - MINUTES + 1, minute + 1)]
        counts = await asyncio.gather(*(self._nodes.of(key).command("HVALS", key) for key in keys))
        return [sum(map(int, values)) for values in counts]

    async def _now(self) -> int:
        # All processes ask the same node, so that they agree on the minute.
        seconds, _ = await self._nodes.of(self._prefix).command("TIME")
        return int(seconds) // 60
