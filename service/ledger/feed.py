"""The capacity feed: what is free of every Opportunity, in the order in which it last changed."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

from msgspec import UNSET, Struct, UnsetType, field

from service.ledger.answers import counts
from service.ledger.keys import Keys, PartitionKeys
from service.ledger.records import OPPORTUNITY_FIELDS, OpportunityRecord
from service.model import CONTEXT
from service.redis.nodes import Node, Nodes, earliest_microseconds

MEDIA_TYPE: Final = "application/vnd.openactive.rpde+json; version=1"
"""Of a page."""

PAGE: Final = 500
"""Items of a page, as the RPDE standard recommends."""

_FIRST_CHUNK: Final = 16
"""Entries that are read ahead of each partition: twice its share of a page of 500, of 64."""


class Cursor(NamedTuple):
    """A place in the feed: right behind the entry with this `modified` and id."""

    modified: int = 0
    """Microseconds since 1970, by Redis's clock."""
    id: str = ""


START: Final = Cursor()


class FreeSpaces(Struct, frozen=True):
    """What is free of one Opportunity: nobody's own lease is left out (rule 1)."""

    context: Literal["https://openactive.io/"] = field(name="@context")
    type: str = field(name="@type")
    id: str = field(name="@id")
    seller: str
    maximum_attendee_capacity: int | UnsetType = field(
        name="maximumAttendeeCapacity", default=UNSET
    )
    remaining_attendee_capacity: int | UnsetType = field(
        name="remainingAttendeeCapacity", default=UNSET
    )
    maximum_uses: int | UnsetType = field(name="maximumUses", default=UNSET)
    remaining_uses: int | UnsetType = field(name="remainingUses", default=UNSET)


class Change(Struct, frozen=True):
    """An item of the feed, in RPDE's words; `modified` is in microseconds since 1970."""

    state: Literal["updated", "deleted"]
    kind: str
    id: str
    modified: int
    data: FreeSpaces | UnsetType = UNSET

    @property
    def cursor(self) -> Cursor:
        """The place in the feed right behind this item."""
        return Cursor(self.modified, self.id)


class CapacityPage(Struct, frozen=True):
    """A page of the feed; the last one has no items, and `next` is its own address."""

    next: str
    items: list[Change]
    license: Literal["https://creativecommons.org/licenses/by/4.0/"] = (
        "https://creativecommons.org/licenses/by/4.0/"
    )


class _Entry(NamedTuple):
    cursor: Cursor
    keys: PartitionKeys


class _Partition:
    """One partition's feed behind a place, and what was read ahead of it."""

    def __init__(self, node: Node, keys: PartitionKeys, after: Cursor, end: Cursor) -> None:
        self.keys = keys
        self.ahead: deque[Cursor] = deque()
        self._node = node
        self._after = after
        self._end = end

    async def read_ahead(self, count: int) -> None:
        """Read this number more; if nothing is ahead afterwards, nothing is left."""
        pairs = await self._node.command(
            "ZRANGE",
            self.keys.feed,
            self._after.modified,
            f"({self._end.modified}",
            "BYSCORE",
            "LIMIT",
            0,
            count + 1,  # the first may be the entry that the place is right behind
            "WITHSCORES",
        )
        for ref, modified in zip(pairs[::2], pairs[1::2], strict=True):
            cursor = Cursor(int(modified), ref.decode())
            if cursor > self._after:
                self.ahead.append(cursor)
                self._after = cursor


