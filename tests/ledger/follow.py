"""Following the capacity feed in tests."""

from __future__ import annotations

from service.ledger.feed import START, CapacityFeed, Change, Cursor
from service.ledger.feed_reads import Feed
from service.ledger.sweep import DueList
from service.sweeper import Sweeper
from tests.ledger.desk import Desk


class Follower:
    """A reader of the feed, which keeps what it was told and where it is."""

    def __init__(self, desk: Desk, place: Cursor = START) -> None:
        """Follow the feed of a desk from a place on."""
        self.feed = feed_of(desk)
        self.place = place
        self.free: dict[str, int | None] = {}
        """What is free by the `@id`; None: it was withdrawn."""
        self.names: dict[str, str] = {}

    async def page(self, limit: int = 500) -> list[Change]:
        """Read one page."""
        changes = await self.feed.changes(self.place, limit)
        for change in changes:
            self.place = change.cursor
            if change.data:
                self.names[change.id] = change.data.id
                self.free[change.data.id] = (
                    change.data.remaining_uses
                    if change.data.type == "Slot"
                    else change.data.remaining_attendee_capacity
                ) or 0
            elif change.id in self.names:
                self.free[self.names[change.id]] = None
        return changes

    async def read(self, limit: int = 500) -> list[str]:
        """Read to the end; return the names of what was told, in order."""
        told = []
        while changes := await self.page(limit):
            told += [self.names.get(change.id, change.id) for change in changes]
        return told


def feed_of(desk: Desk) -> CapacityFeed:
    """Return the feed of a desk's ledger."""
    settings = desk.settings
    return CapacityFeed(
        Feed(desk.batcher, key_prefix=settings.key_prefix, partitions=settings.partitions)
    )


def due_of(desk: Desk) -> DueList:
    """Return what is due at a desk."""
    settings = desk.settings
    return DueList(desk.batcher, key_prefix=settings.key_prefix, partitions=settings.partitions)


def sweeper_of(desk: Desk) -> Sweeper:
    """Return a sweeper for a desk."""
    return Sweeper(due_of(desk))
