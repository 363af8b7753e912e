"""What people see at a glance: Sellers, Opportunities, live leases, conflicts by the minute.

It only reads, in bounded portions: what exists is found by the feeds and the due lists.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby, islice
from typing import Annotated, Final, Literal, NamedTuple
from uuid import uuid4

from msgspec import Meta, Struct

from service.errors import (
    OpportunityCapacityIsReservedByLeaseError,
    OpportunityHasInsufficientCapacityError,
    OpportunityIsFullError,
    OpportunityIsInConflictError,
    UnknownOpportunityError,
)
from service.ledger.opportunities import LeaseLine, Opportunities, OpportunityRow
from service.model import OrderItem
from service.redis.errors import StoreError
from service.redis.nodes import Nodes

SortOrder = Literal["id", "free", "held"]
"""By id; the fewest free first; the most held first."""

WINDOW: Final = 2_000
"""Of how many Opportunities the lists tell: those that changed last."""

SELLERS: Final = 20
LINES_OF_A_SELLER: Final = 8
LINES: Final = 50
LEASES: Final = 200
LAPSING: Final = 6
MINUTES: Final = 60

# Shorter than the page waits after an event, so that what it then reads is no older than that.
_FRESH_SECONDS: Final = 0.25

# An id that is not among those that changed last is looked up with so many Sellers at most.
_SELLERS_ASKED: Final = 100

_KEPT_SECONDS: Final = 2 * MINUTES * 60
_FLUSH_SECONDS: Final = 1.0

_CONFLICTS: Final = frozenset(
    kind.__name__
    for kind in (
        OpportunityCapacityIsReservedByLeaseError,
        OpportunityHasInsufficientCapacityError,
        OpportunityIsFullError,
        OpportunityIsInConflictError,
    )
)


class Conflicts:
    """How many OrderItems were refused for want of spaces, minute by minute, over all processes.

    A count lives in the process until the next flush, so that a refusal costs no round trip. Each
    process writes its own total of a minute: writing it again changes nothing.
    """

    def __init__(self, nodes: Nodes, key_prefix: str) -> None:
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


class Spaces(Struct, frozen=True):
    """Where the spaces are; after a capacity was lowered, they may be more than it."""

    capacity: int
    booked: int
    named: int
    anonymous: int
    proposed: int
    free: int


class Line(Struct, frozen=True):
    """One Opportunity."""

    seller: str
    id: str
    type: str
    spaces: Spaces


class SellerLine(Struct, frozen=True):
    """One Seller, all its spaces, and its first Opportunities."""

    id: str
    opportunities: int
    spaces: Spaces
    lines: list[Line]


class Covered(Struct, frozen=True):
    """Of how many Opportunities a list tells, and how many there are."""

    shown: int
    total: int


class _Page(Struct, frozen=True, kw_only=True):
    now: float
    """Redis's clock, in seconds since 1970."""
    covered: Covered
    spaces: Spaces
    count: int
    """How many there are of what the page lists `size` of."""
    size: int


class SellersPage(_Page, frozen=True, kw_only=True):
    """Sellers in the order of their ids."""

    sellers: list[SellerLine]


class LinesPage(_Page, frozen=True, kw_only=True):
    """Opportunities of one Seller."""

    lines: list[Line]


class OpportunityPage(Struct, frozen=True):
    """One Opportunity and its live leases, the first to lapse first."""

    now: float
    line: Line
    count: int
    leases: list[LeaseLine]


class Activity(Struct, frozen=True):
    """What lapses next, and the OrderItems refused in each of the last 60 minutes."""

    now: float
    leases: list[LeaseLine]
    conflicts: list[int]


class Query(Struct, frozen=True):
    """Which part of a list is asked for."""

    search: str = ""
    order: SortOrder = "id"
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class _Read(NamedTuple):
    clock: float
    rows: list[OpportunityRow]
    total: int
    at: float

    @property
    def age(self) -> float:
        return time.monotonic() - self.at

    @property
    def now(self) -> float:
        return self.clock + self.age

    @property
    def covered(self) -> Covered:
        return Covered(len(self.rows), self.total)


