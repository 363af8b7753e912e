"""Records what happens in a run; every figure of the result is computed from it."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Sequence
from enum import IntEnum, StrEnum
from math import ceil
from typing import Final, NamedTuple

from service.client import OrderName
from service.model import Opportunity

_RECENT: Final = 1_000


class BookingStep(StrEnum):
    """A call that a Customer makes."""

    C1 = "C1"
    C2 = "C2"
    B = "B"
    RELEASE = "release"


class CallOutcome(IntEnum):
    """How a call ended: refused as it should be, or without a usable answer."""

    DONE = 0
    REFUSED = 1
    FAILED = 2


class SessionOutcome(StrEnum):
    """How a Customer's session ended."""

    BOOKED = "booked"
    TURNED_AWAY = "turned away: there was nothing for them"
    TOO_LATE = "too late: their spaces were gone at C2 or B"
    RELEASED = "changed their mind, and released"
    SILENT = "fell silent: the lease is left to lapse"
    FAILED = "got no usable answer"
    CUT_OFF = "still there when it ended"


class CallSeries(NamedTuple):
    """The calls of one step: when each was due, the seconds until its answer, its outcome."""

    due: array[float]
    seconds: array[float]
    outcomes: array[int]


class SpacesSample(NamedTuple):
    """The ledgers of all Opportunities added up, so many seconds after the start."""

    at: float
    free: int
    leased: int
    booked: int


class UnconfirmedOrder(NamedTuple):
    """An Order whose B had no usable answer."""

    name: OrderName
    opportunity: str
    spaces: int


class Recorder:
    """The record of a run; instants are in seconds after its start.

    Attributes:
        calls: By step.
        refusals: By step and error type; of an OrderQuote, that of the first refused OrderItem.
        failures: By step and what came instead of a usable answer.
        sessions: By outcome.
        lateness: The seconds by which the simulator itself was late with each call.
        queued: Calls that waited for a connection.
        arrived: Customers; then those whose first call was answered, and when the last was.
        leases: Customers who were given one.
        orders: Orders that were booked, their spaces by Opportunity, and those that may have been.
        spaces: Samples of the ledgers.
        overcommitted: Ledgers that were seen with more booked and leased than their capacity.

    """

    def __init__(self) -> None:
        self.calls = {step: CallSeries(array("d"), array("d"), array("B")) for step in BookingStep}
        self.refusals: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.sessions: Counter[SessionOutcome] = Counter()
        self.lateness = array("d")
        self.queued = 0
        self.arrived = 0
        self.first_answered = 0
        self.last_first_answer = 0.0
        self.leases = 0
        self.orders = 0
        self.booked: Counter[str] = Counter()
        self.unconfirmed: list[UnconfirmedOrder] = []
        self.spaces: list[SpacesSample] = []
        self.overcommitted: dict[str, Opportunity] = {}
        self._recent: deque[float] = deque(maxlen=_RECENT)

    @property
    def call_count(self) -> int:
        """The number of calls that have ended."""
        return sum(len(series.due) for series in self.calls.values())

    def add_call(
        self, step: BookingStep, due: float, ended: float, outcome: CallOutcome, reason: str = ""
    ) -> None:
        """Record a call, and the reason why it was refused or failed."""
        series = self.calls[step]
        series.due.append(due)
        series.seconds.append(ended - due)
        series.outcomes.append(outcome)
        self._recent.append(ended - due)
        if outcome is CallOutcome.REFUSED:
            self.refusals[f"{step}: {reason}"] += 1
        elif outcome is CallOutcome.FAILED:
            self.failures[f"{step}: {reason}"] += 1

    def recent_percentile(self, share: float) -> float:
        """Return a percentile of the last thousand calls, in seconds."""
        return percentile(sorted(self._recent), share)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of ascending values; 0 where there is none."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else 0.0
