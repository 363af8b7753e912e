"""docs/benchmarks.md: of every machine the latest run of each section, older ones as a line."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

from bench.machine import commit, machine, versions
from bench.report import Findings
from bench.stage import Stage

PAGE: Final = Path(__file__).parents[1] / "docs" / "benchmarks.md"

_MACHINE: Final = "## Measured on "
_EARLIER: Final = "### Earlier runs"
_HEADLINE: Final = re.compile(r"^(\d{4}-\d\d-\d\d, .+)$", re.MULTILINE)


def keep(
    path: Path, stage: Stage, title: str, findings: Findings, *, command: str, seconds: float
) -> str:
    """Put a section's new run into the page, and return its text.

    Args:
        path: Of the page.
        stage: Where it was measured.
        title: Of the section.
        findings: What was found.
        command: That measures it again.
        seconds: How long it took.

    """
    stamp = f"{time.strftime('%Y-%m-%d')}, commit {commit()}: {findings.headline}."
    facts = f"{versions(stage.server, stage.binary)}; `{command}`, {seconds:.0f} s."
    body = f"{facts}\n\n{findings.markdown()}"
    before = path.read_text("utf-8") if path.exists() else ""
    path.write_text(updated(before, machine(), title, stamp, body), "utf-8")
    return f"### {title}\n\n{stamp}\n\n{body}"


def updated(page: str, machine: str, title: str, stamp: str, body: str) -> str:
    """Return the page with a section's new run in the place of the one before.

    Args:
        page: As it is.
        machine: What it ran on; each has a part of the page.
        title: Of the section.
        stamp: A line that begins with the date: what stays when the next run comes.
        body: Everything else.

    """
    parts = _split(page, "## ")
    heading = _MACHINE + machine
    index = next((i for i, part in enumerate(parts) if _heading(part) == heading), None)
    if index is None:
        index = len(parts)
        parts.append(f"{heading}\n\n")
    parts[index] = _with_section(parts[index], f"### {title}", stamp, body)
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _with_section(part: str, heading: str, stamp: str, body: str) -> str:
    head, *sections = _split(part, "### ")
    kept = {_heading(section): section for section in sections}
    earlier = kept.pop(_EARLIER, f"{_EARLIER}\n\n")
    if replaced := kept.get(heading):
        earlier = _remembering(earlier, heading, replaced)
    kept[heading] = f"{heading}\n\n{stamp}\n\n{body}"
    if "\n- " in earlier:
        kept[_EARLIER] = earlier
    return "\n\n".join(section.strip() for section in (head, *kept.values()))


def _remembering(earlier: str, heading: str, replaced: str) -> str:
    """Return the list of earlier runs with one more, the newest first."""
    found = _HEADLINE.search(replaced)
    if found is None:
        return earlier
    line = f"- {heading.removeprefix('### ')}, {found[1]}"
    _, _, lines = earlier.partition("\n")
    return "\n".join([f"{_EARLIER}\n", line, lines.strip()])


def _split(text: str, mark: str) -> list[str]:
    """Return what stands before the first heading of this rank, and each with what follows it."""
    return re.split(rf"^(?={mark})", text, flags=re.MULTILINE)


def _heading(part: str) -> str:
    return part.partition("\n")[0].strip()
