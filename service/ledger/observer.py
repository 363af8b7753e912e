"""Who is told what the store sees; it counts nothing itself."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Literal, Protocol

Event = Literal["granted", "extended", "converted", "released", "proposed", "booked", "expired"]
"""What becomes of a lease; `booked` is also an Order without one."""

_LAPSED: Final = 9


class Observer(Protocol):
    """Is told, in the middle of every call: it must be quick and may not fail."""

    def happened(self, event: Event, times: int = 1) -> None:
        """Hear what became of leases."""

    def looked_at_due(self, now: float, late_seconds: float) -> None:
        """Hear that a sweeper looked, at an instant of Redis's clock, and how late it was."""

    def redis_away(self) -> None:
        """Hear that a sweeper could not look, because Redis does not answer."""

    def clock_went_back(self) -> None:
        """Hear that Redis's clock is earlier than it was."""

    def script(self, verb: str) -> AbstractContextManager[object]:
        """Return what to be in while a script runs."""


class _Nobody:
    def __init__(self) -> None:
        self._nothing = nullcontext()

    def happened(self, event: Event, times: int = 1) -> None:
        """Ignore it."""

    def looked_at_due(self, now: float, late_seconds: float) -> None:
        """Ignore it."""

    def redis_away(self) -> None:
        """Ignore it."""

    def clock_went_back(self) -> None:
        """Ignore it."""

    def script(self, verb: str) -> AbstractContextManager[object]:  # noqa: ARG002 - as the others
        """Return what does nothing."""
        return self._nothing


UNOBSERVED: Final[Observer] = _Nobody()


def settled(reply: Any, observer: Observer) -> Any:  # noqa: ANN401 - a script's header says which
    """Return what a script answers, and tell of the leases that it found to have lapsed."""
    if isinstance(reply, list) and reply[0] == _LAPSED:
        observer.happened("expired", reply[1])
        return reply[2]
    return reply
