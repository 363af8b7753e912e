"""Says in the end how much was tried, also where several processes ran the tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

COUNTS = pytest.StashKey[Counter[str]]()
_OUTPUT = "counts"


def pytest_configure(config: pytest.Config) -> None:
    """Begin at nothing."""
    config.stash[COUNTS] = Counter()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand over what was counted, where this process ran a part of the tests."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_OUTPUT] = dict(session.config.stash[COUNTS])


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Give what counts things that were tried: a sentence with its number left out, a number."""

    def add(what: str, number: int = 1) -> None:
        request.config.stash[COUNTS][what] += number

    return add


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what another process has counted; one that crashed hands over nothing."""
    node.config.stash[COUNTS].update(getattr(node, "workeroutput", {}).get(_OUTPUT, {}))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was counted."""
    for what, number in config.stash[COUNTS].items():
        terminalreporter.write_line(f"{number:,} {what}.")
