"""Who is told what the edge answers, and tells it on: `/metrics`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple, Protocol


class Exposition(NamedTuple):
    """What was counted, as a scraper reads it."""

    body: bytes
    content_type: str


class Observer(Protocol):
    """Is told, in the middle of every call: it must be quick and may not fail."""

    def answered(self, step: str, status: int, errors: Collection[str], seconds: float) -> None:
        """Hear how a call was answered.

        Args:
            step: As `STEPS` has it.
            status: The status of the answer.
            errors: The types of all its errors, those of its OrderItems included; each once.
            seconds: How long it took.

        """

    def changed_in_flight(self, by: int) -> None:
        """Hear that so many requests more are being answered; negative: fewer."""

    def changed_listeners(self, by: int) -> None:
        """Hear that so many more follow `/capacity-events`; negative: fewer."""

    def read_feed(self, lag_seconds: float) -> None:
        """Hear how long what the listeners were just told may have been waiting."""

    def expose(self, accept: str) -> Exposition:
        """Return what all workers have counted, in a format that a client accepts."""


class _Nobody:
    def answered(self, step: str, status: int, errors: Collection[str], seconds: float) -> None:
        """Ignore it."""

    def changed_in_flight(self, by: int) -> None:
        """Ignore it."""

    def changed_listeners(self, by: int) -> None:
        """Ignore it."""

    def read_feed(self, lag_seconds: float) -> None:
        """Ignore it."""

    def expose(self, accept: str) -> Exposition:  # noqa: ARG002 - as the protocol has it
        """Return nothing: nothing was counted."""
        return Exposition(b"", "text/plain")


UNOBSERVED: Final[Observer] = _Nobody()
