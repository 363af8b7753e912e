"""Log lines on standard output.

Events are dotted words (`lease.granted`, `process.started`); values are short and technical.
Nothing that a Broker sent about a person, no token and no password is ever passed to a logger.
"""

from __future__ import annotations

import io
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from service.setting_types import LogFormat
from service.settings import Settings

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from structlog.typing import EventDict, Processor, WrappedLogger

_encode: Final = msgspec.json.Encoder(enc_hook=str).encode


def configure(settings: Settings) -> None:
    """Set up structlog and the standard library's logging, once per process.

    Args:
        settings: Of which `log_level`, `log_format` and `tracing` are used.

    """
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    for_people = is_for_people(settings.log_format)
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True) if for_people else _stamp
    shared: list[Processor] = [structlog.processors.add_log_level, stamp]
    if settings.tracing:
        from service.telemetry.tracing import name_the_trace  # noqa: PLC0415 - an extra

        shared.append(name_the_trace)
    rendering = _console() if for_people else _json()
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # One write for a line and its end: the lines of several processes must not mix.
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    _route_standard_library(level, [*shared, structlog.stdlib.add_logger_name], rendering)


class _Unfailing(io.FileIO):
    """A file that loses what cannot be written: a full disk or a closed pipe stops no booking."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def make_output_unfailing() -> None:
    """Lose what standard output does not take from here on, instead of failing."""
    output = io.BufferedWriter(_Unfailing(sys.stdout.fileno(), "w", closefd=False))
    sys.stdout = io.TextIOWrapper(
        output, encoding="utf-8", errors="backslashreplace", line_buffering=True
    )


def is_for_people(log_format: LogFormat) -> bool:
    """Return whether standard output is read by a person rather than by a program."""
    return log_format == "console" or (log_format == "auto" and sys.stdout.isatty())


def _console() -> list[Processor]:
    # A plain traceback: the pretty ones print local variables, and with them what a Broker sent.
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _json() -> list[Processor]:
    return [structlog.processors.format_exc_info, _render_json]


def _stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # As JSON it reads as TimeStamper writes it, and costs a sixth.
    event["timestamp"] = datetime.now(UTC)
    return event


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return _encode(event).decode()


def _route_standard_library(
    level: int, shared: list[Processor], rendering: list[Processor]
) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    # Libraries speak up when something is wrong; their chatter is for their own developers.
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    # What a client sent that is no HTTP is no error of the service; our own failures are logged
    # as `request.failed`.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
