"""The capacity feed: Opportunities in the order in which what is free of them last changed."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog

from service.ledger.keys import FLOOR, Keys, PartitionKeys
from service.ledger.replies import UNREADABLE, stored_text, whole_number
from service.redis.call import Part
from service.redis.nodes import Node, Nodes, earliest_microseconds

_FIRST_CHUNK: Final = 16
"""Entries that are read ahead of each partition: twice its share of a page of 500, of 64."""

_LOGGED: Final = 1000
"""Keys that are logged once as unreadable: no more are remembered."""

_log = structlog.stdlib.get_logger(__name__)

_SPACES: Final = ("capacity", "booked", "leased")


class Cursor(NamedTuple):
    """A place in the feed: right behind the entry with this `modified` and id."""

    modified: int = 0
    """Microseconds since 1970, by Redis's clock."""
    id: str = ""


START: Final = Cursor()


class FeedEntry(NamedTuple):
    """One Opportunity as it stands, and where it is in the feed."""

    cursor: Cursor
    """The place right behind this entry; its id is unique over all Sellers."""
    seller: str
    opportunity: str
    type: str
    capacity: int | None
    """Spaces; None: it was withdrawn."""
    free: int
    """Spaces that are neither booked nor leased, here and in the pools that it draws on."""


class _Place(NamedTuple):
    """Where an entry is, and the keys of its partition."""

    cursor: Cursor
    keys: PartitionKeys


class _Hash(NamedTuple):
    """What the feed needs of an Opportunity's hash; `lua/` describes it."""

    id: bytes | None
    type: bytes | None
    seller: bytes | None
    pools: bytes | None
    capacity: bytes | None
    booked: bytes | None
    leased: bytes | None

    def draws_on(self) -> list[tuple[str, int]]:
        """Return the name of each of its pools, and how many of the pool's spaces one takes."""
        pairs = (pool.rpartition(":") for pool in (self.pools or b"").decode().split())
        return [(ref, int(spaces)) for ref, _, spaces in pairs]


class _Partition:
    """One partition's feed behind a place, and what was read ahead of it."""

    def __init__(self, node: Node, keys: PartitionKeys, after: Cursor, end: Cursor) -> None:
        self.keys = keys
        self.ahead: deque[Cursor] = deque()
        self._node = node
        self._after = after
        self._end = end

    async def read_ahead(self, count: int) -> None:
        """Read so many more; if nothing is ahead afterwards, nothing is left."""
        pairs = await self._node.command(
            "ZRANGE",
            self.keys.feed,
            self._after.modified,
            f"({self._end.modified}",
            "BYSCORE",
            "LIMIT",
            0,
            count + 2,  # the entry that the place is right behind, and a floor, may be among them
            "WITHSCORES",
        )
        for ref, modified in zip(pairs[::2], pairs[1::2], strict=True):
            # What is not UTF-8 is nobody's, and is left out when it is looked up.
            cursor = Cursor(int(float(modified)), ref.decode(errors="backslashreplace"))
            if cursor > self._after and ref != FLOOR:
                self.ahead.append(cursor)
                self._after = cursor


