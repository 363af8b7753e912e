"""One reader of the capacity feed per process, however many listen (docs/protocol.md, rule 23).

What was read last is kept once, encoded, in order, and each listener has its own place in it. One
whose place is older than that reads the feed until it has caught up, a page at a time, which it
shares with all who are at the same place. So there is no moment of joining: what comes next is
always what lies behind one's place. No listener is sent more than a piece before it has taken the
one before: whoever reads nothing costs a page and a piece, and not what has happened since.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import time
from bisect import bisect_right
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec
import structlog

from service.errors import OpenBookingError
from service.http.observer import UNOBSERVED, Observer
from service.ledger.feed import CapacityFeed, Change, Cursor

KEPT: Final = 10_000
"""Events that a listener may lag behind; one that is slower is dropped."""

PIECE_BYTES: Final = 16_384
"""Of what lies behind its place a listener is sent so much at once, and the rest of an event."""

QUIET_SECONDS: Final = 15.0
"""After so long without an event a comment says that the connection lives."""

# After a restart all listeners come back at once: what they missed is read once for all.
_RECENT_MICROSECONDS: Final = 30_000_000

# Those who missed more read for themselves, a few at a time: other calls go first.
_CATCHING_UP: Final = 4
# Many come back to the same place within a moment: they share what one of them has read.
_SHARED_PAGES: Final = 16
_SHARED_SECONDS: Final = 1.0

_POLL_SECONDS: Final = 0.1
_PAUSE_SECONDS: Final = 1.0
_TIDY_SECONDS: Final = 2.0
_RETRY_MILLISECONDS: Final = 1000
_RETRY_SECONDS: Final = 1
_TOO_MANY: Final = 503

_log = structlog.stdlib.get_logger(__name__)


class TooSlowError(Exception):
    """The listener has fallen so far behind that what it needs is not kept any more."""


class _Event(NamedTuple):
    cursor: Cursor
    text: bytes


class Broadcast:
    """Reads the feed while anybody listens, and lets everybody have it."""

    def __init__(self, feed: CapacityFeed, limit: int, observer: Observer = UNOBSERVED) -> None:
        """Broadcast what `feed` has to at most `limit` listeners; tell `observer` who listens."""
        self._feed = feed
        self._limit = limit
        self._observer = observer
        self._kept: list[_Event] = []
        self._floor = Cursor()
        self._pages: dict[Cursor, Sequence[_Event]] = {}
        self._news = asyncio.Event()
        self._catching_up = asyncio.Semaphore(_CATCHING_UP)
        self._listeners = 0
        self._reader: asyncio.Task[None] | None = None
        self._closed = False
        self._tidying: asyncio.TimerHandle | None = None

    async def listen(
        self, after: Cursor | None, wanted: Collection[str] = ()
    ) -> AsyncGenerator[bytes, None]:
        """Yield the events behind a place for ever, as a stream of Server-Sent Events.

        Args:
            after: The place in the feed; None: what happens from now on.
            wanted: Ids of the feed to narrow it to; none: everything.

        Raises:
            OpenBookingError: There are as many listeners as there may be, or Redis does not answer
                and nothing kept is near enough (rule 25).
            TooSlowError: What was yielded was not taken in time.

        """
        with self._listening():
            end = await self._feed.end()
            self._begin_to_read(end)
            place = after or end
            yield b"retry: %d\n%b\n" % (_RETRY_MILLISECONDS, _id_line(place))
            while place < (floor := self._floor) and not self._closed:
                page = await self._page(place)
                for text in _pieces(page, wanted):
                    yield text
                # A page reads on to this moment: without items there are none up to the floor.
                place = page[-1].cursor if page else floor
            loop = asyncio.get_running_loop()
            quiet_until = loop.time() + QUIET_SECONDS
            while not self._closed:
                news = self._news
                place, text = self._behind(place, wanted)
                if not text and not await _comes(news, quiet_until):
                    # With the place, a narrow listener that reconnects need not read all again.
                    text = b":\n%b\n" % _id_line(place)
                if text:
                    yield text
                    quiet_until = loop.time() + QUIET_SECONDS

    def close(self) -> None:
        """End every stream, now and from now on."""
        self._closed = True
        self._tell()
        if self._reader is not None:
            self._reader.cancel()

    async def _page(self, place: Cursor) -> Sequence[_Event]:
        """Read on behind a place that is further back than what is kept."""
        async with self._catching_up:
            page = self._pages.get(place)
            if page is None:
                page = [*map(_event, await self._feed.changes(place))]
                # What an empty page says is true only of the moment at which it was read.
                if page and len(self._pages) < _SHARED_PAGES:
                    self._pages[place] = page
                    loop = asyncio.get_running_loop()
                    loop.call_later(_SHARED_SECONDS, self._pages.pop, place, None)
        return page

    def _behind(self, place: Cursor, wanted: Collection[str]) -> tuple[Cursor, bytes]:
        """Return a piece of what is kept behind a place, and the place behind that."""
        if place < self._floor:
            raise TooSlowError
        begin = bisect_right(self._kept, place, key=itemgetter(0))
        end, text = _piece(self._kept, begin, wanted)
        return (self._kept[end - 1].cursor if end > begin else place), text

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """Count a listener in, if there may be another one; the last to leave ends the reading."""
        if self._listeners >= self._limit:
            raise OpenBookingError(
                "This worker has as many listeners as it may have; come back a little later.",
                status=_TOO_MANY,
                retry_after=_RETRY_SECONDS,
            )
        self._listeners += 1
        self._observer.changed_listeners(1)
        try:
            yield
        finally:
            self._listeners -= 1
            self._observer.changed_listeners(-1)
            if not self._listeners and self._reader is not None:
                self._reader.cancel()
                self._reader, self._kept = None, []
            if self._tidying is None:
                loop = asyncio.get_running_loop()
                self._tidying = loop.call_later(_TIDY_SECONDS, self._tidy)

    def _tidy(self) -> None:
        """Give back what listeners took: glibc would keep it, as theirs lies between others'."""
        self._tidying = None
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)

    def _begin_to_read(self, end: Cursor) -> None:
        if self._reader is None and not self._closed:
            self._kept, self._floor = [], Cursor(end.modified - _RECENT_MICROSECONDS)
            self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        place, is_away = self._floor, False
        read_at = time.monotonic()
        while True:
            before, read_at = read_at, time.monotonic()
            try:
                changes = await self._feed.changes(place)
            except OpenBookingError as error:
                if not is_away:
                    _log.warning("events.paused", reason=error.description)
                is_away = True
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            is_away = False
            # What this read found may have come right after the one before began.
            self._observer.read_feed(time.monotonic() - before)
            if changes:
                place = changes[-1].cursor
                self._keep(changes)
            else:
                await asyncio.sleep(_POLL_SECONDS)

    def _keep(self, changes: list[Change]) -> None:
        self._kept += map(_event, changes)
        if len(self._kept) > KEPT:
            self._floor = self._kept[-KEPT - 1].cursor
            del self._kept[:-KEPT]
        self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


async def _comes(news: asyncio.Event, deadline: float) -> bool:
    """Wait for news; return whether they came before the deadline, on the loop's clock."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            await news.wait()
    return news.is_set()


def _pieces(events: Sequence[_Event], wanted: Collection[str]) -> Iterator[bytes]:
    """Yield all that is wanted of these events, in pieces."""
    end = 0
    while end < len(events):
        end, text = _piece(events, end, wanted)
        if text:
            yield text


def _piece(events: Sequence[_Event], begin: int, wanted: Collection[str]) -> tuple[int, bytes]:
    """Return where the next piece of these events ends, and what is wanted of it."""
    texts: list[bytes] = []
    size, end = 0, begin
    while end < len(events) and size < PIECE_BYTES:
        event = events[end]
        end += 1
        if not wanted or event.cursor.id in wanted:
            texts.append(event.text)
            size += len(event.text)
    return end, b"".join(texts)


def _id_line(place: Cursor) -> bytes:
    return f"id: {place.modified},{place.id}\n".encode()


def _event(change: Change) -> _Event:
    place = _id_line(change.cursor)
    data = msgspec.json.encode(change)
    return _Event(change.cursor, b"event: capacity\n%bdata: %b\n\n" % (place, data))
