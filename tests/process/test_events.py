"""Rules 22 and 23 in the real program: what is leased falls at once, and rises by itself."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

from tests.process.program import ITEMS, OPPORTUNITY, PATIENCE_SECONDS, Program, connect


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


def test_a_stream_ends_with_the_service(short_folder: Path) -> None:
    """A service that is stopped ends its streams properly, and itself without a fault."""
    with Program(short_folder) as program:
        register(program)
        with listening(program) as stream:
            assert program.stop() == 0
            assert stream.read() is not None
