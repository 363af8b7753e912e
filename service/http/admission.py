"""How much this process takes on: what is too much is refused before it costs anything."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

import structlog

from service.errors import OpenBookingError
from service.observer import Observer

_QUIET_SECONDS: Final = 1.0

_log = structlog.stdlib.get_logger(__name__)


class ShedError(Exception):
    """A call is refused because there are too many; the log counts these instead of listing."""

    def __init__(self, error: OpenBookingError) -> None:
        """Refuse with `error`."""
        super().__init__(error.description)
        self.error = error


class InFlight:
    """The requests that are being answered, and how many there may be.

    aiohttp throws away what it receives once it shuts down, and with it the rest of a body that is
    on its way: whoever stops a server waits here first.
    """

    def __init__(self, limit: int, observer: Observer) -> None:
        """Begin with none.

        Args:
            limit: Beyond so many no more are to be taken on.
            observer: Is told of every one.

        """
        self._observer = observer
        self._limit = limit
        self._count = 0
        self._streams = 0
        self._none: asyncio.Event | None = None

    @property
    def is_full(self) -> bool:
        """Whether there are more than there may be, the one that asks included."""
        return self._count - self._streams > self._limit

    def enter(self) -> None:
        """Count a request in."""
        self._count += 1
        self._observer.changed_in_flight(1)

    def leave(self) -> None:
        """Count a request out."""
        self._count -= 1
        self._observer.changed_in_flight(-1)
        if self._none is not None and not self._count:
            self._none.set()

    @contextlib.contextmanager
    def streaming(self) -> Iterator[None]:
        """Leave out of the limit a request that is answered for as long as its client likes."""
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    async def finish(self, seconds: float) -> None:
        """Return when none is left, or after so many seconds."""
        if self._count:
            self._none = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._none.wait()


class Tally:
    """Says in the log how often something happened, once a second at most."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._count = 0
        self._quiet_until = float("-inf")

    def add(self, event: str, now: float, **fields: object) -> None:
        """Count one; log how many there were since the last line, where that is long enough ago.

        Args:
            event: What the log calls it.
            now: Seconds of a clock that never goes back.
            fields: What the line says besides.

        """
        self._count += 1
        if now >= self._quiet_until:
            _log.warning(event, calls=self._count, **fields)
            self._count, self._quiet_until = 0, now + _QUIET_SECONDS
