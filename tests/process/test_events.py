"""Rules 22 and 23 in the real program: what is leased falls at once, and rises by itself."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.process.program import (
    ITEMS,
    OPPORTUNITY,
    PATIENCE_SECONDS,
    Program,
    connect,
    eventually,
)


@contextlib.contextmanager
def listening(program: Program) -> Iterator[HTTPResponse]:
    """Listen to the events; the stream has begun."""
    with contextlib.closing(connect(program.url)) as connection:
        connection.timeout = PATIENCE_SECONDS
        connection.request("GET", "/capacity-events")
        response = connection.getresponse()
        assert response.readline().startswith(b"retry: ")
        yield response


def free(stream: HTTPResponse) -> int:
    """Return what the next event says is free."""
    while not (line := stream.readline()).startswith(b"data: "):
        assert line, "the stream ended"
    return int(json.loads(line[6:])["data"]["remainingAttendeeCapacity"])


def register(program: Program) -> None:
    """Register a class of 3 spaces."""
    session = {
        "@type": "ScheduledSession",
        "@id": OPPORTUNITY,
        "maximumAttendeeCapacity": 3,
    }
    assert program.call("PUT", "/opportunities", [session]).status == 200


def test_what_is_leased_falls_and_rises(short_folder: Path) -> None:
    """Rules 22 and 23: a C1 is told at once, and its expiry without anybody's asking."""
    with Program(short_folder, LEASE_ANONYMOUS_SECONDS="1", LEASE_WORKERS="2") as program:
        register(program)
        with listening(program) as stream:
            path = f"/order-quote-templates/{uuid.uuid4()}"
            assert program.call("PUT", path, ITEMS).status == 200
            assert [free(stream), free(stream)] == [2, 3]


def memory(program: Program, field: str) -> int:
    """Return what the kernel says of the worker's memory, in MiB."""
    pid = program.events("worker.listening")[0]["pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith(f"{field}:")]
    return int(line.split()[1]) // 1024


@pytest.mark.parametrize("place", ["?afterTimestamp=0", ""])
def test_listeners_that_never_read_cost_little(short_folder: Path, place: str) -> None:
    """Rule 23: 300 who take nothing cost a few hundred KiB each, and in the end nothing."""
    sessions = [
        {"@type": "Event", "@id": f"https://example.com/{number:0>400}"} for number in range(6000)
    ]

    def sell(capacity: int) -> None:
        for begin in range(0, len(sessions), 250):
            entries = sessions[begin : begin + 250]
            changed = [entry | {"maximumAttendeeCapacity": capacity} for entry in entries]
            with contextlib.closing(connect(program.url)) as connection:
                connection.timeout = PATIENCE_SECONDS
                connection.request("PUT", "/opportunities", json.dumps(changed))
                assert connection.getresponse().status == 200

    with Program(short_folder, LEASE_DATA_DIR=":memory:") as program:
        sell(1)
        sell(3)
        before = memory(program, "VmRSS")
        with contextlib.ExitStack() as listeners:
            for _ in range(300):
                connection = listeners.enter_context(contextlib.closing(connect(program.url)))
                connection.request("GET", f"/capacity-events{place}")
            sell(2)
            eventually(lambda: metric(program, "lease_event_listeners") == 0)
        assert memory(program, "VmHWM") - before < 300 * 0.4
        eventually(lambda: memory(program, "VmRSS") - before < 15)


def metric(program: Program, name: str) -> float:
    """Return what the metrics say."""
    with contextlib.closing(connect(program.url)) as connection:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split(" ")[0] == name)


def test_a_stream_ends_with_the_service(short_folder: Path) -> None:
    """A service that is stopped ends its streams properly, and itself without a fault."""
    with Program(short_folder) as program:
        register(program)
        with listening(program) as stream:
            assert program.stop() == 0
            assert stream.read() is not None
