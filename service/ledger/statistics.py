"""What there is in Redis, counted: every Opportunity, its booked spaces and its live leases.

It reads everything, so one of all processes does, at most every `PERIOD_SECONDS`, a portion at a
time; the others read what it found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import structlog

from service.ledger.dashboard_reads import OpportunityRow, Overview
from service.ledger.keys import FLOOR, Keys, PartitionKeys
from service.redis.errors import MisuseError, StoreError
from service.redis.nodes import Nodes

PERIOD_SECONDS: Final = 10.0
"""How old a census gets before the next one begins."""

PORTION: Final = 100
"""Opportunities that are read at once; calls wait for a few milliseconds at most."""

# Whoever takes a census and dies is followed by another one after so long; a partition takes less.
_TURN_SECONDS: Final = 60
_KEPT_SECONDS: Final = 3600
_PAUSE_SECONDS: Final = 0.02
_LOOK_SECONDS: Final = 2.0

_log = structlog.stdlib.get_logger(__name__)


class Census(NamedTuple):
    """What there was; all but the instant are counts."""

    at: float
    """When it began, by Redis's clock, in seconds since 1970."""
    opportunities: int = 0
    overcommitted: int = 0
    """Opportunities of which more is booked and leased than there is (contract, rule 7)."""
    capacity: int = 0
    booked: int = 0
    leases: int = 0
    """Live ones; a lease over several Opportunities counts at each of them."""
    anonymous: int = 0
    """Spaces in live leases, by their kind."""
    named: int = 0
    proposal: int = 0

    @property
    def leased(self) -> Sequence[int]:
        """Return the spaces in live leases by kind."""
        return self.anonymous, self.named, self.proposal

    def with_portion(self, rows: Sequence[OpportunityRow], leases: int) -> Census:
        """Return it with some more Opportunities."""
        held = [row.anonymous + row.named + row.proposed for row in rows]
        over = (row.booked + leased > row.capacity for row, leased in zip(rows, held, strict=True))
        return Census(
            self.at,
            self.opportunities + len(rows),
            self.overcommitted + sum(over),
            self.capacity + sum(row.capacity for row in rows),
            self.booked + sum(row.booked for row in rows),
            self.leases + leases,
            self.anonymous + sum(row.anonymous for row in rows),
            self.named + sum(row.named for row in rows),
            self.proposal + sum(row.proposed for row in rows),
        )


class Censuses:
    """Takes a census, or reads what another process counted."""

    def __init__(self, nodes: Nodes, *, key_prefix: str, partitions: int) -> None:
        """Count what is kept on `nodes`, under keys that begin with `key_prefix`."""
        self._nodes = nodes
        self._overview = Overview(nodes, key_prefix=key_prefix, partitions=partitions)
        self._partitions = Keys(key_prefix, partitions).partitions()
        self._key = f"{key_prefix}:census"
        self._turn_key = f"{key_prefix}:census-turn"

    async def run(self, tell: Callable[[Census], None]) -> None:
        """Tell of each census until cancelled; while Redis is away the last one stands.

        Args:
            tell: Is given what was counted, by whichever process.

        """
        while True:
            try:
                tell(await self.latest())
            except StoreError:
                pass
            except Exception:  # noqa: BLE001 - nobody watches this task: it must outlive every bug
                _log.exception("census.failed")
            await asyncio.sleep(_LOOK_SECONDS)

    async def latest(self) -> Census:
        """Return a census that is fresh, or the last one while another process counts.

        Raises:
            StoreError: Redis does not answer.

        """
        clock, text = await asyncio.gather(
            self._overview.clock(), self._nodes.of(self._key).command("GET", self._key)
        )
        last = _parse(text) if text else Census(0)
        if abs(clock - last.at) < PERIOD_SECONDS or not await self._has_turn():
            return last
        census = await self._take(clock)
        await self._nodes.of(self._key).command(
            "SET", self._key, " ".join(map(str, census)), "EX", _KEPT_SECONDS
        )
        await self._nodes.of(self._turn_key).command("DEL", self._turn_key)
        return census

    async def _has_turn(self) -> bool:
        # Sent again because its answer was lost, it gives nobody the turn, for a minute at most.
        taken = await self._nodes.of(self._turn_key).command(
            "SET", self._turn_key, 1, "NX", "EX", _TURN_SECONDS
        )
        return taken is not None

    async def _take(self, clock: float) -> Census:
        census = Census(clock)
        turn = self._nodes.of(self._turn_key)
        for keys in self._partitions:
            await turn.command("EXPIRE", self._turn_key, _TURN_SECONDS)
            refs = await self._refs(keys)
            for portion in _portions(refs):
                census = census.with_portion(*await self._overview.inspect(keys, portion, clock))
                await asyncio.sleep(_PAUSE_SECONDS)
        return census

    async def _refs(self, keys: PartitionKeys) -> list[str]:
        """Return the names of all Opportunities of a partition, once each."""
        refs: dict[bytes, None] = {}
        cursor: bytes | int = 0
        while True:
            # A scan misses nothing that moves meanwhile, but may meet it twice.
            try:
                cursor, pairs = await self._nodes.of(keys.name).command(
                    "ZSCAN", keys.feed, cursor, "COUNT", PORTION
                )
            except MisuseError:
                return []  # it has another type, as `verify` says
            refs |= dict.fromkeys(pairs[::2])
            if not int(cursor):
                return [ref.decode(errors="backslashreplace") for ref in refs if ref != FLOOR]


def _parse(text: bytes) -> Census:
    try:
        at, *counts = text.split()
        return Census(float(at), *map(int, counts))
    except (ValueError, TypeError):
        return Census(0)


def _portions(refs: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(refs), PORTION):
        yield refs[first : first + PORTION]
