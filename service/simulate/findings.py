"""What a run has shown: the numbers behind the table, the pictures, the report and the JSON."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from service.simulate.scenario import Scenario
from service.simulate.tape import Result, Series, Spaces, Step, Tape, percentile

_LATE_SECONDS: Final = 0.010
_BUSY: Final = 0.85
_MOMENTS: Final = 120
_SHORTEST_MOMENT: Final = 0.5


class Latency(Struct, frozen=True):
    """Milliseconds from when a call was due to its answer."""

    p50: float
    p90: float
    p99: float
    p999: float
    longest: float


class StepFindings(Struct, frozen=True):
    """Every call of a step."""

    step: str
    calls: int
    done: int
    refused: int
    failed: int
    milliseconds: Latency


class Count(Struct, frozen=True):
    """How often a step was refused, or failed, in one way."""

    step: str
    kind: str
    calls: int


class Moment(Struct, frozen=True):
    """A short while of the run, and the calls that were due in it."""

    at: float
    """Its middle, in seconds after the beginning."""
    done: float
    """Calls per second; so are the next two."""
    refused: float
    failed: float
    p50: float | None
    """Milliseconds; so are the next two; None where no call was due."""
    p99: float | None
    longest: float | None


class Simulator(Struct, frozen=True):
    """What the simulator itself cost, and whether it kept up."""

    cores: float
    """CPU seconds per second; with 1 it can do no more."""
    late_p99_ms: float
    """By how much it made calls too late itself; that is in the latencies."""
    late_longest_ms: float
    queued: int
    """Calls that waited for one of its connections."""
    remarks: list[str]
    """What to know before one believes the latencies."""


class Findings(Struct, frozen=True, kw_only=True):
    """Everything that a run has shown."""

    version: str
    url: str
    seller: str
    preset: str
    began: str
    """UTC, as in RFC 3339."""
    is_whole: bool
    """Whether it was left to run to its end."""
    seconds: float
    scenario: Scenario
    arrived: int
    offered_per_second: float
    """Customers who were to come, by the time that passed while they came."""
    achieved_per_second: float
    """Customers who had the answer to their first call, by the time until the last had it."""
    calls: int
    calls_per_second: float
    steps: list[StepFindings]
    refusals: list[Count]
    failures: list[Count]
    outcomes: dict[str, int]
    leases: int
    """Customers who were given one."""
    bookings: int
    """Orders."""
    capacity: int
    booked: int
    """Spaces, as the ledgers say."""
    accepted: int
    """Spaces, as the answers to B said."""
    problems: list[str]
    """What is not as promised; nothing, if all is well."""
    is_audited: bool
    """Whether `lease-service verify` looked at Redis too."""
    simulator: Simulator
    moments: list[Moment]
    spaces: list[Spaces]


def steps_of(tape: Tape) -> list[StepFindings]:
    """Return what each step was like, all steps together last."""
    found = [_step(step.value, [tape.series[step]]) for step in Step if tape.series[step].due]
    return [*found, _step("all", list(tape.series.values()))]


def moments_of(tape: Tape, seconds: float) -> list[Moment]:
    """Return the run in short whiles of equal length.

    Args:
        tape: The record.
        seconds: How long the run took.

    """
    length = max(_SHORTEST_MOMENT, seconds / _MOMENTS)
    whiles: list[list[tuple[float, int]]] = [[] for _ in range(int(seconds / length) + 1)]
    for due, passed, result in _calls(tape):
        whiles[int(due / length)].append((passed, result))
    return [_moment(number * length, length, calls) for number, calls in enumerate(whiles)]


def simulator_of(tape: Tape, cores: float) -> Simulator:
    """Return how well the simulator did its own part.

    Args:
        tape: The record.
        cores: The CPU seconds that it took per second.

    """
    lags = sorted(tape.lags)
    late, longest = percentile(lags, 0.99), percentile(lags, 1)
    remarks = []
    if late > _LATE_SECONDS:
        remarks.append(
            f"The simulator was itself late: 1 call in 100 by more than {late * 1e3:,.0f} ms,"
            " which is in the latencies. Use a lower --rate, or a machine of its own."
        )
    if cores > _BUSY:
        remarks.append(
            f"The simulator used {cores:.2f} of the one core that it can use: it may be the limit"
            " itself, not the service. Share the load among several simulators."
        )
    if tape.queued:
        remarks.append(
            f"{tape.queued:,} of {tape.calls:,} calls waited for a connection, which is in the"
            " latencies. More --connections would tell whether the service takes more at once."
        )
    return Simulator(round(cores, 3), _ms(late), _ms(longest), tape.queued, remarks)


def refusals_of(tape: Tape) -> list[Count]:
    """Return the refusals by step and kind, the most frequent first."""
    return [Count(step.value, kind, n) for (step, kind), n in tape.refusals.most_common()]


def failures_of(tape: Tape) -> list[Count]:
    """Return the failures by step and kind, the most frequent first."""
    return [Count(step.value, kind, n) for (step, kind), n in tape.failures.most_common()]


def _step(name: str, several: list[Series]) -> StepFindings:
    ordered = sorted(itertools.chain.from_iterable(series.seconds for series in several))
    done, refused, failed = (
        sum(series.results.count(result) for series in several) for result in Result
    )
    shares = (0.5, 0.9, 0.99, 0.999, 1)
    latency = Latency(*(_ms(percentile(ordered, share)) for share in shares))
    return StepFindings(name, len(ordered), done, refused, failed, latency)


def _calls(tape: Tape) -> Iterator[tuple[float, float, int]]:
    return itertools.chain.from_iterable(
        zip(series.due, series.seconds, series.results, strict=True)
        for series in tape.series.values()
    )


def _moment(begins: float, length: float, calls: list[tuple[float, int]]) -> Moment:
    ordered = sorted(passed for passed, _ in calls)
    done, refused, failed = (
        sum(result == kind for _, result in calls) / length for kind in Result
    )
    p50, p99, longest = (
        _ms(percentile(ordered, share)) if ordered else None for share in (0.5, 0.99, 1)
    )
    return Moment(begins + length / 2, done, refused, failed, p50, p99, longest)


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)
