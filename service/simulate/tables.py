"""A result in words and tables: the same in the terminal and in the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from service.simulate.result import PERCENTILES, Result

_WHOLE_FROM: Final = 100
_PROBLEMS_SHOWN: Final = 5


class Table(NamedTuple):
    """Rows of a name and numbers."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def facts(result: Result) -> Mapping[str, str]:
    """Return what there is to say of a run, by a word each."""
    scenario, simulator, tested = result.scenario, result.simulator, result.environment
    arriving = min(result.seconds, scenario.duration_seconds)
    came_in = f"{arriving:.0f} s of arrivals"
    ending = f"then {result.seconds - arriving:.0f} s until all had gone"
    most = f"{scenario.ending_seconds:.0f} s at most"
    ended = "" if result.is_whole else "; ended early"
    came = f"{result.arrived:,} of {scenario.customers:,}"
    offered, achieved = result.offered_per_second, result.achieved_per_second
    late, latest = map(milliseconds, (simulator.late_p99_ms, simulator.late_most_ms))
    sold = f"{result.booked:,} of {result.capacity:,} spaces"
    software = f"lease-service {tested['service']}, {tested['redis']}"
    return {
        "run": f"{result.preset} at {result.url}",
        "time": f"{came_in}, {ending} ({most}){ended}",
        "Customers": f"{came}; offered {offered:,.1f}/s, achieved {achieved:,.1f}/s",
        "calls": f"{result.calls:,}; {result.calls_per_second:,.1f}/s",
        "leases": f"{result.leases:,} Customers were given one",
        "bookings": f"{result.bookings:,} Orders, {sold}",
        "simulator": f"{simulator.cores:.2f} of a core; late itself: p99 {late}, most {latest} ms",
        "service": f"{software}; workers: {tested['workers']}",
        "machine": f"{tested['system']}, Python {tested['python']}; cores: {tested['cores']}",
        "command": tested["command"],
    }


def tables(result: Result) -> Iterator[Table]:
    """Yield what the calls of each step were like, and how often what happened."""
    steps = result.steps
    rows = [
        [step.step, *(f"{n:,}" for n in (step.calls, step.done, step.refused, step.failed))]
        for step in steps
    ]
    yield Table("Calls", ["step", "calls", "done", "refused", "failed"], rows)
    rows = [[step.step, *map(milliseconds, step.milliseconds.values())] for step in steps]
    yield Table("Latency, ms from when a call was due", ["step", *PERCENTILES], rows)
    for title, unit, numbers in (
        ("How sessions ended", "Customers", result.outcomes),
        ("Refusals", "calls", result.refusals),
        ("Failures", "calls", result.failures),
    ):
        if numbers:
            yield Table(title, ["", unit], [[name, f"{n:,}"] for name, n in numbers.items()])


def last_line(result: Result) -> str:
    """Say whether what was booked is what was promised."""
    if problems := result.problems:
        more = len(problems) - _PROBLEMS_SHOWN
        tail = [f"and {more} more"] if more > 0 else []
        return f"verify: NOT as promised: {'; '.join([*problems[:_PROBLEMS_SHOWN], *tail])}"
    audited = "; all that is in Redis agrees" if result.is_audited else ""
    return (
        f"verify: no oversell: {result.booked:,} spaces booked, as accepted, and no Opportunity"
        f" beyond its capacity{audited}"
    )


def milliseconds(number: float) -> str:
    """Return a latency with as many digits as mean something."""
    return f"{number:,.1f}" if number < _WHOLE_FROM else f"{number:,.0f}"