class Feed:
    """Reads the feeds of all partitions as one, by `modified`, then id (contract, rule 22).

    A page costs a few round trips and the memory for one page, however long the feed is.
    """

    def __init__(self, nodes: Nodes, *, key_prefix: str, partitions: int) -> None:
        """Read what is kept on `nodes`, under keys that begin with `key_prefix`."""
        self._nodes = nodes
        self._keys = Keys(key_prefix, partitions)
        self._partitions = self._keys.partitions()
        self._unreadable = set[str]()

    def id(self, seller: str, opportunity: str) -> str:
        """Return the id that a Seller's Opportunity has in the feed."""
        return self._keys.ref(seller, opportunity)

    async def end(self) -> Cursor:
        """Return the place in front of everything that happens from now on.

        With several nodes that is by the slowest clock. Where one server may take another's place,
        its clock may be behind too: the place is a little earlier then. After a clock went back it
        is where `feed_order` keeps nothing from coming in front of it.

        Raises:
            StoreError: Redis does not answer.

        """
        order = self._keys.feed_order
        now, floor = await asyncio.gather(
            earliest_microseconds(self._nodes),
            self._read(order, "ZSCORE", FLOOR),
        )
        behind_floor = 0 if floor is None else int(float(floor)) + 1
        return Cursor(max(now - self._nodes.clock_margin_microseconds, behind_floor))

    async def read(self, after: Cursor, limit: int) -> list[FeedEntry]:
        """Return the first entries behind a place; none: that is all for now.

        Args:
            after: The place: `START`, or the cursor of the last entry that was read.
            limit: How many entries at most.

        Raises:
            StoreError: Redis does not answer.

        """
        # What changes while the partitions are read, one after the other, comes behind this
        # instant: nothing can slip in between two entries that were read.
        end = await self.end()
        while True:
            sources = [
                _Partition(self._nodes.of(keys.name), keys, after, end)
                for keys in self._partitions
            ]
            await asyncio.gather(*(self._read_ahead(source) for source in sources))
            places = await _merge(sources, limit)
            entries = await self._entries(places)
            # A page without entries is the last one, so it must not be one that was left out.
            if entries or len(places) < limit:
                return entries
            after = places[-1].cursor

    async def _read_ahead(self, source: _Partition) -> None:
        with self._reading(source.keys.feed):
            await source.read_ahead(_FIRST_CHUNK)

    async def _entries(self, places: Sequence[_Place]) -> list[FeedEntry]:
        """Return the Opportunities at these places, as they stand; not what cannot be read."""
        names = [keys.opportunity(cursor.id) for cursor, keys in places]
        hashes = await asyncio.gather(*(self._hget(key, _Hash._fields) for key in names))
        found: list[tuple[_Place, _Hash]] = []
        wanted: dict[str, Sequence[str]] = {}
        for place, name, values in zip(places, names, hashes, strict=True):
            with self._reading(name):
                opportunity = _Hash(*values)
                keys = place.keys
                pools = {keys.opportunity(pool): _SPACES for pool, _ in opportunity.draws_on()}
                wanted |= {keys.seller(stored_text(opportunity.seller)): ("id",), **pools}
                found.append((place, opportunity))
        answers = await asyncio.gather(*(self._hget(key, wanted[key]) for key in wanted))
        known = dict(zip(wanted, answers, strict=True))
        entries = []
        for place, opportunity in found:
            with self._reading(place.keys.opportunity(place.cursor.id)):
                entries.append(_entry(place, opportunity, known))
        return entries

    async def _hget(self, key: str, fields: Sequence[str]) -> list[Any]:
        return await self._read(key, "HMGET", *fields) or [None] * len(fields)

    async def _read(self, key: str, verb: str, *words: Part) -> Any:  # noqa: ANN401 - a reply
        """Return what a key says; None where it has another type."""
        with self._reading(key):
            return await self._nodes.of(key).command(verb, key, *words)
        return None

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        """Leave out what cannot be read, and log it once: `verify` says more."""
        try:
            yield
        except UNREADABLE:
            if key not in self._unreadable and len(self._unreadable) < _LOGGED:
                self._unreadable.add(key)
                _log.warning("feed.unreadable", key=key)


async def _merge(sources: Sequence[_Partition], limit: int) -> list[_Place]:
    """Return the first places of all partitions in order, reading on where one runs out."""
    heads = [
        (source.ahead.popleft(), number) for number, source in enumerate(sources) if source.ahead
    ]
    heapq.heapify(heads)
    merged: list[_Place] = []
    while heads and len(merged) < limit:
        cursor, number = heads[0]
        source = sources[number]
        merged.append(_Place(cursor, source.keys))
        if not source.ahead:
            await source.read_ahead(limit - len(merged))
        if source.ahead:
            heapq.heapreplace(heads, (source.ahead.popleft(), number))
        else:
            heapq.heappop(heads)
    return merged


def _entry(
    place: _Place, opportunity: _Hash, known: Mapping[str, Sequence[bytes | None]]
) -> FeedEntry:
    keys = place.keys
    free = [_free(opportunity.capacity, opportunity.booked, opportunity.leased)]
    free += [
        _free(*known[keys.opportunity(pool)]) // spaces for pool, spaces in opportunity.draws_on()
    ]
    seller = known[keys.seller(stored_text(opportunity.seller))][0] or b""
    return FeedEntry(
        place.cursor,
        seller.decode(),
        stored_text(opportunity.id),
        stored_text(opportunity.type),
        None if opportunity.capacity is None else whole_number(opportunity.capacity),
        min(free),
    )


def _free(capacity: bytes | None, booked: bytes | None, leased: bytes | None) -> int:
    """Return how many spaces nobody has (contract, rule 1, last sentence)."""
    total, *taken = (whole_number(spaces or b"0") for spaces in (capacity, booked, leased))
    return max(0, total - sum(taken))
