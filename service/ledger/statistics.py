"""What there is in Redis, counted: Opportunities, their booked spaces and their live leases.

It reads everything, so one of all processes does, at most every `PERIOD_SECONDS`, a portion at a
time; the others read what it found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import structlog

from service.ledger.keys import PartitionKeys
from service.ledger.opportunities import Opportunities, OpportunityRow
from service.redis.errors import StoreError

PERIOD_SECONDS: Final = 10.0
"""How old statistics get before they are counted anew."""

PORTION: Final = 100
"""Opportunities that are read at once; calls wait for a few milliseconds at most."""

# A process that counts and dies is followed by another one after so long; a partition takes less.
_LOCK_SECONDS: Final = 60
_KEPT_SECONDS: Final = 3600
_PAUSE_SECONDS: Final = 0.02
_LOOK_SECONDS: Final = 2.0

_log = structlog.stdlib.get_logger(__name__)


class Statistics(NamedTuple):
    """What there was; all but the instant are counts."""

    at: float
    """When the count began, by Redis's clock, in seconds since 1970."""
    opportunities: int = 0
    overcommitted: int = 0
    """Opportunities of which more is booked and leased than there is (rule 7)."""
    capacity: int = 0
    booked: int = 0
    leases: int = 0
    """Live ones; a lease over several Opportunities counts at each of them."""
    anonymous: int = 0
    """Spaces in live leases, by their kind."""
    named: int = 0
    proposal: int = 0

    def with_portion(self, rows: Sequence[OpportunityRow], leases: int) -> Statistics:
        """Return it with some more Opportunities."""
        return Statistics(
            self.at,
            self.opportunities + len(rows),
            self.overcommitted + sum(row.booked + row.leased > row.capacity for row in rows),
            self.capacity + sum(row.capacity for row in rows),
            self.booked + sum(row.booked for row in rows),
            self.leases + leases,
            self.anonymous + sum(row.anonymous for row in rows),
            self.named + sum(row.named for row in rows),
            self.proposal + sum(row.proposed for row in rows),
        )


class Counter:
    """Counts, or reads what another process counted."""

    def __init__(self, opportunities: Opportunities, key_prefix: str) -> None:
        self._opportunities = opportunities
        self._key = f"{key_prefix}:census"
        self._lock_key = f"{key_prefix}:census-turn"
        self._nodes = opportunities.nodes

    async def run(self, publish: Callable[[Statistics], None]) -> None:
        """Publish statistics until cancelled; while Redis is away the last ones stand.

        Args:
            publish: Is given what was counted, by whichever process.

        """
        while True:
            try:
                publish(await self.latest())
            except StoreError:
                pass
            except Exception:  # noqa: BLE001 - nobody watches this task: it must outlive every bug
                _log.exception("census.failed")
            await asyncio.sleep(_LOOK_SECONDS)

    async def latest(self) -> Statistics:
        """Return fresh statistics, or the last ones while another process counts.

        Raises:
            StoreError: Redis does not answer.

        """
        clock, text = await asyncio.gather(
            self._opportunities.clock(), self._nodes.of(self._key).command("GET", self._key)
        )
        last = _parse(text) if text else Statistics(0)
        if clock - last.at < PERIOD_SECONDS or not await self._take_lock():
            return last
        counted = await self._count(clock)
        await self._nodes.of(self._key).command(
            "SET", self._key, " ".join(map(str, counted)), "EX", _KEPT_SECONDS
        )
        await self._nodes.of(self._lock_key).command("DEL", self._lock_key)
        return counted

    async def _take_lock(self) -> bool:
        # Sent again because its answer was lost, it gives nobody the lock, for a minute at most.
        taken = await self._nodes.of(self._lock_key).command(
            "SET", self._lock_key, 1, "NX", "EX", _LOCK_SECONDS
        )
        return taken is not None

    async def _count(self, clock: float) -> Statistics:
        counted = Statistics(clock)
        lock = self._nodes.of(self._lock_key)
        for keys in self._opportunities.keys.partitions:
            await lock.command("EXPIRE", self._lock_key, _LOCK_SECONDS)
            refs = await self._refs(keys)
            for first in range(0, len(refs), PORTION):
                portion = refs[first : first + PORTION]
                counted = counted.with_portion(
                    *await self._opportunities.with_leases(keys, portion, clock)
                )
                await asyncio.sleep(_PAUSE_SECONDS)
        return counted

    async def _refs(self, keys: PartitionKeys) -> list[str]:
        """Return the names of all Opportunities of a partition, once each."""
        refs: dict[bytes, None] = {}
        cursor: bytes | int = 0
        while True:
            # A scan misses nothing that moves meanwhile, but may meet it twice.
            cursor, pairs = await self._nodes.of(keys.name).command(
                "ZSCAN", keys.feed, cursor, "COUNT", PORTION
            )
            refs |= dict.fromkeys(pairs[::2])
            if not int(cursor):
                return [ref.decode() for ref in refs]


def _parse(text: bytes) -> Statistics:
    at, *numbers = text.split()
    return Statistics(float(at), *map(int, numbers))
