"""The sweeper's steps: what is due, and one bounded bite of it (contract, rule 22)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from service.ledger.keys import Keys, PartitionKeys
from service.ledger.observer import UNOBSERVED, Observer, settled
from service.ledger.scripts import ListKeys, load_scripts
from service.redis.nodes import Nodes, earliest_microseconds

_LOOK: Final = 5_000
"""Opportunities that are looked up at once."""

_STEP: Final = 75
"""Opportunities of one step of Redis's: about a millisecond, for which all calls wait."""

_PER_SECOND: Final = 30_000
"""How many Opportunities are to be done: more would make calls wait, and with fewer the feed would
be late where very many leases end together."""

_MOST_AT_ONCE: Final = 8
"""Steps in flight: a single one would have its turn again only after all calls that wait."""


class DueList:
    """What has to be done of itself, by when; every partition has its own list."""

    def __init__(
        self,
        nodes: Nodes,
        *,
        key_prefix: str,
        partitions: int,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """Find what is due of what is kept on `nodes`, under keys of this prefix."""
        self._nodes = nodes
        self._observer = observer
        self._partitions = Keys(key_prefix, partitions).partitions()
        self._script = load_scripts()["sweep"]
        self._at_once = 1

    async def now(self) -> float:
        """Return Redis's clock in seconds since 1970: what is due by the slowest is due by all.

        Raises:
            StoreError: Redis does not answer.

        """
        return await earliest_microseconds(self._nodes) / 1_000_000

    async def overdue(self) -> tuple[int, list[PartitionKeys]]:
        """Return this second, and the partitions in which something is due: one round trip.

        Raises:
            StoreError: Redis does not answer.

        """
        earliest = [
            self._nodes.of(keys.name).command("ZRANGE", keys.due, 0, 0, "WITHSCORES")
            for keys in self._partitions
        ]
        now, *replies = await asyncio.gather(self.now(), *earliest)
        due = min((float(reply[1]) for reply in replies if reply), default=now)
        self._observer.looked_at_due(now, max(0.0, now - due))
        return int(now), [
            keys
            for keys, reply in zip(self._partitions, replies, strict=True)
            if reply and float(reply[1]) <= now
        ]

    async def sweep(self, keys: PartitionKeys, now: int) -> bool:
        """Do a bounded part of what is due in a partition; return whether there was anything.

        Args:
            keys: The partition.
            now: A second that has come, by Redis's clock.

        Raises:
            StoreError: Redis does not answer; what was not done is still due.

        """
        refs = await self._nodes.of(keys.name).command(
            "ZRANGE", keys.due, "-inf", now, "BYSCORE", "LIMIT", 0, _LOOK
        )
        steps = [refs[first : first + _STEP] for first in range(0, len(refs), _STEP)]
        while steps:
            together, steps = steps[: self._at_once], steps[self._at_once :]
            began = time.monotonic()
            await asyncio.gather(*(self._step(keys, step) for step in together))
            is_late = len(together) * _STEP / _PER_SECOND < time.monotonic() - began
            self._at_once = min(max(1, self._at_once + (1 if is_late else -1)), _MOST_AT_ONCE)
        return bool(refs)

    async def _step(self, keys: PartitionKeys, refs: Sequence[bytes]) -> None:
        names: list[str] = [*ListKeys(keys.due, keys.feed)]
        for ref in map(bytes.decode, refs):
            names += (keys.opportunity(ref), keys.holds(ref))
        reply = await self._nodes.of(keys.name).call(self._script, names, refs)
        settled(reply, self._observer)
