"""Reads many Opportunities at once, with what holds them: for people and for statistics.

It only reads, in bounded portions: what exists is found by the feeds and the due lists.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from msgspec import Struct

from service.ledger.keys import Keys, PartitionKeys
from service.ledger.records import (
    KINDS,
    LEASE_HEAD_BYTES,
    OPPORTUNITY_FIELDS,
    HoldRecord,
    Kind,
    LeaseRecord,
    OpportunityRecord,
    UnreadableError,
)
from service.redis.call import Part, Reply
from service.redis.nodes import Nodes, earliest_microseconds

Parsed = TypeVar("Parsed")

# Holds of one Opportunity that have expired and are not dropped yet: more wait for the sweeper.
_EXPIRED: Final = 1000


class LeaseLine(Struct, frozen=True):
    """What one Order holds of one Opportunity; `expires` is in seconds since 1970."""

    seller: str
    opportunity: str
    kind: Kind
    spaces: int
    expires: int
    partner: str
    order: str


class OpportunityRow(NamedTuple):
    """The ledger of one Opportunity, in spaces; expired holds do not count (rule 12)."""

    seller: str
    id: str
    type: str
    capacity: int
    booked: int
    anonymous: int
    named: int
    proposed: int
    free: int
    """Of itself and of the pools that it draws on (rule 28)."""

    @property
    def leased(self) -> int:
        """Spaces in live leases."""
        return self.anonymous + self.named + self.proposed


class _Place(NamedTuple):
    """Where an Opportunity is kept."""

    partition: PartitionKeys
    ref: str


class _Hold(NamedTuple):
    place: _Place
    row: OpportunityRow
    record: HoldRecord


class Opportunities:
    """Reads many Opportunities at once; nothing that it does changes anything.

    Every method raises `NothingSentError` or `OutcomeUnknownError` when Redis does not answer.
    """

    def __init__(self, nodes: Nodes, keys: Keys) -> None:
        self.nodes = nodes
        self.keys = keys

    async def clock(self) -> float:
        """Return Redis's clock in seconds since 1970; with several nodes, the slowest one's."""
        return await earliest_microseconds(self.nodes) / 1_000_000

    async def latest(self, limit: int) -> tuple[float, list[OpportunityRow], int]:
        """Return the Opportunities that changed last, evenly from all partitions.

        Args:
            limit: How many at most.

        Returns:
            Redis's clock, the Opportunities, and how many there are in all; those that were
            withdrawn of late are counted in.

        """
        partitions = self.keys.partitions
        clock, *counts = await asyncio.gather(
            self.clock(), *(self._command(keys, "ZCARD", keys.feed) for keys in partitions)
        )
        shares = [
            (keys, share)
            for keys, share in zip(partitions, _shares(counts, limit), strict=True)
            if share
        ]
        refs = await asyncio.gather(
            *(self._command(keys, "ZREVRANGE", keys.feed, 0, share - 1) for keys, share in shares)
        )
        places = [
            _Place(keys, ref.decode())
            for (keys, _), found in zip(shares, refs, strict=True)
            for ref in found
        ]
        rows = [row for row in await self._rows(places, clock) if row]
        total = sum(counts)
        return clock, rows, len(rows) if total <= limit else total

    async def find(self, sellers: Iterable[str], id_: str) -> list[OpportunityRow]:
        """Return the Opportunities of these Sellers that have this `@id`."""
        places = [self._place(seller, id_) for seller in sellers]
        return [row for row in await self._rows(places, await self.clock()) if row]

    async def with_leases(
        self, keys: PartitionKeys, refs: Sequence[str], clock: float
    ) -> tuple[list[OpportunityRow], int]:
        """Return Opportunities by their names in keys, and how many live holds they have.

        Args:
            keys: The partition that they are in.
            refs: Their names; those that are not registered are left out.
            clock: Redis's, in seconds since 1970.

        """
        live = (self._count_live(_Place(keys, ref), clock) for ref in refs)
        rows, *counts = await asyncio.gather(
            self._rows([_Place(keys, ref) for ref in refs], clock), *live
        )
        return [row for row in rows if row], sum(counts)

    async def opportunity(
        self, seller: str, id_: str, limit: int
    ) -> tuple[float, OpportunityRow | None, list[LeaseLine], int]:
        """Return one Opportunity with its live leases, the first to expire first.

        Args:
            seller: The Seller's `@id`.
            id_: The Opportunity's `@id`.
            limit: How many leases at most.

        Returns:
            Redis's clock, the Opportunity (None: it is not registered), its leases, and how many
            it has in all.

        """
        place = self._place(seller, id_)
        clock = await self.clock()
        [row], records, count = await asyncio.gather(
            self._rows([place], clock),
            self._live(place, clock, limit),
            self._count_live(place, clock),
        )
        held = [_Hold(place, row, record) for record in records if row]
        return clock, row, await self._named(held), count

    async def lapsing(self, limit: int) -> tuple[float, list[LeaseLine]]:
        """Return Redis's clock, and live leases in the order in which they lapse.

        Args:
            limit: How many at most.

        """
        partitions = self.keys.partitions
        clock, *due = await asyncio.gather(
            self.clock(),
            *(
                self._command(keys, "ZRANGE", keys.due, 0, limit - 1, "WITHSCORES")
                for keys in partitions
            ),
        )
        candidates = (
            (float(score), ref.decode(), keys)
            for keys, flat in zip(partitions, due, strict=True)
            for ref, score in _pairs(flat)
        )
        places = [_Place(keys, ref) for _, ref, keys in heapq.nsmallest(limit, candidates)]
        rows = await self._rows(places, clock)
        held = await asyncio.gather(*(self._live(place, clock, limit) for place in places))
        holds = (
            _Hold(place, row, record)
            for place, row, records in zip(places, rows, held, strict=True)
            if row
            for record in records
        )
        first = heapq.nsmallest(limit, holds, key=lambda h: (h.record.expires, h.record.holder))
        return clock, await self._named(first)

    def _command(self, keys: PartitionKeys, *parts: Part) -> asyncio.Future[Reply]:
        return self.nodes.of(keys.name).command(*parts)

    def _place(self, seller: str, id_: str) -> _Place:
        return _Place(self.keys.seller(seller).partition, self.keys.ref(seller, id_))

    def _count_live(self, place: _Place, clock: float) -> asyncio.Future[Reply]:
        keys, ref = place
        return self._command(keys, "ZCOUNT", keys.holds(ref), f"({int(clock)}", "+inf")

    async def _live(self, place: _Place, clock: float, limit: int) -> list[HoldRecord]:
        keys, ref = place
        flat = await self._command(
            keys,
            *("ZRANGEBYSCORE", keys.holds(ref), f"({int(clock)}", "+inf"),
            *("WITHSCORES", "LIMIT", 0, limit),
        )
        return _readable(HoldRecord.parse, _pairs(flat))

    async def _named(self, holds: Sequence[_Hold]) -> list[LeaseLine]:
        """Return holds with what their leases say of whose they are; not those that just ended."""
        heads = await asyncio.gather(
            *(
                self._command(
                    keys, "GETRANGE", keys.lease(hold.record.holder), 0, LEASE_HEAD_BYTES - 1
                )
                for hold in holds
                for keys in (hold.place.partition,)
            )
        )
        return _readable(_lease_line, [each for each in zip(holds, heads, strict=True) if each[1]])

    async def _rows(self, places: Sequence[_Place], clock: float) -> list[OpportunityRow | None]:
        """Return Opportunities in their order; None where one is not registered."""
        records = await self._records(places)
        pools = {
            _Place(keys, ref)
            for (keys, _), record in records.items()
            for ref, _ in record.draws_on()
        }
        records |= await self._records(pools - records.keys())
        sellers = await self._sellers(records)
        expired = await self._expired(records, clock)
        free = {place: record.free(expired[place].total()) for place, record in records.items()}

        def row(place: _Place) -> OpportunityRow | None:
            record, gone = records.get(place), expired[place]
            if record is None or record.capacity is None:
                return None
            pools = [
                free.get(_Place(place.partition, ref), 0) // spaces
                for ref, spaces in record.draws_on()
            ]
            return OpportunityRow(
                sellers[place.partition.seller(record.seller)],
                record.id,
                record.type,
                record.capacity,
                record.booked,
                record.leased - record.named - record.proposed - gone["a"],
                record.named - gone["n"],
                record.proposed - gone["p"],
                min([free[place], *pools]),
            )

        return [row(place) for place in places]

    async def _records(self, places: Iterable[_Place]) -> dict[_Place, OpportunityRecord]:
        """Return what is registered and can be read."""
        wanted = [*places]
        found = await asyncio.gather(
            *(
                self._command(keys, "HMGET", keys.opportunity(ref), *OPPORTUNITY_FIELDS)
                for keys, ref in wanted
            )
        )
        records = _readable(
            lambda place, values: (place, OpportunityRecord.parse(values)),
            zip(wanted, found, strict=True),
        )
        return {place: record for place, record in records if record.capacity is not None}

    async def _sellers(self, records: Mapping[_Place, OpportunityRecord]) -> dict[str, str]:
        """Return the `@id` of each Seller by its key."""
        keys = [*{place.partition.seller(each.seller) for place, each in records.items()}]
        ids = await asyncio.gather(
            *(self.nodes.of(key).command("HGET", key, "id") for key in keys)
        )
        return {key: (id_ or b"").decode() for key, id_ in zip(keys, ids, strict=True)}

    async def _expired(
        self, records: Mapping[_Place, OpportunityRecord], clock: float
    ) -> defaultdict[_Place, Counter[str]]:
        """Return the spaces, by kind, of holds that have expired and still count as leased."""
        places = [place for place, each in records.items() if each.next and each.next <= clock]
        found = await asyncio.gather(
            *(
                self._command(
                    keys,
                    *("ZRANGEBYSCORE", keys.holds(ref), "-inf", int(clock), "WITHSCORES"),
                    *("LIMIT", 0, _EXPIRED),
                )
                for keys, ref in places
            )
        )
        expired = defaultdict[_Place, Counter[str]](Counter)
        for place, flat in zip(places, found, strict=True):
            for hold in _readable(HoldRecord.parse, _pairs(flat)):
                expired[place][hold.kind] += hold.spaces
        return expired


def _lease_line(hold: _Hold, head: bytes) -> LeaseLine:
    row, record = hold.row, hold.record
    lease = LeaseRecord.parse(head.partition(b"\f")[0])
    return LeaseLine(
        row.seller,
        row.id,
        KINDS[record.kind],
        record.spaces,
        record.expires,
        lease.partner,
        lease.uuid,
    )


def _readable(parse: Callable[..., Parsed], found: Iterable[tuple[Any, ...]]) -> list[Parsed]:
    """Return what can be read; what cannot is for `lease-service verify` to name."""
    read = []
    for parts in found:
        try:
            read.append(parse(*parts))
        except UnreadableError:
            continue
    return read


def _shares(counts: Sequence[int], limit: int) -> list[int]:
    """Share out a limit: nobody gets more than it has, the others as much as each other."""
    shares = [0] * len(counts)
    for nth, index in enumerate(sorted(range(len(counts)), key=counts.__getitem__)):
        shares[index] = min(counts[index], limit // (len(counts) - nth))
        limit -= shares[index]
    return shares


def _pairs(flat: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
