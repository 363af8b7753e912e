"""RPDE: the open feeds of what is sold, and each Booking Partner's feeds of its Orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import hdrs, web
from aiosqlite import Row

from examples.booking_front_end.answers import MEDIA_TYPE, answer
from examples.booking_front_end.authentication import partner_of
from examples.booking_front_end.catalogue import remaining_name
from examples.booking_front_end.keys import SETTINGS, STORAGE
from examples.booking_front_end.settings import Settings
from examples.booking_front_end.storage import from_json
from service.errors import OpenBookingError, UnknownOrIncorrectEndpointError

LICENSE: Final = "https://creativecommons.org/licenses/by/4.0/"

# Feed -> what its items are, and what the dataset site calls that type.
OPEN_FEEDS: Final = {
    "session-series": ("SessionSeries", "SessionSeries"),
    "scheduled-sessions": ("ScheduledSession", "ScheduledSession"),
    "facility-uses": ("FacilityUse", "FacilityUse"),
    "facility-use-slots": ("FacilityUse/Slot", "Slot"),
    "individual-facility-use-slots": ("IndividualFacilityUse/Slot", "Slot"),
}

_RPDE: Final = "application/vnd.openactive.rpde+json; version=1"
# By RPDE, a reader may go by what is `modified` after an instant: here that is the change number.
_PLACES: Final[tuple[list[str], ...]] = ([], ["afterChangeNumber"], ["afterTimestamp"])
_PAGE: Final = 500
_FULL_SECONDS: Final = 3600
_LAST_SECONDS: Final = 8

# What a Booking Partner knows already, or has no use for in a feed.
_NOT_IN_A_FEED: Final = {
    "seller",
    "broker",
    "brokerRole",
    "customer",
    "bookingService",
    "payment",
    "lease",
}
_NOT_IN_A_FEED_ITEM: Final = {
    "position",
    "attendee",
    "orderItemIntakeFormResponse",
    "orderedItem",
}


async def open_feed(request: web.Request) -> web.Response:
    """Answer a page of an open feed."""
    feed = request.match_info["feed"]
    if feed not in OPEN_FEEDS:
        raise UnknownOrIncorrectEndpointError("There is no such feed.")
    rows = await request.app[STORAGE].rows(
        "SELECT * FROM item WHERE feed = ? AND change > ? ORDER BY change LIMIT ?",
        feed,
        _after(request),
        _PAGE,
    )
    kind, _ = OPEN_FEEDS[feed]
    items = [_open_item(kind, row) for row in rows]
    seconds = _FULL_SECONDS if items else _LAST_SECONDS
    return answer(
        _page(request, items) | {"license": LICENSE},
        media_type=_RPDE,
        headers={hdrs.CACHE_CONTROL: f"public, max-age={seconds}"},
    )


async def orders_feed(request: web.Request) -> web.Response:
    """Answer a page of what changed about the caller's Orders."""
    return await _of_partner(request, "Order")


async def proposals_feed(request: web.Request) -> web.Response:
    """Answer a page of what changed about the caller's OrderProposals."""
    return await _of_partner(request, "OrderProposal")


async def _of_partner(request: web.Request, kind: str) -> web.Response:
    rows = await request.app[STORAGE].rows(
        "SELECT * FROM record WHERE partner = ? AND kind = ? AND change > ?"
        " ORDER BY change LIMIT ?",
        partner_of(request),
        kind,
        _after(request),
        _PAGE,
    )
    settings = request.app[SETTINGS]
    items = [
        _item(kind, row["uuid"], row, None if row["deleted"] else _in_feed(row, settings))
        for row in rows
    ]
    return answer(_page(request, items), media_type=MEDIA_TYPE)


def _after(request: web.Request) -> int:
    # A misspelt place would be no place, and the feed begin anew.
    named = [name for name, _ in request.query.items() if name.lower().startswith("after")]
    if named not in _PLACES:
        raise OpenBookingError("This feed takes afterChangeNumber, once: as its `next` has it.")
    text = request.query[named[0]] if named else "0"
    if not (text.isascii() and text.isdigit()):
        raise OpenBookingError(f"{named[0]} is a whole number.")
    return min(int(text), 2**63 - 1)


def _page(request: web.Request, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    here = request.app[SETTINGS].base_url
    # The last page names itself, to the letter: by that its readers know it.
    after = request.path_qs
    if items:
        after = f"{request.path}?afterChangeNumber={items[-1]['modified']}"
    return {"next": f"{here}{after}", "items": items}


def _open_item(kind: str, row: Row) -> dict[str, Any]:
    if row["deleted"]:
        return _item(kind, str(row["number"]), row, None)
    data = from_json(row["data"])
    if row["remaining"] is not None:
        data[remaining_name(data)] = row["remaining"]
    return _item(kind, str(row["number"]), row, data)


def _item(kind: str, id_: str, row: Row, data: dict[str, Any] | None) -> dict[str, Any]:
    item = {"kind": kind, "id": id_, "modified": row["change"]}
    return item | ({"state": "deleted"} if data is None else {"state": "updated", "data": data})


def _in_feed(row: Row, settings: Settings) -> dict[str, Any]:
    order = from_json(row["current"])
    told = {name: value for name, value in order.items() if name not in _NOT_IN_A_FEED}
    told["orderedItem"] = [_item_in_feed(item, settings) for item in order["orderedItem"]]
    return told


def _item_in_feed(item: dict[str, Any], settings: Settings) -> dict[str, Any]:
    told = {name: value for name, value in item.items() if name not in _NOT_IN_A_FEED_ITEM}
    if settings.feeds_opportunities:
        told["orderedItem"] = {name: item["orderedItem"][name] for name in ("@type", "@id")}
    return told