class Dashboard:
    """Reads for people; several who look at once share what is read.

    Every method raises `NothingSentError` or `OutcomeUnknownError` when Redis does not answer.
    """

    def __init__(self, opportunities: Opportunities, conflicts: Conflicts) -> None:
        self._opportunities = opportunities
        self._conflicts = conflicts
        self._reading = asyncio.Lock()
        self._last: _Read | None = None

    async def sellers(self, query: Query) -> SellersPage:
        """Return Sellers with an Opportunity that is searched for, each with the first of them."""
        read, lines = await self._search(query.search)
        lines.sort(key=lambda line: line.seller)
        sellers = [(id_, [*own]) for id_, own in groupby(lines, lambda line: line.seller)]
        return SellersPage(
            now=read.now,
            covered=read.covered,
            spaces=_sum(lines),
            count=len(sellers),
            size=SELLERS,
            sellers=[
                SellerLine(
                    id_,
                    len(own),
                    _sum(own),
                    sorted(own, key=_SORTED[query.order])[:LINES_OF_A_SELLER],
                )
                for id_, own in sellers[query.offset : query.offset + SELLERS]
            ],
        )

    async def lines(self, seller: str, query: Query) -> LinesPage:
        """Return Opportunities of one Seller."""
        read, found = await self._search(query.search, seller)
        found.sort(key=_SORTED[query.order])
        return LinesPage(
            now=read.now,
            covered=read.covered,
            spaces=_sum(found),
            count=len(found),
            size=LINES,
            lines=found[query.offset : query.offset + LINES],
        )

    async def opportunity(self, seller: str, id_: str) -> OpportunityPage:
        """Return one Opportunity with its live leases.

        Raises:
            UnknownOpportunityError: It is not registered.

        """
        now, row, leases, count = await self._opportunities.opportunity(seller, id_, LEASES)
        if row is None:
            message = f"{id_} is not registered for the Seller {seller}."
            raise UnknownOpportunityError(message, status=404)
        return OpportunityPage(now, _line(row), count, leases)

    async def activity(self) -> Activity:
        """Return what lapses next, and how many OrderItems were refused lately."""
        (now, leases), conflicts = await asyncio.gather(
            self._opportunities.lapsing(LAPSING), self._conflicts.last_hour()
        )
        return Activity(now, leases, conflicts)

    def count(self, items: Iterable[OrderItem]) -> None:
        """Count the OrderItems of an answer that were refused for want of spaces."""
        errors = [item.error[0] for item in items if item.error]
        self._conflicts.add(sum(error.type in _CONFLICTS for error in errors))

    async def keep_counting(self) -> None:
        """Write down what is counted, until cancelled."""
        await self._conflicts.run()

    async def _search(self, text: str, seller: str | None = None) -> tuple[_Read, list[Line]]:
        """Return the Opportunities whose id, or whose Seller's, contains a text."""
        read = await self._recent()
        wanted = text.casefold()
        of_seller = [row for row in read.rows if seller in {None, row.seller}]
        rows = [
            row
            for row in of_seller
            if wanted in row.id.casefold() or wanted in row.seller.casefold()
        ]
        if text and not rows and read.total > len(read.rows):
            asked = {seller} if seller else {row.seller for row in of_seller}
            rows = await self._opportunities.find(islice(asked, _SELLERS_ASKED), text)
        return read, [_line(row) for row in rows]

    async def _recent(self) -> _Read:
        async with self._reading:
            if self._last is None or self._last.age > _FRESH_SECONDS:
                latest = await self._opportunities.latest(WINDOW)
                self._last = _Read(*latest, time.monotonic())
            return self._last


_SORTED: Final[Mapping[SortOrder, Callable[[Line], tuple[int, str]]]] = {
    "id": lambda line: (0, line.id),
    "free": lambda line: (line.spaces.free, line.id),
    "held": lambda line: (-_held(line.spaces), line.id),
}


def _held(spaces: Spaces) -> int:
    return spaces.named + spaces.anonymous + spaces.proposed


def _line(row: OpportunityRow) -> Line:
    spaces = Spaces(row.capacity, row.booked, row.named, row.anonymous, row.proposed, row.free)
    return Line(row.seller, row.id, row.type, spaces)


def _sum(lines: Sequence[Line]) -> Spaces:
    names = Spaces.__struct_fields__
    return Spaces(*(sum(getattr(line.spaces, name) for line in lines) for name in names))
