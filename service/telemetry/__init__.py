"""What the service tells about itself: log lines, metrics and traces.

It hooks in from outside: the other parts know only the small protocols that they are observed by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.settings import Settings, SettingsError
from service.telemetry.logs import configure, is_for_people, make_output_unfailing
from service.telemetry.metrics import Meter, Metrics

if TYPE_CHECKING:
    from service.telemetry.tracing import Tracing

__all__ = [
    "Meter",
    "Metrics",
    "check",
    "configure",
    "is_for_people",
    "make_output_unfailing",
    "tracing_of",
]


def check(settings: Settings) -> None:
    """Refuse settings that need what is not installed.

    Args:
        settings: Of which `tracing` is looked at.

    Raises:
        SettingsError: The extra is missing.

    """
    if settings.tracing:
        _tracing_class()


def tracing_of(settings: Settings) -> Tracing | None:
    """Return what makes the spans of this process, None where nobody asked for any.

    Args:
        settings: As for `check`.

    """
    return _tracing_class()() if settings.tracing else None


def _tracing_class() -> type[Tracing]:
    try:
        from service.telemetry.tracing import Tracing  # noqa: PLC0415 - an extra, slow to import
    except ImportError as error:
        raise SettingsError(
            f"LEASE_TRACING=true needs {error.name}: pip install 'lease-service[tracing]'"
        ) from None
    return Tracing
