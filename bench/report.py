"""What a benchmark found, as text for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import NamedTuple


class Table(NamedTuple):
    """A benchmark's result."""

    title: str
    method: str
    """How it was measured, in a sentence or two."""
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return it for the page."""
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"#### {self.title}\n\n{self.method}\n\n{table}\n"


class Goal(NamedTuple):
    """What was aimed at, and what was reached."""

    what: str
    goal: str
    result: str
    met: bool

    @classmethod
    def at_least(cls, what: str, least: float, result: float | None, unit: str = "") -> Goal:
        """Return a goal that is met from a figure upwards; not measured is not met."""
        shown = "not measured" if result is None else f"{figure(result)}{unit}"
        met = result is not None and result >= least
        return cls(what, f"≥ {least:g}{unit}", shown, met)

    @classmethod
    def at_most(cls, what: str, most: float, result: float | None, unit: str = "") -> Goal:
        """Return a goal that is met up to a figure; not measured is not met."""
        shown = "not measured" if result is None else f"{figure(result)}{unit}"
        return cls(what, f"≤ {most:g}{unit}", shown, result is not None and result <= most)


class Findings(NamedTuple):
    """What a section found."""

    headline: str
    """One line, which is what stays of it when a later run takes its place."""
    tables: Sequence[Table] = ()
    goals: Sequence[Goal] = ()
    pictures: Sequence[str] = ()
    """Names of files in docs/images."""
    missing: Sequence[str] = ()
    """What could not be measured, and why."""

    def markdown(self) -> str:
        """Return it for the page."""
        parts = []
        if self.goals:
            rows = [
                (goal.what, goal.goal, goal.result, "met" if goal.met else "**not met**")
                for goal in self.goals
            ]
            columns = ("", "goal", "result", "")
            lines = [columns, ("---", "---:", "---:", "---"), *rows]
            parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
        parts += [f"![{name}](images/{name})\n" for name in self.pictures]
        parts += [f"Not measured: {reason}\n" for reason in self.missing]
        parts += [table.markdown() for table in self.tables]
        return "\n".join(parts)


def figure(number: float) -> str:
    """Return a number with as many digits as one can believe."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def ratio(one: float | None, other: float | None) -> float | None:
    """Return how many times the other the one is, where both were measured."""
    return None if one is None or not other else one / other


def progress(message: str) -> None:
    """Say what is being done, with the time of day."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {message}\n")
    sys.stdout.flush()