class CapacityFeed:
    """Reads the feeds of all partitions as one, by `modified`, then id (rule 22).

    A page costs a few round trips and the memory for one page, however long the feed is. Every
    method raises `NothingSentError` or `OutcomeUnknownError` when Redis does not answer.
    """

    def __init__(self, nodes: Nodes, keys: Keys) -> None:
        self._nodes = nodes
        self._keys = keys

    def ids(self, seller: str, opportunities: Iterable[str]) -> frozenset[str]:
        """Return the ids that Opportunities of a Seller have in the feed."""
        return frozenset(self._keys.ref(seller, opportunity) for opportunity in opportunities)

    async def end(self) -> Cursor:
        """Return the place in front of everything that happens from now on.

        With several nodes that is by the slowest clock. Where one server may take another's place,
        its clock may be behind too: the place is a little earlier then.
        """
        now = await earliest_microseconds(self._nodes)
        return Cursor(now - self._nodes.clock_margin_microseconds)

    async def changes(self, after: Cursor, limit: int = PAGE) -> list[Change]:
        """Return the first items behind a place in the feed; none: that is all for now.

        Args:
            after: `START`, or the cursor of the last item that was read.
            limit: How many items at most.

        """
        # What changes while the partitions are read, one after the other, comes behind this
        # instant: nothing can slip in between two entries that were read.
        end = await self.end()
        sources = [
            _Partition(self._nodes.of(keys.name), keys, after, end)
            for keys in self._keys.partitions
        ]
        await asyncio.gather(*(source.read_ahead(_FIRST_CHUNK) for source in sources))
        return await self._items(await _merge(sources, limit))

    async def _items(self, entries: Sequence[_Entry]) -> list[Change]:
        """Return the Opportunities of these entries, as they stand."""
        found = await self._read(keys.opportunity(cursor.id) for cursor, keys in entries)
        drawn = {
            keys.opportunity(pool)
            for (_, keys), opportunity in zip(entries, found, strict=True)
            for pool, _ in opportunity.draws_on()
        }
        pools = dict(zip(drawn, await self._read(drawn), strict=True))
        sellers = await self._sellers(
            keys.seller(opportunity.seller)
            for (_, keys), opportunity in zip(entries, found, strict=True)
        )
        return [
            _change(
                cursor,
                opportunity,
                sellers[keys.seller(opportunity.seller)],
                [
                    pools[keys.opportunity(pool)].free() // spaces
                    for pool, spaces in opportunity.draws_on()
                ],
            )
            for (cursor, keys), opportunity in zip(entries, found, strict=True)
        ]

    async def _read(self, names: Iterable[str]) -> list[OpportunityRecord]:
        values = await asyncio.gather(
            *(self._nodes.of(key).command("HMGET", key, *OPPORTUNITY_FIELDS) for key in names)
        )
        return [OpportunityRecord.parse(each) for each in values]

    async def _sellers(self, names: Iterable[str]) -> dict[str, str]:
        keys = [*dict.fromkeys(names)]
        ids: Sequence[Any] = await asyncio.gather(
            *(self._nodes.of(key).command("HGET", key, "id") for key in keys)
        )
        return {key: (id_ or b"").decode() for key, id_ in zip(keys, ids, strict=True)}


async def _merge(sources: Sequence[_Partition], limit: int) -> list[_Entry]:
    """Return the first entries of all partitions in order, reading on where one runs out."""
    heads = [
        (source.ahead.popleft(), number) for number, source in enumerate(sources) if source.ahead
    ]
    heapq.heapify(heads)
    merged: list[_Entry] = []
    while heads and len(merged) < limit:
        cursor, number = heads[0]
        source = sources[number]
        merged.append(_Entry(cursor, source.keys))
        if not source.ahead:
            await source.read_ahead(limit - len(merged))
        if source.ahead:
            heapq.heapreplace(heads, (source.ahead.popleft(), number))
        else:
            heapq.heappop(heads)
    return merged


def _change(
    cursor: Cursor, opportunity: OpportunityRecord, seller: str, pools: Sequence[int]
) -> Change:
    if opportunity.capacity is None:
        return Change("deleted", opportunity.type, cursor.id, cursor.modified)
    data = FreeSpaces(
        context=CONTEXT,
        id=opportunity.id,
        type=opportunity.type,
        seller=seller,
        **counts(opportunity.type, opportunity.capacity, min([opportunity.free(), *pools])),
    )
    return Change("updated", opportunity.type, cursor.id, cursor.modified, data)
