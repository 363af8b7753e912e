"""What comes whole is answered as if it had come in pieces, and in its turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from service.http.middleware import App
from service.http.response import Response
from service.setting_types import ByteCount
from service.settings import Settings
from tests.http.application import recorded
from tests.http.caller import MakeCaller, Reply, callers
from tests.http.recording import RecordingLedger
from tests.http.test_admission import SlowLedger
from tests.http.test_requests import C1, C2, UUID, B, P
from tests.polling import eventually

JSON = "Content-Type: application/json"
EMPTY = '{"orderedItem":[]}'
OTHERS = "0f5b9a6e-0000-4000-8000-000000000000"


def said(method: str, path: str, *headers: str, body: str = "") -> bytes:
    """Return a request as it goes over the wire."""
    length = [f"Content-Length: {len(body.encode())}"] if body else []
    return "\r\n".join(
        [f"{method} {path} HTTP/1.1", "Host: localhost", *headers, *length, "", body]
    ).encode()


@pytest.fixture
def slow() -> SlowLedger:
    """Give a ledger that releases when it is told."""
    return SlowLedger()


@pytest.fixture
def app(slow: SlowLedger) -> App:
    """Give the edge over the slow ledger."""
    return recorded(slow, Settings())


@pytest.fixture
async def slowly(app: App) -> AsyncIterator[MakeCaller]:
    """Give what connects to the edge over the slow ledger."""
    async with callers(app) as connect:
        yield connect


def _comparable(reply: Reply) -> tuple[int, dict[str, str], object]:
    assert reply.headers["Date"]
    assert reply.headers["X-Request-Id"]
    own = {"Date", "X-Request-Id"}
    headers = {name: value for name, value in reply.headers.items() if name not in own}
    return reply.status, headers, reply.body and {**reply.body, "requestId": None}


@pytest.mark.parametrize(
    "request_text",
    [
        said("PUT", C1, JSON, body=EMPTY),
        said("PUT", C2, "Prefer: handling=strict", "Booking-Partner: a", body=EMPTY),
        said("PUT", P, JSON, body=EMPTY),
        said("PUT", B, JSON, body=EMPTY),
        said("PUT", f"{B}?seller=https://example.com/a", JSON, body=EMPTY),
        said("PUT", B, JSON, body="{"),
        said("PUT", B, "Content-Type: text/plain", body=EMPTY),
        said("PUT", B, "Content-Encoding: gzip", body=EMPTY),
        said("PUT", "/orders/not-a-uuid", JSON, body=EMPTY),
        said("PUT", B, JSON),
        said("DELETE", C2),
        said("DELETE", C2, body="{}"),
        b"PUT %b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'9\r\n{"ordered\r\n9\r\nItem":[]}\r\n0\r\n\r\n' % B.encode(),
    ],
)
async def test_the_answer_is_the_same(call: MakeCaller, request_text: bytes) -> None:
    """A request gets the same status, headers and body whole as in two pieces (rule 24)."""
    caller = await call()
    await caller.say(request_text)
    whole = await caller.hear()
    for piece in (request_text[:-1], request_text[-1:]):
        await caller.say(piece)
        # The first piece is to be there before the second.
        await asyncio.sleep(0.05)
    in_pieces = await caller.hear()
    await caller.say(request_text)
    again = await caller.hear()
    assert _comparable(whole) == _comparable(in_pieces) == _comparable(again)


@pytest.mark.parametrize(
    ("status", "request_text"),
    [
        (200, said("GET", "/livez")),
        (200, said("PUT", "/opportunities", JSON, body="[]")),
        (405, said("PATCH", C1, JSON, body="{}")),
        (404, said("PUT", f"/orders/{UUID}/more", JSON, body=EMPTY)),
        (201, said("PUT", f"/orders/%65{UUID[1:]}", JSON, body=EMPTY)),
        (400, said("PUT", "/orders/{uuid}", JSON, body=EMPTY)),
        (404, said("PUT", "//orders", JSON, body=EMPTY)),
        (201, said("PUT", B, JSON, "Connection: close", body=EMPTY)),
        (201, said("PUT", B, JSON, "Expect: other", body=EMPTY)),
        (201, said("PUT", B, JSON, body=EMPTY).replace(b"HTTP/1.1", b"HTTP/1.0")),
        (413, said("PUT", B, JSON, body=json.dumps({"x": "x" * 5000}))),
    ],
)
async def test_other_ways_to_ask(call: MakeCaller, status: int, request_text: bytes) -> None:
    """A path may be encoded, a connection end, and what is no call of ours is refused as such."""
    caller = await call()
    await caller.say(request_text)
    assert (await caller.hear()).status == status


async def test_requests_are_answered_in_their_order(
    call: MakeCaller, recording: RecordingLedger
) -> None:
    """Requests that come together are answered one by one."""
    caller = await call()
    await caller.say(
        said("PUT", B, JSON, body=EMPTY),
        said("DELETE", C2),
        said("GET", "/livez"),
        said("PUT", "/orders/nonsense", JSON, body=EMPTY),
        said("PUT", C1, JSON, body=EMPTY),
    )
    assert [(await caller.hear()).status for _ in range(5)] == [201, 204, 200, 400, 200]
    verbs = [verb for verb, _ in recording.calls]
    assert verbs == ["book 0", "release", "quote ANONYMOUS False 0"]


async def test_the_next_request_waits_for_the_answer(slowly: MakeCaller, slow: SlowLedger) -> None:
    """A request that comes while another of its connection is answered has its turn after it."""
    caller = await slowly()
    await caller.say(said("DELETE", C2))
    await eventually(lambda: _is(slow.waiting == 1))
    await caller.say(said("PUT", B, JSON, body=EMPTY), said("GET", "/livez"))
    # Another connection is not held up.
    other = await slowly()
    await other.say(said("PUT", f"/orders/{OTHERS}", JSON, body=EMPTY))
    assert (await other.hear()).status == 201
    assert [verb for verb, _ in slow.calls] == ["book 0"]
    slow.may_answer.set()
    assert [(await caller.hear()).status for _ in range(3)] == [204, 201, 200]


async def test_a_call_is_finished_without_its_client(slowly: MakeCaller, slow: SlowLedger) -> None:
    """A client that leaves before the answer has been heard all the same."""
    caller = await slowly()
    await caller.say(said("DELETE", C2))
    await eventually(lambda: _is(slow.waiting == 1))
    caller.writer.transport.abort()
    slow.may_answer.set()
    await eventually(lambda: _is([verb for verb, _ in slow.calls] == ["release"]))


async def test_an_answer_that_cannot_be_sent_ends_the_connection(
    call: MakeCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that cannot be sent is logged, and its client does not wait for ever."""

    def broken(_response: Response, _request: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(Response, "_packed", broken)
    caller = await call()
    with capture_logs() as lines:
        await caller.say(said("PUT", B, JSON, body=EMPTY))
        assert await caller.is_cut_off()
    [failed] = [line for line in lines if line["event"] == "request.failed"]
    assert isinstance(failed["exc_info"], ZeroDivisionError)


async def test_a_server_that_drains_ends_the_connection(app: App, slowly: MakeCaller) -> None:
    """While the process drains, an answer says that it is the connection's last."""
    caller = await slowly()
    await caller.say(said("PUT", B, JSON, body=EMPTY))
    assert "Connection" not in (await caller.hear()).headers
    app.services.draining = True
    await caller.say(said("PUT", B, JSON, body=EMPTY))
    reply = await caller.hear()
    assert reply.status == 201
    assert reply.headers["Connection"] == "close"
    assert await caller.is_cut_off()


@pytest.mark.usefixtures("_hasty")
async def test_a_kept_connection_may_be_silent(call: MakeCaller) -> None:
    """After a call of an Order a client may take its time."""
    kept, silent = await call(), await call()
    await kept.say(said("PUT", B, JSON, body=EMPTY))
    assert (await kept.hear()).status == 201
    assert await silent.is_cut_off()
    assert await (await call()).is_cut_off()
    await kept.say(said("PUT", B, JSON, body=EMPTY))
    assert (await kept.hear()).status == 201


@pytest.mark.usefixtures("_hasty")
async def test_whoever_takes_no_answers_is_disconnected(
    call: MakeCaller, recording: RecordingLedger
) -> None:
    """A client that sends calls and reads nothing is not answered without end (rule 24)."""
    caller = await call()
    many = said("PUT", B, JSON, body=EMPTY) * 100
    # The reader's buffer is small: beyond it nothing is taken from the connection.
    async with asyncio.timeout(60):
        while not caller.writer.is_closing():
            caller.writer.write(many)
            await asyncio.sleep(0.01)
    assert recording.calls


async def test_a_large_body_that_nobody_reads_holds_nothing_up(
    call: MakeCaller,
) -> None:
    """A call that is refused before its large body is read leaves the connection in order."""
    async with callers(recorded(RecordingLedger(), Settings(body_limit=ByteCount(1_000_000)))) as (
        connect
    ):
        caller = await connect()
        body = json.dumps({"orderedItem": [], "x": "x" * 200_000})
        for media_type in ("text/plain", "application/json", "text/plain"):
            await caller.say(said("PUT", B, f"Content-Type: {media_type}", body=body))
            reply = await caller.hear()
            assert reply.status == (201 if media_type == "application/json" else 415)
        await caller.say(said("PUT", B, JSON, body=EMPTY))
        assert (await caller.hear()).status == 201


async def _is(condition: bool) -> bool:  # noqa: FBT001 - what `eventually` asks for
    return condition
