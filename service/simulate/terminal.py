"""What is seen of a run in the terminal: how far it is, and in the end a table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from service.simulate.findings import Findings
from service.simulate.run import Plan, Show
from service.simulate.scenario import Scenario
from service.simulate.tape import Spaces
from service.simulate.visit import World
from service.simulate.wording import closing_line, milliseconds, summary

_BAR_WIDTH: Final = 48
_UNIT: Final = "milliseconds from when a call was due"
_PLAIN_EVERY: Final = 10.0
_COME: Final = "#45b8a5"
_COLOURS: Final = {"booked": "#5f8fc9", "leased": "#e9b04c", "free": "grey42"}


@contextlib.contextmanager
def live(console: Console, plan: Plan) -> Iterator[Show]:
    """Give what shows how far a run is: a picture that moves, or a line now and then.

    Args:
        console: Where standard error goes.
        plan: What is run.

    """
    if not console.is_terminal:
        yield _Lines(console)
        return
    with Live(console=console, auto_refresh=False, transient=True) as picture:

        def show(world: World, scenario: Scenario) -> None:
            picture.update(_scene(plan, world, scenario), refresh=True)

        yield show


class _Lines:
    """How far a run is, line by line, for a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0

    def __call__(self, world: World, scenario: Scenario) -> None:
        """Write a line, unless the last one was a moment ago."""
        now = world.clock.now()
        if now < self._next:
            return
        self._next = now + _PLAIN_EVERY
        tape = world.tape
        self._console.print(
            f"{now:4.0f} s  {tape.arrived:,} of {scenario.customers:,} Customers,"
            f" {tape.calls:,} calls, {world.bookings.orders:,} bookings",
            highlight=False,
        )


def _scene(plan: Plan, world: World, scenario: Scenario) -> RenderableType:
    tape, now = world.tape, world.clock.now()
    gone = tape.outcomes.total()
    numbers = Table.grid(padding=(0, 3))
    for _ in range(3):
        numbers.add_column(justify="right", style="bold")
        numbers.add_column(style="dim")
    rows = (
        (f"{tape.arrived:,}", f"of {scenario.customers:,} have come"),
        (f"{tape.arrived - gone:,}", "are here"),
        (f"{world.bookings.orders:,}", "have booked"),
        (f"{tape.calls:,}", "calls"),
        (f"{tape.refusals.total():,}", "refused"),
        (f"{tape.failures.total():,}", "failed"),
        (f"{tape.recent(0.5) * 1e3:,.1f} ms", "half within"),
        (f"{tape.recent(0.99) * 1e3:,.1f} ms", "99 % within"),
        (f"{max(tape.lags[-1000:], default=0) * 1e3:,.1f} ms", "late itself"),
    )
    for first in range(0, len(rows), 3):
        numbers.add_row(*(cell for pair in rows[first : first + 3] for cell in pair))
    title = Text.assemble((plan.preset, "bold"), ("  at ", "dim"), plan.url)
    time_left = Table.grid(padding=(0, 1))
    whole = scenario.duration_seconds
    said = f"{now:.0f} of {whole:.0f} s" if now < whole else "nobody else comes"
    bar = ProgressBar(
        whole, min(now, whole), _BAR_WIDTH, complete_style=_COME, finished_style=_COME
    )
    time_left.add_row(bar, said)
    scene = Group(title, Text(), time_left, Text(), numbers, Text(), _bar(tape.spaces))
    return Padding(Group(scene, Text("\nCtrl-C ends it, with its report.", "dim")), (1, 2))


def _bar(samples: list[Spaces]) -> RenderableType:
    latest = samples[-1] if samples else Spaces(0, 0, 0, 0)
    counts = {"booked": latest.booked, "leased": latest.leased, "free": latest.free}
    whole = sum(counts.values()) or 1
    bar, legend, ends, done = Text(), Text(), 0, 0
    for name, count in counts.items():
        ends += count
        width = round(ends / whole * _BAR_WIDTH) - done
        done += width
        bar.append("━" * width, _COLOURS[name])
        legend.append(f"{count:,} {name}  ", _COLOURS[name])
    return Group(bar, legend)


def table(findings: Findings) -> RenderableType:
    """Return what a run has shown, without the closing line."""
    return Group(_summary(findings), _steps(findings), *_endings(findings), _remarks(findings))


def last_line(findings: Findings) -> Text:
    """Return whether what was booked is what was promised."""
    return Text(closing_line(findings), "bold red" if findings.problems else "bold green")


def _summary(findings: Findings) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", min_width=10)
    facts.add_column()
    for name, text in summary(findings):
        facts.add_row(name, text)
    return Padding(facts, (1, 0, 0, 1))


def _steps(findings: Findings) -> RenderableType:
    grid = Table(box=box.SIMPLE_HEAD, title=_UNIT, title_justify="right")
    grid.title_style = "dim italic"
    grid.add_column("step")
    for name in ("calls", "done", "refused", "failed", "p50", "p90", "p99", "p99.9", "max"):
        grid.add_column(name, justify="right")
    for step in findings.steps:
        latency = step.milliseconds
        counts = (step.calls, step.done, step.refused, step.failed)
        times = (latency.p50, latency.p90, latency.p99, latency.p999, latency.longest)
        cells = [*(f"{count:,}" for count in counts), *map(milliseconds, times)]
        grid.add_row(step.step, *cells, style="bold" if step.step == "all" else None)
    return grid


def _endings(findings: Findings) -> Iterator[RenderableType]:
    outcomes = [(count, name) for name, count in findings.outcomes.items()]
    yield _counts("How visits ended", outcomes)
    refusals = [(each.calls, f"{each.step}: {each.kind}") for each in findings.refusals]
    yield _counts("Refusals", refusals)
    failures = [(each.calls, f"{each.step}: {each.kind}") for each in findings.failures]
    yield _counts("Failures", failures)


def _counts(title: str, rows: list[tuple[int, str]]) -> RenderableType:
    if not rows:
        return Group()
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", min_width=8)
    grid.add_column()
    for count, text in rows:
        grid.add_row(f"{count:,}", text)
    return Group(Text(f" {title}", "bold"), grid, Text())


def _remarks(findings: Findings) -> RenderableType:
    return Group(*(Text(f"! {remark}\n", "yellow") for remark in findings.simulator.remarks))
