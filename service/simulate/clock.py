"""The clock of a run: ends it for everyone who waits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any, Final

# A timer of the event loop has a resolution of a millisecond, and may fire that much too early.
_TICK_SECONDS: Final = 0.000_5


class RunOverError(Exception):
    """The run is over: nothing new is begun."""


class Clock:
    """Seconds since the start. Whatever waits raises `RunOverError` once the run is over."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._waiting: set[asyncio.Task[Any]] = set()
        self.is_over = False

    def start(self) -> None:
        """Set it to 0."""
        self._started = time.perf_counter()

    def now(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self._started

    async def sleep_until(self, instant: float) -> None:
        """Return at an instant, at once if it has passed."""
        while (wait := instant - self.now()) > _TICK_SECONDS:
            with self._interruptible():
                await asyncio.sleep(wait)
        if self.is_over:
            raise RunOverError

    async def acquire(self, semaphore: asyncio.Semaphore) -> None:
        """Acquire a semaphore."""
        with self._interruptible():
            await semaphore.acquire()

    def end(self) -> None:
        """End the run; calls in flight are still answered."""
        self.is_over = True
        for task in self._waiting:
            task.cancel()

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        if self.is_over:
            raise RunOverError
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: only tasks wait
        self._waiting.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self.is_over:
                raise
            task.uncancel()
            raise RunOverError from None
        finally:
            self._waiting.discard(task)
