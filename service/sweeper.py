"""Keeps the capacity feed: puts into it what lapses, and takes out what was withdrawn a week ago.

Every worker of every replica runs one. They need not know of each other: each step is atomic and
finds nothing to do where another was first. A sweeper that is killed leaves what it has not done
in Redis's list of what is due.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

import structlog

from service.ledger.feed_order import FeedOrder
from service.ledger.observer import UNOBSERVED, Observer
from service.ledger.sweep import DueList
from service.redis.errors import StoreError

_JITTER_SECONDS: Final = 0.05
_PAUSE_SECONDS: Final = 1.0

_log = structlog.stdlib.get_logger(__name__)


class Sweeper:
    """Does what is due, right after each second of Redis's clock has begun.

    Leases expire on whole seconds (contract, rule 11), so nothing is ever due in between.
    """

    def __init__(
        self, due: DueList, observer: Observer = UNOBSERVED, order: FeedOrder | None = None
    ) -> None:
        """Sweep what `due` lists, and keep the feed's `order`; tell `observer` when it cannot."""
        self._due = due
        self._order = order
        self._observer = observer

    async def run(self) -> None:
        """Sweep until cancelled; while Redis is away, try again."""
        is_paused = False
        while True:
            try:
                await self.sweep()
                pause = 1.0 - await self._due.now() % 1.0
            except Exception as error:  # noqa: BLE001 - whatever broke, it must go on
                self._observer.redis_away()
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
            StoreError: Redis does not answer.

        """
        now, partitions = await self._due.overdue()
        random.shuffle(partitions)
        for partition in partitions:
            while await self._due.sweep(partition, now):
                pass
        if self._order is not None:
            await self._order.keep()
