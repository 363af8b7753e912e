"""How much this process takes on: what is too much is refused before it costs anything."""

from __future__ import annotations

from typing import Final

import structlog

from service.http.observer import Observer

_QUIET_SECONDS: Final = 1.0

_log = structlog.stdlib.get_logger(__name__)


class InFlight:
    """The requests that wait for the service, and not for their clients; and how many may."""

    def __init__(self, limit: int, observer: Observer) -> None:
        """Begin with none; tell `observer` of each."""
        self._observer = observer
        self._limit = limit
        self._count = 0

    @property
    def is_full(self) -> bool:
        """Whether there are as many as there may be."""
        return self._count >= self._limit

    def enter(self) -> None:
        """Count a request in."""
        self._count += 1
        self._observer.changed_in_flight(1)

    def leave(self) -> None:
        """Count a request out."""
        self._count -= 1
        self._observer.changed_in_flight(-1)


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
