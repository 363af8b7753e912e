"""What happens, written down as it happens; everything else is worked out from it."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Sequence
from enum import Enum, IntEnum
from math import ceil
from typing import Final, NamedTuple

from service.model import Opportunity

_RECENT: Final = 1_000


class Step(Enum):
    """A call of a Customer."""

    C1 = "C1"
    C2 = "C2"
    B = "B"
    RELEASE = "release"


class Result(IntEnum):
    """How a call ended."""

    DONE = 0
    REFUSED = 1
    """The service said no, as it should where there is not enough."""
    FAILED = 2
    """No usable answer came: a 5xx, a time-out, a broken connection."""


class Outcome(Enum):
    """How a Customer's visit ended."""

    BOOKED = "booked"
    TURNED_AWAY = "turned away: there was nothing for them"
    TOO_LATE = "too late: their spaces were gone at C2 or B"
    RELEASED = "changed their mind, and released"
    SILENT = "fell silent: the lease is left to lapse"
    FAILED = "got no usable answer"
    SENT_HOME = "still there when it ended"


class Series(NamedTuple):
    """Every call of one step."""

    due: array[float]
    """When it was meant to be made, in seconds after the beginning."""
    seconds: array[float]
    """What passed from then to the answer."""
    results: array[int]


class Spaces(NamedTuple):
    """The ledgers of all Opportunities together, at one moment."""

    at: float
    free: int
    leased: int
    booked: int


class Tape:
    """The record of a run.

    Attributes:
        series: The calls.
        refusals: By step, and the type of the refusal: of the first OrderItem that has one.
        failures: By step, and what was there instead of a usable answer.
        outcomes: How visits ended.
        lags: By how many seconds the simulator itself made each call too late.
        spaces: What could be seen of all ledgers together, from time to time.
        too_much: Opportunities that were seen with more spaces booked and leased than there are.
        arrived: How many Customers came.
        first_answered: How many of them had a usable answer to their first call.
        last_first_answer: When the last of these came.
        leases: How many of them were given a lease.
        queued: How many calls waited for a connection.

    """

    def __init__(self) -> None:
        self.series = {step: Series(array("d"), array("d"), array("B")) for step in Step}
        self.refusals: Counter[tuple[Step, str]] = Counter()
        self.failures: Counter[tuple[Step, str]] = Counter()
        self.outcomes: Counter[Outcome] = Counter()
        self.lags = array("d")
        self.spaces: list[Spaces] = []
        self.too_much: dict[str, Opportunity] = {}
        self.arrived = 0
        self.first_answered = 0
        self.last_first_answer = 0.0
        self.leases = 0
        self.queued = 0
        self._recent: deque[float] = deque(maxlen=_RECENT)

    @property
    def calls(self) -> int:
        """How many calls have been answered, or given up."""
        return sum(len(series.due) for series in self.series.values())

    def add(self, step: Step, due: float, ended: float, result: Result) -> None:
        """Write down a call.

        Args:
            step: Which.
            due: When it was meant to be made.
            ended: When its answer had come, or was given up; both in seconds after the beginning.
            result: How it ended.

        """
        series = self.series[step]
        series.due.append(due)
        series.seconds.append(ended - due)
        series.results.append(result)
        self._recent.append(ended - due)

    def recent(self, share: float) -> float:
        """Return a percentile of the latest thousand calls, in seconds."""
        return percentile(sorted(self._recent), share)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that so many are at or below: the nearest rank.

    Args:
        ordered: The values, ascending; 0 is returned where there is none.
        share: As 0.99.

    """
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else 0.0
