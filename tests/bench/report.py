"""What a benchmark found, printed as it comes and kept as a section of docs/benchmarks.md."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


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
        return f"### {self.title}\n\n{self.method}\n\n{table}\n"


def progress(message: str) -> None:
    """Say what is being done, with the time of day."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {message}\n")
    sys.stdout.flush()


def section(machine: Sequence[str], command: str, tables: Sequence[Table]) -> str:
    """Return a dated section of the page.

    Args:
        machine: Lines that say where it ran.
        command: What was run.
        tables: What was found.

    """
    facts = "".join(f"- {line}\n" for line in [*machine, f"`{command}`"])
    body = "\n".join(table.markdown() for table in tables)
    return f"## {time.strftime('%Y-%m-%d')}\n\n{facts}\n{body}"


def append(text: str) -> None:
    """Put a section at the end of the page."""
    with PAGE.open("a", encoding="utf-8") as page:
        page.write(f"\n{text}")
