"""Puts what lapses into the capacity feed, and what was withdrawn a week ago out of it.

Every worker of every replica runs one. They need not know of each other: each step is atomic and
finds nothing to do where another was first. A sweeper that is killed leaves what it has not done
in Redis's list of what is due.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Final

import structlog

from service.ledger.keys import PartitionKeys
from service.ledger.scripts import Scripts
from service.redis.errors import StoreError
from service.redis.nodes import earliest_microseconds

_LOOK: Final = 5_000
"""Opportunities that are looked up at once."""

_STEP: Final = 75
"""Opportunities of one step of Redis's: about a millisecond, for which all calls wait."""

_PER_SECOND: Final = 30_000
"""How many Opportunities are to be done: more would make calls wait, and with fewer the feed would
be late where very many leases end together."""

_MOST_AT_ONCE: Final = 8
"""Steps in flight: a single one would run again only after all calls that wait."""

_JITTER_SECONDS: Final = 0.05
_PAUSE_SECONDS: Final = 1.0

_log = structlog.stdlib.get_logger(__name__)


class Sweeper:
    """Does what is due, right after each second of Redis's clock has begun.

    Leases expire on whole seconds (`docs/protocol.md`, rule 11), so nothing is due in between.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._nodes = scripts.nodes
        self._script = scripts.script("sweep")
        self._at_once = 1

    async def run(self) -> None:
        """Sweep until cancelled; while Redis is away, try again."""
        is_paused = False
        while True:
            try:
                await self.sweep()
                pause = 1.0 - await self._now() % 1.0
            except Exception as error:  # noqa: BLE001 - whatever broke, it must go on
                self._scripts.observer.redis_away()
                if not is_paused:
                    unforeseen = not isinstance(error, StoreError)
                    _log.warning("sweeper.paused", reason=str(error), exc_info=unforeseen)
                is_paused, pause = True, _PAUSE_SECONDS
            else:
                is_paused = False
            # Replicas that looked at the same instant would all find the same work.
            await asyncio.sleep(pause + random.uniform(0, _JITTER_SECONDS))  # noqa: S311 - no secret

    async def sweep(self) -> None:
        """Do all that is due, in small steps, so that no call waits long for it.

        Raises:
            StoreError: Redis does not answer; what was not done is still due.

        """
        now, partitions = await self._overdue()
        random.shuffle(partitions)
        for partition in partitions:
            while await self._sweep(partition, now):
                pass

    async def _now(self) -> float:
        """Return Redis's clock in seconds: what is due by the slowest is due by all."""
        return await earliest_microseconds(self._nodes) / 1_000_000

    async def _overdue(self) -> tuple[int, list[PartitionKeys]]:
        """Return this second, and the partitions in which something is due: one round trip."""
        partitions = self._scripts.keys.partitions
        earliest = [
            self._nodes.of(keys.name).command("ZRANGE", keys.due, 0, 0, "WITHSCORES")
            for keys in partitions
        ]
        now, *replies = await asyncio.gather(self._now(), *earliest)
        due = min((float(reply[1]) for reply in replies if reply), default=now)
        self._scripts.observer.swept(now, max(0.0, now - due))
        return int(now), [
            keys
            for keys, reply in zip(partitions, replies, strict=True)
            if reply and float(reply[1]) <= now
        ]

    async def _sweep(self, keys: PartitionKeys, now: int) -> bool:
        """Do a bounded part of what is due in a partition; return whether there was anything."""
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
        names = [keys.due, keys.feed]
        for ref in map(bytes.decode, refs):
            names += (keys.opportunity(ref), keys.holds(ref))
        reply = await self._nodes.of(keys.name).call(self._script, names, refs)
        self._scripts.without_lapsed(reply)
