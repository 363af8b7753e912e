"""The capacity feed as the front-end reads it (contract, rules 1 and 22)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType, field

from service.errors import OpenBookingError
from service.ledger.answers import counts
from service.ledger.feed_reads import START, Cursor, Feed, FeedEntry
from service.ledger.refusals import refusals
from service.model import CONTEXT

__all__ = ["START", "CapacityFeed", "CapacityPage", "Change", "Cursor", "FreeSpaces"]

MEDIA_TYPE: Final = "application/vnd.openactive.rpde+json; version=1"
"""Of a page."""

PAGE: Final = 500
"""Items of a page, as the RPDE standard recommends."""


class FreeSpaces(Struct, frozen=True):
    """What is free of one Opportunity: nobody's own lease is left out (rule 1, last sentence)."""

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


class CapacityFeed:
    """What is free of every Opportunity, in the order of its last change."""

    def __init__(self, feed: Feed) -> None:
        """Read what `feed` has."""
        self._feed = feed

    def ids(self, seller: str, opportunities: Iterable[str]) -> frozenset[str]:
        """Return the ids that Opportunities of a Seller have in the feed."""
        return frozenset(self._feed.id(seller, opportunity) for opportunity in opportunities)

    async def end(self) -> Cursor:
        """Return the place in front of everything that happens from now on.

        Raises:
            OpenBookingError: Redis does not answer (rule 25).

        """
        with refusals(OpenBookingError):
            return await self._feed.end()

    async def changes(self, after: Cursor, limit: int = PAGE) -> list[Change]:
        """Return the first items behind a place in the feed; none: that is all for now.

        Args:
            after: `START`, or the cursor of the last item that was read.
            limit: How many items at most.

        Raises:
            OpenBookingError: Redis does not answer (rule 25).

        """
        with refusals(OpenBookingError):
            return [_change(entry) for entry in await self._feed.read(after, limit)]


def _change(entry: FeedEntry) -> Change:
    modified, id_ = entry.cursor
    if entry.capacity is None:
        return Change("deleted", entry.type, id_, modified)
    data = FreeSpaces(
        context=CONTEXT,
        id=entry.opportunity,
        type=entry.type,
        seller=entry.seller,
        **counts(entry.type, entry.capacity, entry.free),
    )
    return Change("updated", entry.type, id_, modified, data)
