"""What a run has shown, in words: the same in the terminal and in the report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from service.simulate.findings import Findings
from service.simulate.verdict import Verdict

_WHOLE_FROM: Final = 100


def closing_line(findings: Findings) -> str:
    """Return the last line: whether what was booked is what was promised."""
    problems, is_audited = findings.problems, findings.is_audited
    return str(Verdict(findings.booked, findings.accepted, problems, is_audited))


def milliseconds(number: float) -> str:
    """Return a latency with as many digits as mean something."""
    return f"{number:,.1f}" if number < _WHOLE_FROM else f"{number:,.0f}"


def summary(findings: Findings) -> Iterator[tuple[str, str]]:
    """Yield the first lines: a word, and what there is to say."""
    run, simulator = findings.scenario, findings.simulator
    ended = "" if findings.is_whole else ", ended early"
    offered, achieved = findings.offered_per_second, findings.achieved_per_second
    came = f"{findings.arrived:,} of {run.customers:,}"
    sold = f"{findings.booked:,} of {findings.capacity:,} spaces"
    late = f"{milliseconds(simulator.late_p99_ms)} ms at p99"
    latest = f"{milliseconds(simulator.late_longest_ms)} ms at most"
    yield "run", f"{findings.preset} for {findings.seconds:.0f} s{ended}, at {findings.url}"
    yield "Customers", f"{came}; offered {offered:,.1f}/s, achieved {achieved:,.1f}/s"
    yield "calls", f"{findings.calls:,}; {findings.calls_per_second:,.1f}/s"
    yield "leases", f"{findings.leases:,} Customers were given one"
    yield "bookings", f"{findings.bookings:,} Orders, {sold}"
    yield (
        "simulator",
        f"{simulator.cores:.2f} of a core; late itself by {late}, {latest}",
    )
