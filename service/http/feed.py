"""The capacity feed: RPDE, the Realtime Paged Data Exchange of OpenActive."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import hdrs, web

from service.errors import OpenBookingError
from service.http.context import Request
from service.http.response import Response, answer
from service.ledger.feed import MEDIA_TYPE, START, CapacityPage, Cursor

_LATEST: Final = 2**53 - 1
"""RPDE readers take any integer that a JSON number can hold."""

_PLACES: Final = (["afterTimestamp"], ["afterId", "afterTimestamp"])
_TIMESTAMP: Final = re.compile(r"[0-9]{1,16}")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{0,64}")

_FULL_SECONDS: Final = 3600
_LAST_SECONDS: Final = 8


async def get(request: Request) -> Response:
    """Read what is free of every Opportunity, in the order of its last change (RPDE).

    Begin without parameters and follow `next`; a page without items is the last for now, and
    worth asking for again. Each Opportunity is in the feed once, at the place of its last change;
    withdrawn ones stay for 7 days as `deleted`. `modified` is in microseconds since 1970.
    """
    here = f"{request.wanted_scheme}://{request.authority}"
    changes = await request.services.feed.changes(cursor_of(request) or START)
    # The last page names itself as it was asked for, to the letter: by that readers know it.
    after = request.rel_url.raw_path_qs
    if changes:
        modified, id_ = changes[-1].cursor
        after = f"{request.rel_url.raw_path}?afterTimestamp={modified}&afterId={id_}"
    seconds = _FULL_SECONDS if changes else _LAST_SECONDS
    # What needs a token may not be handed out by a cache that everyone can ask.
    access = "private" if request.services.needs_token else "public"
    return answer(
        CapacityPage(f"{here}{after}", changes),
        media_type=MEDIA_TYPE,
        headers={hdrs.CACHE_CONTROL: f"{access}, max-age={seconds}"},
    )


def cursor_of(request: web.BaseRequest) -> Cursor | None:
    """Return the place that `afterTimestamp` and `afterId` name; None where neither is given.

    Raises:
        OpenBookingError: They name no place.

    """
    # A misspelt place would be no place, and the feed begin anew.
    named = [name for name, _ in request.query.items() if name.lower().startswith("after")]
    if not named:
        return None
    if sorted(named) not in _PLACES:
        raise OpenBookingError(
            "This feed takes afterTimestamp, once, and with it afterId: as its `next` has them."
        )
    return parse_cursor(request.query["afterTimestamp"], request.query.get("afterId", ""))


def parse_cursor(timestamp: str, id_: str) -> Cursor:
    """Return the place in the feed that a reader kept.

    Raises:
        OpenBookingError: It is none.

    """
    if not _TIMESTAMP.fullmatch(timestamp):
        raise OpenBookingError("A place in the feed is an integer: microseconds since 1970.")
    if not _ID.fullmatch(id_):
        raise OpenBookingError("A place in the feed has the id of one of its items.")
    return Cursor(min(int(timestamp), _LATEST), id_)
