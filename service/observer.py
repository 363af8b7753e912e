"""Who is told what happens, for metrics and traces, without knowing either."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Literal, NamedTuple

LeaseEvent = Literal[
    "granted", "extended", "converted", "released", "proposed", "booked", "expired"
]
"""What becomes of a lease; `booked` is also an Order without one."""

_NOTHING: Final = nullcontext()


class Exposition(NamedTuple):
    """What was counted, as a scraper reads it."""

    body: bytes
    content_type: str


class Observer:
    """Is told in the middle of every call, so it must be quick and may not fail.

    This one does nothing; `telemetry.metrics.Meter` counts.
    """

    def answered(self, step: str, status: int, errors: Collection[str], seconds: float) -> None:
        """Hear how a call was answered.

        Args:
            step: As `routes.STEPS` has it.
            status: The status of the answer.
            errors: The types of all its errors, those of its OrderItems included; each once.
            seconds: How long it took.

        """

    def changed_in_flight(self, by: int) -> None:
        """Hear how many more requests are being answered; negative: fewer."""

    def changed_listeners(self, by: int) -> None:
        """Hear how many more follow the events; negative: fewer."""

    def read_feed(self, lag_seconds: float) -> None:
        """Hear how long what the listeners were just told may have been waiting."""

    def changed_leases(self, event: LeaseEvent, times: int = 1) -> None:
        """Hear what became of leases."""

    def exchanged(self, calls: int, seconds: float) -> None:
        """Hear how many calls went to Redis together, and how long their replies took."""

    def swept(self, now: float, late_seconds: float) -> None:
        """Hear that a sweeper looked, at an instant of Redis's clock, and how late it was."""

    def redis_away(self) -> None:
        """Hear that a sweeper could not look, because Redis does not answer."""

    def script(self, verb: str) -> AbstractContextManager[object]:  # noqa: ARG002 - for a tracer
        """Return the context manager to run a script in."""
        return _NOTHING

    def expose(self, accept: str) -> Exposition:  # noqa: ARG002 - for a meter
        """Return what all workers have counted, in a format that a client accepts."""
        return Exposition(b"", "text/plain")


UNOBSERVED: Final = Observer()
