"""What the dashboard shows: Sellers, Opportunities, live leases, conflicts by the minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, islice
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta, Struct

from service.errors import (
    OpenBookingError,
    OpportunityCapacityIsReservedByLeaseError,
    OpportunityHasInsufficientCapacityError,
    OpportunityIsFullError,
    OpportunityIsInConflictError,
    UnknownOpportunityError,
)
from service.ledger.conflicts import Conflicts
from service.ledger.dashboard_reads import HoldRow, OpportunityRow, Overview, Window
from service.ledger.refusals import refusals
from service.model import OrderItem

Order = Literal["id", "free", "held"]
"""By id; the fewest free first; the most held first."""

WINDOW: Final = 2_000
"""Of how many Opportunities the lists tell: those that changed last."""

SELLERS: Final = 20
LINES_OF_A_SELLER: Final = 8
LINES: Final = 50
LEASES: Final = 200
LAPSING: Final = 6

# Shorter than the page waits after an event, so that what it then reads is no older than that.
_FRESH_SECONDS: Final = 0.25

# An id that is not among those that changed last is looked up with so many Sellers at most.
_SELLERS_ASKED: Final = 100

_CONFLICTS: Final = frozenset(
    kind.__name__
    for kind in (
        OpportunityCapacityIsReservedByLeaseError,
        OpportunityHasInsufficientCapacityError,
        OpportunityIsFullError,
        OpportunityIsInConflictError,
    )
)

_KINDS: Final[Mapping[str, Literal["anonymous", "named", "proposed"]]] = {
    "a": "anonymous",
    "n": "named",
    "p": "proposed",
}


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


class SellersPage(Struct, frozen=True):
    """Sellers in the order of their ids.

    `now` is Redis's clock in seconds since 1970; a page has `size` of the `count` that there are.
    """

    now: float
    covered: Covered
    spaces: Spaces
    count: int
    size: int
    sellers: list[SellerLine]


class LinesPage(Struct, frozen=True):
    """Opportunities of one Seller."""

    now: float
    covered: Covered
    spaces: Spaces
    count: int
    size: int
    lines: list[Line]


class LeaseLine(Struct, frozen=True):
    """What one Order holds of one Opportunity; `expires` is in seconds since 1970."""

    seller: str
    opportunity: str
    kind: Literal["anonymous", "named", "proposed"]
    spaces: int
    expires: int
    partner: str
    order: str


class OpportunityPage(Struct, frozen=True):
    """One Opportunity and its live leases, the first to lapse first."""

    now: float
    line: Line
    count: int
    leases: list[LeaseLine]


class Pulse(Struct, frozen=True):
    """What lapses next, and the OrderItems refused in each of the last 60 minutes."""

    now: float
    leases: list[LeaseLine]
    conflicts: list[int]


class Question(Struct, frozen=True):
    """What of a list is wanted."""

    search: str = ""
    order: Order = "id"
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class _Read(NamedTuple):
    window: Window
    at: float

    @property
    def age(self) -> float:
        return time.monotonic() - self.at


class Dashboard:
    """Reads for people; several who look at once share what is read.

    Every method raises `OpenBookingError` when Redis does not answer (contract, rule 25).
    """

    def __init__(self, overview: Overview, conflicts: Conflicts) -> None:
        self._overview = overview
        self._conflicts = conflicts
        self._reading = asyncio.Lock()
        self._read: _Read | None = None

    async def sellers(self, question: Question) -> SellersPage:
        """Return Sellers with an Opportunity that is searched for, each with the first of them."""
        read, lines = await self._search(question.search)
        lines.sort(key=lambda line: line.seller)
        sellers = [(id_, list(own)) for id_, own in groupby(lines, lambda line: line.seller)]
        return SellersPage(
            now=read.window.now + read.age,
            covered=_covered(read.window),
            spaces=_sum(lines),
            count=len(sellers),
            size=SELLERS,
            sellers=[
                SellerLine(
                    id_,
                    len(own),
                    _sum(own),
                    sorted(own, key=_ORDERS[question.order])[:LINES_OF_A_SELLER],
                )
                for id_, own in sellers[question.offset : question.offset + SELLERS]
            ],
        )

    async def lines(self, seller: str, question: Question) -> LinesPage:
        """Return Opportunities of one Seller."""
        read, found = await self._search(question.search, seller)
        found.sort(key=_ORDERS[question.order])
        return LinesPage(
            now=read.window.now + read.age,
            covered=_covered(read.window),
            spaces=_sum(found),
            count=len(found),
            size=LINES,
            lines=found[question.offset : question.offset + LINES],
        )

    async def opportunity(self, seller: str, id_: str) -> OpportunityPage:
        """Return one Opportunity with its live leases.

        Raises:
            UnknownOpportunityError: It is not registered.

        """
        with refusals(OpenBookingError):
            detail = await self._overview.opportunity(seller, id_, LEASES)
        if detail.row is None:
            message = f"{id_} is not registered for the Seller {seller}."
            raise UnknownOpportunityError(message, status=404)
        leases = [_lease(hold) for hold in detail.holds]
        return OpportunityPage(detail.now, _line(detail.row), detail.hold_count, leases)

    async def pulse(self) -> Pulse:
        """Return what lapses next, and how many OrderItems were refused lately."""
        with refusals(OpenBookingError):
            lapsing, conflicts = await asyncio.gather(
                self._overview.lapsing(LAPSING), self._conflicts.last_hour()
            )
        return Pulse(lapsing.now, [_lease(hold) for hold in lapsing.holds], conflicts)

    def count(self, items: Sequence[object]) -> None:
        """Count the OrderItems of an answer that were refused for want of spaces."""
        refusals = [item.error[0] for item in items if isinstance(item, OrderItem) and item.error]
        self._conflicts.add(sum(refusal.type in _CONFLICTS for refusal in refusals))

    async def keep_counting(self) -> None:
        """Write down what is counted, until cancelled."""
        await self._conflicts.run()

    async def _search(self, text: str, seller: str | None = None) -> tuple[_Read, list[Line]]:
        """Return the Opportunities whose id, or whose Seller's, contains a text."""
        read = await self._recent()
        wanted = text.casefold()
        of_seller = [row for row in read.window.rows if seller in {None, row.seller}]
        rows = [
            row
            for row in of_seller
            if wanted in row.id.casefold() or wanted in row.seller.casefold()
        ]
        if text and not rows and read.window.total > len(read.window.rows):
            asked = {seller} if seller else {row.seller for row in of_seller}
            with refusals(OpenBookingError):
                rows = await self._overview.find(islice(asked, _SELLERS_ASKED), text)
        return read, [_line(row) for row in rows]

    async def _recent(self) -> _Read:
        async with self._reading:
            if self._read is None or self._read.age > _FRESH_SECONDS:
                with refusals(OpenBookingError):
                    window = await self._overview.window(WINDOW)
                self._read = _Read(window, time.monotonic())
            return self._read


_ORDERS: Final[Mapping[Order, Callable[[Line], tuple[int, str]]]] = {
    "id": lambda line: (0, line.id),
    "free": lambda line: (line.spaces.free, line.id),
    "held": lambda line: (-_held(line.spaces), line.id),
}


def _covered(window: Window) -> Covered:
    return Covered(len(window.rows), window.total)


def _held(spaces: Spaces) -> int:
    return spaces.named + spaces.anonymous + spaces.proposed


def _line(row: OpportunityRow) -> Line:
    spaces = Spaces(row.capacity, row.booked, row.named, row.anonymous, row.proposed, row.free)
    return Line(row.seller, row.id, row.type, spaces)


def _lease(hold: HoldRow) -> LeaseLine:
    return LeaseLine(
        hold.seller,
        hold.opportunity,
        _KINDS[hold.kind],
        hold.spaces,
        hold.expires,
        hold.partner,
        hold.uuid,
    )


def _sum(lines: Sequence[Line]) -> Spaces:
    def total(field: str) -> int:
        return sum(getattr(line.spaces, field) for line in lines)

    return Spaces(*map(total, Spaces.__struct_fields__))
