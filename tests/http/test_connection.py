"""What a client hears that is slow, or speaks no HTTP: raw sockets against the serving edge."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

import pytest

from service.http import body
from service.model import MEDIA_TYPE, Opportunity
from tests.http.caller import PATIENCE_SECONDS, MakeCaller, Reply
from tests.http.recording import RecordingLedger
from tests.http.test_requests import C1, UUID

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
JSON = b"Host: localhost\r\nContent-Type: application/json\r\n"


def said_by(reply: Reply, status: int) -> str:
    """Check that an answer is an OpenBookingError with what every answer has; return its text."""
    assert reply.status == status, reply
    assert reply.headers["Content-Type"] == MEDIA_TYPE
    assert reply.headers["Server"] == "lease-service"
    assert reply.headers["X-Request-Id"] == reply.body["requestId"]
    assert reply.body["@type"] == "OpenBookingError"
    assert reply.body["statusCode"] == status
    return str(reply.body["description"])


@pytest.mark.usefixtures("_hasty")
@pytest.mark.parametrize("start", [b"", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: "])
async def test_a_request_that_never_gets_whole_is_cut_off(call: MakeCaller, start: bytes) -> None:
    """A connection that sends nothing, or a header drop by drop, is ended (rule 24)."""
    caller = await call()
    await caller.say(start)
    dripping = asyncio.create_task(caller.drip(b"x" * 4000 if start else b""))
    assert await caller.is_cut_off()
    await dripping


@pytest.mark.usefixtures("_hasty")
async def test_a_kept_connection_may_be_silent(call: MakeCaller) -> None:
    """Between two requests a client may take its time, but not in the middle of the next one."""
    kept, silent = await call(), await call()
    await kept.say(LIVEZ)
    assert (await kept.hear()).status == 200
    # Longer than the service waits for whoever has not asked for anything yet, twice.
    assert await silent.is_cut_off()
    assert await (await call()).is_cut_off()

    await kept.say(LIVEZ)
    assert (await kept.hear()).status == 200
    dripping = asyncio.create_task(kept.drip(LIVEZ[:-2] + b"X: " + b"x" * 4000))
    assert await kept.is_cut_off()
    await dripping


@pytest.mark.usefixtures("_hasty")
@pytest.mark.parametrize("path", [C1, "/opportunities"])
async def test_a_body_that_stalls_is_refused(call: MakeCaller, path: str) -> None:
    """A body that stops, or trickles, gives 408, and the connection ends (rule 24)."""
    caller = await call()
    await caller.say(f"PUT {path} HTTP/1.1\r\n".encode(), JSON, b"Content-Length: 4000\r\n\r\n[")
    dripping = asyncio.create_task(caller.drip(b" " * 3000))
    reply = await caller.hear()
    assert "too slowly" in said_by(reply, 408)
    assert reply.headers["Connection"] == "close"
    assert await caller.is_cut_off()
    await dripping


@pytest.mark.usefixtures("_hasty")
async def test_a_slow_body_that_moves_is_taken(
    call: MakeCaller, recording: RecordingLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body may take longer than the service's patience, as long as it moves."""
    caller = await call()
    entry = json.dumps(
        {"@type": "Event", "@id": "a", "maximumAttendeeCapacity": 1, "x": "x" * 1500}
    )
    await caller.say(
        b"PUT /opportunities HTTP/1.1\r\n", JSON, b"Transfer-Encoding: chunked\r\n\r\n"
    )
    began = time.monotonic()
    while time.monotonic() - began < 2.5 * body.MOVE_SECONDS:
        await caller.say(b"%x\r\n%b\n\r\n" % (len(entry) + 1, entry.encode()))
        await asyncio.sleep(body.MOVE_SECONDS / 20)
    await caller.say(b"0\r\n\r\n")
    reply = await caller.hear()
    assert reply.status == 200
    assert reply.body["registered"] == len(recording.entries)


@pytest.mark.usefixtures("_hasty")
async def test_an_answer_that_is_not_taken_ends(
    call: MakeCaller, recording: RecordingLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that reads nothing of a long answer is disconnected (rule 24)."""
    much = Opportunity(type="Event", id="x" * 2000, seller="a", booked=0, leased=0)

    async def inspect(seller: str, ids: Sequence[str]) -> list[Opportunity]:
        return [much] * 20_000

    monkeypatch.setattr(recording, "inspect", inspect)
    caller = await call()
    # The reader's buffer is small: beyond it nothing is taken from the connection.
    await caller.say(b"GET /opportunities?id=a HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not caller.writer.is_closing():
            await caller.say(b"\r\n")
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("request_text", "status", "text"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, "no HTTP/1.1"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n", 400, "no HTTP/1.1"),
        (b"GET / HTTP/1.1\r\n" + JSON + b"X:\x00\r\n\r\n", 400, "no HTTP/1.1"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 400, "no HTTP/1.1"),
        (b"GET /" + b"a" * 66_000 + b" HTTP/1.1\r\n\r\n", 431, "65536 bytes"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431, "8192"),
        (
            b"PUT / HTTP/1.1\r\n" + JSON + b"Content-Length: 4\r\nTransfer-Encoding: chunked"
            b"\r\n\r\n0\r\n\r\n",
            400,
            "no HTTP/1.1",
        ),
        (b"PUT / HTTP/1.1\r\n" + JSON + b"Content-Length: 4, 5\r\n\r\n", 400, "no HTTP/1.1"),
    ],
    ids=["tls", "header", "nul", "headers", "line", "field", "smuggled", "lengths"],
)
async def test_what_is_no_http_is_an_open_booking_error(
    call: MakeCaller, request_text: bytes, status: int, text: str
) -> None:
    """What cannot be read as HTTP, or is beyond a limit, is refused as rule 24 says."""
    caller = await call()
    await caller.say(request_text)
    reply = await caller.hear()
    assert text in said_by(reply, status)
    assert await caller.is_cut_off()


async def test_a_chunk_that_is_none_is_refused(call: MakeCaller) -> None:
    """A body whose chunks are broken gives a 400, and nothing after it is read as a request."""
    caller = await call()
    await caller.say(
        f"PUT /orders/{UUID} HTTP/1.1\r\n".encode(), JSON, b"Transfer-Encoding: chunked\r\n\r\n"
    )
    await caller.say(b"zz\r\n{}\r\n0\r\n\r\n", LIVEZ)
    assert said_by(await caller.hear(), 400)
    assert await caller.is_cut_off()


@pytest.mark.parametrize("expected", [b"100-continue", b"200-ok"])
async def test_what_a_client_expects(call: MakeCaller, expected: bytes) -> None:
    """`100-continue` is answered before the body comes, and any other expectation ignored."""
    caller = await call()
    body = b'{"orderedItem":[]}'
    await caller.say(f"PUT {C1} HTTP/1.1\r\n".encode(), JSON)
    await caller.say(b"Expect: %b\r\nContent-Length: %d\r\n\r\n" % (expected, len(body)))
    if expected == b"100-continue":
        assert (await caller.hear()).status == 100
    await caller.say(body)
    reply = await caller.hear()
    assert reply.status == 200
    assert reply.headers["Server"] == "lease-service"
