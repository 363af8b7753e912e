"""The result of a run: the figures behind the table, the report and `result.json`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from service.simulate.recorder import (
    BookingStep,
    CallOutcome,
    CallSeries,
    Recorder,
    SpacesSample,
    percentile,
)
from service.simulate.scenario import Scenario

PERCENTILES: Final[Mapping[str, float]] = MappingProxyType(
    {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "most": 1}
)

_LATE_SECONDS: Final = 0.010
_BUSY: Final = 0.85
_INTERVALS: Final = 120
_SHORTEST_INTERVAL: Final = 0.5


class StepResult(Struct, frozen=True):
    """All calls of a step, and the percentiles of their latency from when they were due."""

    step: str
    calls: int
    done: int
    refused: int
    failed: int
    milliseconds: dict[str, float]


class LoadInterval(Struct, frozen=True):
    """A part of the run: calls per second, and the latency in ms of those that were due in it."""

    at: float
    """Its middle, in seconds after the start."""
    done: float
    refused: float
    failed: float
    p50: float | None
    p99: float | None
    most: float | None


class SimulatorLoad(Struct, frozen=True):
    """What the simulator itself needed, and whether it kept up."""

    cores: float
    """CPU seconds per second; it can use one core."""
    late_p99_ms: float
    """By how much it was itself late with calls, which is in the latencies."""
    late_most_ms: float
    queued: int
    """Calls that waited for a connection."""
    remarks: list[str]
    """What to know before believing the latencies."""


class Result(Struct, frozen=True, kw_only=True):
    """Everything that a run has shown."""

    environment: dict[str, str]
    """What it was measured on."""
    url: str
    seller: str
    preset: str
    began: str
    """UTC, as in RFC 3339."""
    is_whole: bool
    """Whether all Customers arrived: nobody ended it earlier."""
    seconds: float
    scenario: Scenario
    arrived: int
    offered_per_second: float
    """Customers who arrived, by the time in which they did."""
    achieved_per_second: float
    """Customers whose first call was answered, by the time until the last of those was."""
    calls: int
    calls_per_second: float
    steps: list[StepResult]
    """All steps together come last."""
    refusals: dict[str, int]
    failures: dict[str, int]
    outcomes: dict[str, int]
    """Customers, by how their session ended."""
    leases: int
    """Customers who were given one."""
    bookings: int
    """Orders."""
    capacity: int
    booked: int
    """Spaces, by the ledgers."""
    accepted: int
    """Spaces, by the answers to B."""
    problems: list[str]
    """Promises that were not kept."""
    is_audited: bool
    """Whether `lease-service verify` has looked at Redis."""
    simulator: SimulatorLoad
    moments: list[LoadInterval]
    spaces: list[SpacesSample]


def steps_of(recorder: Recorder) -> list[StepResult]:
    """Return the result of each step that was made, and of all together."""
    made = [step for step in BookingStep if recorder.calls[step].due]
    each = [_step(step, [recorder.calls[step]]) for step in made]
    return [*each, _step("all", [*recorder.calls.values()])]


def intervals_of(recorder: Recorder, seconds: float) -> list[LoadInterval]:
    """Divide a run of so many seconds into equal intervals."""
    length = max(_SHORTEST_INTERVAL, seconds / _INTERVALS)
    intervals: list[list[tuple[float, int]]] = [[] for _ in range(int(seconds / length) + 1)]
    for series in recorder.calls.values():
        for due, passed, outcome in zip(*series, strict=True):
            intervals[int(due / length)].append((passed, outcome))
    return [_interval(number * length, length, calls) for number, calls in enumerate(intervals)]


def simulator_of(recorder: Recorder, cores: float) -> SimulatorLoad:
    """Return how well the simulator kept up with so many CPU seconds per second."""
    lateness = sorted(recorder.lateness)
    late, most = (_ms(percentile(lateness, share)) for share in (0.99, 1))
    remarks = []
    if late > _LATE_SECONDS * 1e3:
        remarks.append(
            f"The simulator was itself late: 1 call in 100 by more than {late:,.0f} ms, which is"
            " in the latencies. Use a lower --rate, or a machine of its own."
        )
    if cores > _BUSY:
        remarks.append(
            f"The simulator used {cores:.2f} of the one core that it can use: it may be the limit"
            " itself, not the service. Share the load among several simulators."
        )
    if recorder.queued:
        remarks.append(
            f"{recorder.queued:,} of {recorder.call_count:,} calls waited for a connection, which"
            " is in the latencies. More --connections would tell whether the service takes more"
            " at once."
        )
    return SimulatorLoad(round(cores, 3), late, most, recorder.queued, remarks)


def _step(name: str, several: Sequence[CallSeries]) -> StepResult:
    ordered = sorted(itertools.chain.from_iterable(series.seconds for series in several))
    done, refused, failed = (
        sum(each.outcomes.count(outcome) for each in several) for outcome in CallOutcome
    )
    latency = {p: _ms(percentile(ordered, share)) for p, share in PERCENTILES.items()}
    return StepResult(name, len(ordered), done, refused, failed, latency)


def _interval(begins: float, length: float, calls: Sequence[tuple[float, int]]) -> LoadInterval:
    rates = (sum(result == outcome for _, result in calls) / length for outcome in CallOutcome)
    ordered = sorted(passed for passed, _ in calls)
    latency = (_ms(percentile(ordered, share)) if calls else None for share in (0.5, 0.99, 1))
    return LoadInterval(begins + length / 2, *rates, *latency)


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)
