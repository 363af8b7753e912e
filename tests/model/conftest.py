"""How long the game with the model is."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

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
