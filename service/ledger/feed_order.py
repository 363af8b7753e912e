"""Keeps the capacity feed in order when Redis's clock goes back (docs/protocol.md, rule 22).

Entries are stamped by Redis's clock, in each partition always later than the entry before. When
the clock goes back, a partition in which something changed shortly before goes on behind that;
one in which nothing did would stamp what changes next in front of what readers have read already.
And what is stamped later than now is not read, as something may still come in front of it.

So as long as anything is stamped later than now, every partition gets a floor: a member of its
feed that is no Opportunity, behind which the scripts stamp everything from then on. Once all have
it, nothing can come in front of it any more, and the feed is read up to there.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog

from service.ledger.keys import FLOOR, Keys, PartitionKeys
from service.ledger.observer import UNOBSERVED, Observer
from service.redis.call import Part, Reply
from service.redis.nodes import Nodes, earliest_microseconds

_PORTION: Final = 1000
_SECONDS: Final = 1_000_000

_NEVER: Final = 2**53

# So much no good clock is corrected at once, and no script stamps ahead.
_TOLERANCE: Final = 500_000

# A reader may have been told an instant a little later than the last look at the clock.
_LOOK_MICROSECONDS: Final = 1_500_000

_log = structlog.stdlib.get_logger(__name__)


class FeedOrder:
    """Looks at the clock again and again; every process has one, and they need not agree."""

    def __init__(
        self,
        nodes: Nodes,
        *,
        key_prefix: str,
        partitions: int,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """Keep the feeds on `nodes` in order, under keys of this prefix."""
        self._nodes = nodes
        self._observer = observer
        keys = Keys(key_prefix, partitions)
        self._partitions, self._order = keys.partitions(), keys.feed_order
        self._tolerance = max(_TOLERANCE, nodes.clock_margin_microseconds)
        self._last = self._looked = self._latest = 0

    async def keep(self) -> None:
        """Look at the clock, and raise the floors where anything is stamped later than it says.

        Raises:
            StoreError: Redis does not answer.

        """
        ends = (self._command(keys, "ZREVRANGE", 0, 0, "WITHSCORES") for keys in self._partitions)
        now, floor, *found = await asyncio.gather(
            earliest_microseconds(self._nodes),
            self._nodes.of(self._order).command("ZSCORE", self._order, FLOOR),
            *ends,
        )
        gone_back, passed = self._look_at(now)
        stamps = [float(end[1]) for end in found if end]
        # What is damaged is no time: `verify` says so.
        latest = max([self._latest, *(int(stamp) for stamp in stamps if stamp < _NEVER)])
        if latest > now + self._tolerance:
            await self._raise_floors(latest)
            if gone_back:
                await self._tell_again(now - passed - self._tolerance, now + _SECONDS, latest)
        elif floor is not None and latest < now - self._tolerance:
            await asyncio.gather(
                *(self._command(keys, "ZREM", FLOOR) for keys in self._partitions)
            )
            await self._nodes.of(self._order).command("DEL", self._order)

    def _look_at(self, now: int) -> tuple[bool, int]:
        """Return whether the clock went back since the last look, and how long that is ago."""
        instant = time.monotonic_ns() // 1000
        passed = instant - self._looked if self._last else 0
        behind = self._last + passed - now
        gone_back = self._last > 0 and behind > self._tolerance
        if gone_back:
            self._latest = self._last + _LOOK_MICROSECONDS
            self._observer.clock_went_back()
            _log.warning("redis.clock_went_back", seconds=round(behind / _SECONDS, 1))
        self._last, self._looked = now, instant
        return gone_back, passed

    async def _raise_floors(self, latest: int) -> None:
        floors = (self._command(keys, "ZADD", "GT", latest, FLOOR) for keys in self._partitions)
        await asyncio.gather(*floors)
        await self._nodes.of(self._order).command("ZADD", self._order, "GT", latest, FLOOR)

    async def _tell_again(self, begin: int, end: int, latest: int) -> None:
        """Move behind the floor what may have been stamped after the jump and before that."""
        for keys in self._partitions:
            while refs := await self._command(
                keys, "ZRANGE", begin, min(end, latest - 1), "BYSCORE", "LIMIT", 0, _PORTION
            ):
                moves = [part for nth, ref in enumerate(refs, 1) for part in (latest + nth, ref)]
                await self._command(keys, "ZADD", "XX", "GT", *moves)

    def _command(self, keys: PartitionKeys, verb: str, *parts: Part) -> asyncio.Future[Reply]:
        return self._nodes.of(keys.name).command(verb, keys.feed, *parts)
