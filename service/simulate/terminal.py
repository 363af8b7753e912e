"""A run in the terminal: how far it is, and its result as text."""

from __future__ import annotations

import textwrap
from typing import Final

from service.simulate.recorder import Recorder
from service.simulate.result import Result
from service.simulate.scenario import Scenario
from service.simulate.tables import facts, milliseconds, tables

_WIDTH: Final = 96


def progress(scenario: Scenario, recorder: Recorder, now: float) -> str:
    """Return how far a run is in a line, so many seconds after its start."""
    left = scenario.duration_seconds + scenario.ending_seconds - now
    p50, p99 = (milliseconds(recorder.recent_percentile(p) * 1e3) for p in (0.5, 0.99))
    samples = (f", {s.leased:,} leased, {s.free:,} free" for s in recorder.spaces[-1:])
    return (
        f"{now:.0f} s, {left:.0f} more at most: {recorder.arrived:,} of {scenario.customers:,}"
        f" Customers, p50 {p50} ms, p99 {p99} ms, {recorder.orders:,} bookings{''.join(samples)},"
        f" {recorder.call_count:,} calls, {recorder.failures.total():,} failed"
    )


def text_of(result: Result) -> str:
    """Return a result as text, without its last line."""
    lines = [
        textwrap.fill(f" {name:11} {fact}", _WIDTH, subsequent_indent=" " * 13)
        for name, fact in facts(result).items()
    ]
    for title, head, rows in tables(result):
        widths = [max(map(len, column)) + 2 for column in zip(head, *rows, strict=True)]
        lines += ["", f" {title}"]
        for name, *numbers in (head, *rows):
            cells = map(str.rjust, numbers, widths[1:])
            lines.append(f"   {name:{widths[0]}}{''.join(cells)}".rstrip())
    for remark in result.simulator.remarks:
        lines += ["", textwrap.fill(f"! {remark}", _WIDTH)]
    return "\n".join(["", *lines, "", ""])
