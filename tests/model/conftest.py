"""How long the game with the model is, and how it tells how long it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

STEPS = pytest.StashKey[int]()

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


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many steps were played."""
    steps = config.stash.get(STEPS, 0)
    if steps:
        terminalreporter.write_line(
            f"{steps:,} steps were played against the model of the contract."
        )
