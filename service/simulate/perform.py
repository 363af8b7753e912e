"""A simulation as its user sees it: progress, a table, pictures, a report, and the last line."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from service.errors import OpenBookingError
from service.simulate import terminal
from service.simulate.findings import Findings
from service.simulate.pictures import DARK, DRAWINGS, LIGHT, draw
from service.simulate.report import page
from service.simulate.run import Plan, run
from service.simulate.site import SiteError

_WIDTH: Final = 96
_FAILED: Final = 1
_AWAY: Final = 503


def perform(plan: Plan, folder: Path, *, as_json: bool) -> int:
    """Run a plan and show what it has shown.

    Args:
        plan: What is run.
        folder: For the report, the pictures and the result; it is made.
        as_json: Whether standard output gets the result as JSON instead of the table.

    Returns:
        0 if nothing was oversold; 1 if something was, or the service could not be used.

    Raises:
        KeyboardInterrupt: A second Ctrl-C came, or one while nothing is played.

    """
    progress = Console(stderr=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with terminal.live(progress, plan) as show:
            findings = run(plan, show)
    except OSError as error:
        return _complain(f"{folder}: {error.strerror}")
    except (OpenBookingError, SiteError) as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        return _complain(_trouble(plan.url, error))
    if as_json:
        sys.stdout.write(encoded(findings).decode())
    else:
        console = Console(highlight=False)
        console.width = max(console.width, _WIDTH)
        console.print(terminal.table(findings))
    with progress.status("Drawing the pictures …"):
        write(findings, folder)
    progress.print(f"report: {folder / 'report.html'}", highlight=False, soft_wrap=True)
    if not as_json:
        console.print(terminal.last_line(findings), soft_wrap=True)
    return _FAILED if findings.problems else 0


def encoded(findings: Findings) -> bytes:
    """Return the result as JSON, for programs."""
    return msgspec.json.format(msgspec.json.encode(findings), indent=2) + b"\n"


def write(findings: Findings, folder: Path) -> None:
    """Write the result, the pictures and the report to a folder; the numbers first."""
    (folder / "result.json").write_bytes(encoded(findings))
    light, dark = (
        {name: draw(findings, name, look=look) for name in DRAWINGS} for look in (LIGHT, DARK)
    )
    for name, picture in light.items():
        (folder / f"{name}.png").write_bytes(picture)
    (folder / "overview.png").write_bytes(draw(findings, *DRAWINGS))
    (folder / "report.html").write_text(page(findings, light, dark), encoding="utf-8")


def _trouble(url: str, error: Exception) -> str:
    if isinstance(error, OpenBookingError):
        if error.__cause__ is not None and error.status_code == _AWAY:
            return (
                f"nobody answers at {url} ({type(error.__cause__).__name__}). Start a service"
                " («lease-service serve», or «make run» in a clone of the project), then say this"
                " again; --url names another one"
            )
        return f"{type(error).__name__}: {error.description}"
    return f"the Opportunities cannot be registered: {error}"


def _complain(problem: str) -> int:
    sys.stderr.write(f"lease-service: {problem}\n")
    return _FAILED
