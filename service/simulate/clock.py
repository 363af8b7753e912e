"""The clock of a run, and who waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any, Final

# A timer of the event loop counts in milliseconds, and may come so much too early.
_TICK_SECONDS: Final = 0.000_5


class SentHomeError(Exception):
    """The run is over: nobody begins anything new."""


class Clock:
    """Seconds since the beginning; when the run is over, everyone who waits is sent home."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._waiting: set[asyncio.Task[Any]] = set()
        self.is_over = False

    def start(self) -> None:
        """Begin."""
        self._began = time.perf_counter()

    def now(self) -> float:
        """Return the seconds since the beginning."""
        return time.perf_counter() - self._began

    async def reach(self, instant: float) -> None:
        """Return at an instant, or at once when it is past.

        Raises:
            SentHomeError: The run is over.

        """
        while (wait := instant - self.now()) > _TICK_SECONDS:
            with self._may_be_sent_home():
                await asyncio.sleep(wait)
        if self.is_over:
            raise SentHomeError

    async def queue(self, places: asyncio.Semaphore) -> None:
        """Return with one of these places.

        Raises:
            SentHomeError: The run is over.

        """
        with self._may_be_sent_home():
            await places.acquire()

    def end(self) -> None:
        """Send home everyone who waits; calls that have been made are still answered."""
        self.is_over = True
        for task in self._waiting:
            task.cancel()

    @contextlib.contextmanager
    def _may_be_sent_home(self) -> Iterator[None]:
        if self.is_over:
            raise SentHomeError
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: only tasks wait
        self._waiting.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self.is_over:
                raise
            task.uncancel()
            raise SentHomeError from None
        finally:
            self._waiting.discard(task)
