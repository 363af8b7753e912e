"""One reader of the capacity feed per process, for however many listen (contract, rule 23).

What was read last is kept once, encoded, in order, and each listener has its own place in it. One
whose place is older than that reads the feed itself until it has caught up. So there is no
moment of joining: what comes next is always what lies behind one's place.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_right
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec
import structlog

from service.ledger.feed import CapacityFeed, Change, Cursor
from service.observer import UNOBSERVED, Observer
from service.redis.errors import StoreError

KEPT: Final = 10_000
"""Events that a listener may lag behind; one that is slower is dropped."""

QUIET_SECONDS: Final = 15.0
"""After so long without an event a comment says that the connection lives."""

# After a restart all listeners come back at once: what they missed is read once for all.
_RECENT_MICROSECONDS: Final = 30_000_000

# Those who missed more read for themselves, a few at a time: other calls go first.
_CATCHING_UP: Final = 4

_POLL_SECONDS: Final = 0.1
_PAUSE_SECONDS: Final = 1.0
_RETRY_MILLISECONDS: Final = 1000

_log = structlog.stdlib.get_logger(__name__)


class TooSlowError(Exception):
    """The listener has fallen so far behind that what it needs is not kept any more."""


class _Event(NamedTuple):
    cursor: Cursor
    text: bytes


class Broadcast:
    """Reads the feed while anybody listens, and lets everybody have it."""

    def __init__(self, feed: CapacityFeed, observer: Observer = UNOBSERVED) -> None:
        """Broadcast what `feed` has from the first listener on; tell `observer` who listens."""
        self._feed = feed
        self._observer = observer
        self._kept: list[_Event] = []
        self._floor = Cursor()
        self._news = asyncio.Event()
        self._catching_up = asyncio.Semaphore(_CATCHING_UP)
        self._listeners = 0
        self._reader: asyncio.Task[None] | None = None
        self._closed = False

    async def listen(
        self, after: Cursor | None, wanted: Collection[str] = ()
    ) -> AsyncGenerator[bytes, None]:
        """Yield the events behind a place for ever, as a stream of Server-Sent Events.

        Args:
            after: The place in the feed; None: what happens from now on.
            wanted: Ids of the feed to narrow it to; none: everything.

        Raises:
            StoreError: Redis does not answer, and nothing kept is near enough (rule 25).
            TooSlowError: What was yielded was not taken in time.

        """
        end = await self._feed.end()
        place = after or end
        with self._listening(end):
            yield b"retry: %d\n%b\n" % (_RETRY_MILLISECONDS, _id_line(place))
            while place < (floor := self._floor) and not self._closed:
                async with self._catching_up:
                    changes = await self._feed.changes(place)
                # A page reads on to this moment: without items there are none up to the floor.
                place = changes[-1].cursor if changes else floor
                if text := _joined(map(_event, changes), wanted):
                    yield text
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

    def _behind(self, place: Cursor, wanted: Collection[str]) -> tuple[Cursor, bytes]:
        """Return what is kept behind a place, and the place behind that."""
        if place < self._floor:
            raise TooSlowError
        events = self._kept[bisect_right(self._kept, place, key=itemgetter(0)) :]
        return events[-1].cursor if events else place, _joined(events, wanted)

    @contextlib.contextmanager
    def _listening(self, end: Cursor) -> Iterator[None]:
        """Have the feed read at least as long as this lasts."""
        self._listeners += 1
        self._observer.changed_listeners(1)
        if self._reader is None and not self._closed:
            self._kept, self._floor = [], Cursor(end.modified - _RECENT_MICROSECONDS)
            self._reader = asyncio.create_task(self._read())
        try:
            yield
        finally:
            self._listeners -= 1
            self._observer.changed_listeners(-1)
            if not self._listeners and self._reader is not None:
                self._reader.cancel()
                self._reader = None

    async def _read(self) -> None:
        place, is_away = self._floor, False
        read_at = time.monotonic()
        while True:
            before, read_at = read_at, time.monotonic()
            try:
                changes = await self._feed.changes(place)
            except StoreError as error:
                if not is_away:
                    _log.warning("events.paused", reason=str(error))
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


def _joined(events: Iterable[_Event], wanted: Collection[str]) -> bytes:
    return b"".join(event.text for event in events if not wanted or event.cursor.id in wanted)


def _id_line(place: Cursor) -> bytes:
    return f"id: {place.modified},{place.id}\n".encode()


def _event(change: Change) -> _Event:
    place = _id_line(change.cursor)
    data = msgspec.json.encode(change)
    return _Event(change.cursor, b"event: capacity\n%bdata: %b\n\n" % (place, data))
