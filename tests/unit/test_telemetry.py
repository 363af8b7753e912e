import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from service import telemetry
from service.setting_types import LogFormat
from service.settings import Settings

_EMAIL = "ada@example.com"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_json_where_no_terminal_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Where standard output is no terminal, an event is one JSON object with an instant in UTC."""
    telemetry.configure(Settings())

    structlog.get_logger().info("lease.granted", spaces=2, lasts=300)

    line = json.loads(capsys.readouterr().out)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "lease.granted", "level": "info", "spaces": 2, "lasts": 300}


def test_the_console_format_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Told so, it writes lines for people although standard output is no terminal."""
    telemetry.configure(Settings(log_format="console"))

    structlog.get_logger().info("lease.granted", spaces=2)

    out = capsys.readouterr().out
    assert "lease.granted" in out
    assert "spaces=2" in out
    assert not out.startswith("{")


def test_less_than_the_level_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """LEASE_LOG_LEVEL leaves out what is below it."""
    telemetry.configure(Settings(log_level="warning"))

    structlog.get_logger().info("lease.granted")
    structlog.get_logger().warning("redis.away")

    assert json.loads(capsys.readouterr().out)["event"] == "redis.away"


def test_a_library_speaks_the_same_language(capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings of other libraries are lines of the same form; their chatter is left out."""
    telemetry.configure(Settings(log_level="debug"))

    logging.getLogger("redis.asyncio").info("chatter")
    logging.getLogger("redis.asyncio").warning("Error %s", "here")

    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["level"], line["logger"]) == (
        "Error here",
        "warning",
        "redis.asyncio",
    )


def test_what_is_no_http_leaves_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The HTTP server's complaints about what a client sent are not the service's errors."""
    telemetry.configure(Settings(log_level="debug"))
    logging.getLogger("aiohttp.server").error("Error handling request from 127.0.0.1")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_values(
    log_format: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    """A logged exception has its traceback, without the local variables that may be personal."""
    telemetry.configure(Settings(log_format=log_format))
    try:
        _fail_with(_EMAIL)
    except ValueError:
        structlog.get_logger().exception("request.failed")

    out = capsys.readouterr().out
    assert "ValueError" in out
    assert _EMAIL not in out


def _fail_with(email: str) -> None:
    raise ValueError(len(email))
