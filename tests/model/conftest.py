"""How long the game with the model is, and how it tells how long it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

STEPS = pytest.StashKey[int]()
HISTORIES = pytest.StashKey[list[int]]()

_SHORT = settings(
    max_examples=150,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[*HealthCheck],
)
settings.register_profile("short", _SHORT)
settings.register_profile(
    "long", _SHORT, max_examples=100 * _SHORT.max_examples, derandomize=False, print_blob=True
)


@pytest.fixture
def count_step(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Give what counts a step of the game."""

    def count() -> None:
        stash = request.config.stash
        stash[STEPS] = stash.get(STEPS, 0) + 1

    return count


@pytest.fixture
def count_history(request: pytest.FixtureRequest) -> Callable[[int], None]:
    """Give what counts a history of so many calls that was found linearizable."""

    def count(calls: int) -> None:
        request.config.stash.setdefault(HISTORIES, []).append(calls)

    return count


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many steps were played, and how many histories were judged."""
    steps = config.stash.get(STEPS, 0)
    if steps:
        terminalreporter.write_line(
            f"{steps:,} steps were played against the model of the contract."
        )
    calls = config.stash.get(HISTORIES, [])
    if calls:
        terminalreporter.write_line(
            f"{len(calls):,} histories with {sum(calls):,} calls were found linearizable."
        )
