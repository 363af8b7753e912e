"""What is sold: kept here, counted by the service.

The front-end publishes Opportunities and knows their prices; how many spaces remain is the
service's to say. So each is registered there when it is published, and what the service's capacity
feed says of it goes into the open feeds, whether somebody leased, booked or cancelled it, or a
lease came to its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import structlog
from aiosqlite import Row

from examples.booking_front_end.storage import (
    Storage,
    Transaction,
    from_json,
    next_number,
    to_json,
)
from service.client import Changes, FreeSpaces, LeaseService

SESSION_SERIES: Final = "session-series"
SESSIONS: Final = "scheduled-sessions"
FACILITY_USES: Final = "facility-uses"
FACILITY_SLOTS: Final = "facility-use-slots"
INDIVIDUAL_SLOTS: Final = "individual-facility-use-slots"

CHANGES: Final = "changes"
"""The counter that every feed's numbers come from."""

_log = structlog.stdlib.get_logger(__name__)


class Opportunity(NamedTuple):
    """Something bookable, with what it belongs to.

    Attributes:
        seller: The `@id` of its Seller.
        child: The ScheduledSession or Slot, as the open feed has it.
        parent: The SessionSeries or FacilityUse, likewise.
        remaining: Spaces that nobody booked or leased.
        deleted: Whether it is no longer sold.

    """

    seller: str
    child: dict[str, Any]
    parent: dict[str, Any]
    remaining: int
    deleted: bool = False

    @property
    def id(self) -> str:
        """Its `@id`."""
        return str(self.child["@id"])

    @property
    def offers(self) -> Mapping[str, dict[str, Any]]:
        """Its Offers by `@id`: a Slot has its own, a session its series'."""
        offers = self.child.get("offers") or self.parent.get("offers", ())
        return {offer["@id"]: offer for offer in offers}


class Listing(NamedTuple):
    """An Opportunity to publish, with the feeds that it and its parent go to."""

    opportunity: Opportunity
    parent_feed: str
    child_feed: str


class Catalogue:
    """The Opportunities of all Sellers."""

    def __init__(self, storage: Storage, service: LeaseService) -> None:
        """Keep them in `storage`, and count them in `service`."""
        self._storage = storage
        self._service = service

    async def next_number(self) -> int:
        """Return a number for a new Opportunity."""
        async with self._storage.transaction() as transaction:
            return await next_number(transaction, "opportunities")

    async def publish(self, listings: Iterable[Listing], dataset: str | None = None) -> None:
        """Sell Opportunities: register them with the service, then publish them.

        In this order, because nobody can book what nobody has read of.

        Args:
            listings: What to sell, from now on.
            dataset: The test dataset that they belong to.

        """
        listings = list(listings)
        await self._register(listing.opportunity for listing in listings)
        async with self._storage.transaction() as transaction:
            for opportunity, parent_feed, child_feed in listings:
                parent, seller = opportunity.parent, opportunity.seller
                await _insert(transaction, _New(parent_feed, parent, seller, dataset))
                child = _New(
                    child_feed,
                    opportunity.child,
                    seller,
                    dataset,
                    parent["@id"],
                    opportunity.remaining,
                )
                await _insert(transaction, child)

    async def withdraw_dataset(self, dataset: str) -> None:
        """Sell what belongs to a test dataset no longer; its leases end."""
        rows = await self._storage.rows(
            "SELECT url, seller, parent FROM item WHERE dataset = ? AND deleted = 0", dataset
        )
        async with self._storage.transaction() as transaction:
            for row in rows:
                await transaction.execute(
                    "UPDATE item SET deleted = 1, change = ? WHERE url = ?",
                    (await next_number(transaction, CHANGES), row["url"]),
                )
        for seller in {row["seller"] for row in rows}:
            ids = [row["url"] for row in rows if row["parent"] and row["seller"] == seller]
            await self._service.withdraw(seller, ids)

    async def find(self, ids: Iterable[str]) -> dict[str, Opportunity]:
        """Return those of the Opportunities with these ids that there are."""
        found = map(_opportunity, await self._storage.rows(_NAMED, to_json(list(ids))))
        return {opportunity.id: opportunity for opportunity in found}

    async def on_sale(self) -> list[Opportunity]:
        """Return everything that is sold."""
        rows = await self._storage.rows(_ON_SALE)
        return [_opportunity(row) for row in rows]

    async def register_all(self) -> None:
        """Register everything again: what the service knows already, it leaves unchanged."""
        await self._register(await self.on_sale())

    async def follow_capacity(self) -> None:
        """Bring what the service says is free into the open feeds, for ever."""
        row = await self._storage.row("SELECT place FROM place")
        async for changes in self._service.follow(row["place"] if row else ""):
            await self._take(changes)

    async def _take(self, changes: Changes) -> None:
        async with self._storage.transaction() as transaction:
            for free in changes.free:
                await _set_remaining(transaction, free)
            # Together with what was made of the page: so none is lost, whenever this process ends.
            await transaction.execute("REPLACE INTO place VALUES (1, ?)", (changes.place,))

    async def _register(self, opportunities: Iterable[Opportunity]) -> None:
        done = await self._service.register(map(_registration, opportunities))
        for refused in done.errors:
            _log.error("registration.failed", error=refused.error.description)


_WITH_PARENT: Final = (
    "SELECT child.*, parent.data AS parent_data FROM item AS child"
    " JOIN item AS parent ON parent.url = child.parent"
)
_ON_SALE: Final = f"{_WITH_PARENT} WHERE child.deleted = 0"
_AMONG: Final = " WHERE child.url IN (SELECT value FROM json_each(?))"
_NAMED: Final = _WITH_PARENT + _AMONG


def remaining_name(child: Mapping[str, Any]) -> str:
    """Return what an Opportunity calls its remaining spaces."""
    return "remainingUses" if child["@type"] == "Slot" else "remainingAttendeeCapacity"


def _opportunity(row: Row) -> Opportunity:
    return Opportunity(
        row["seller"],
        from_json(row["data"]),
        from_json(row["parent_data"]),
        row["remaining"],
        bool(row["deleted"]),
    )


def _registration(opportunity: Opportunity) -> dict[str, Any]:
    return {
        **opportunity.child,
        "seller": opportunity.seller,
        "offers": list(opportunity.offers.values()),
        remaining_name(opportunity.child): opportunity.remaining,
    }


class _New(NamedTuple):
    feed: str
    data: Mapping[str, Any]
    seller: str
    dataset: str | None
    parent: str | None = None
    remaining: int | None = None


async def _insert(transaction: Transaction, new: _New) -> None:
    await transaction.execute(
        "INSERT INTO item (url, number, feed, seller, parent, dataset, data, remaining, change)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            new.data["@id"],
            new.data["identifier"],
            new.feed,
            new.seller,
            new.parent,
            new.dataset,
            to_json(new.data),
            new.remaining,
            await next_number(transaction, CHANGES),
        ),
    )


async def _set_remaining(transaction: Transaction, free: FreeSpaces) -> None:
    """Move an Opportunity to the end of its feed, if its number of spaces is another one now."""
    query = "SELECT 1 FROM item WHERE url = ? AND deleted = 0 AND remaining <> ?"
    async with transaction.execute(query, (free.id, free.remaining)) as cursor:
        if await cursor.fetchone() is None:
            return
    await transaction.execute(
        "UPDATE item SET remaining = ?, change = ? WHERE url = ?",
        (free.remaining, await next_number(transaction, CHANGES), free.id),
    )
