"""Rule 24: whatever HTTP a client speaks, it gets the right answer or an OpenBookingError."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

from service.http import TokensFile
from service.model import MEDIA_TYPE
from service.setting_types import ByteCount
from service.settings import Settings
from tests.http.application import fed, recorded
from tests.http.caller import PATIENCE_SECONDS, Caller, MakeCaller, callers
from tests.http.recording import RecordingLedger
from tests.http.served import Client, MakeClient
from tests.http.test_access import entry
from tests.http.test_edge import EMPTY, JSON, said
from tests.http.test_events import ScriptedFeed
from tests.http.test_requests import C1, C2, UUID, B, refusal

LOCAL = "Host: localhost"
BOOK = said("PUT", B, JSON, body=EMPTY)
LIVEZ = said("GET", "/livez")
FEED = "/capacity-feed"
CHUNKED = b"PUT %b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" % B.encode()
OURS = "application/vnd.openactive.booking+json"


def line(text: str, *headers: str) -> bytes:
    """Return a request by its line."""
    return "\r\n".join([text, *headers, "", ""]).encode()


def odd_header(name: str) -> bytes:
    """Return B with a header whose value is no text."""
    return BOOK.replace(b"\r\n\r\n", b"\r\n%b: \xff\r\n\r\n" % name.encode())


def accepting(*media_types: str) -> bytes:
    """Return B of a client that reads these media types."""
    return said("PUT", B, JSON, *(f"Accept: {each}" for each in media_types), body=EMPTY)


ODD = {
    "an expectation": (said("PUT", B, JSON, "Expect: the-unexpected", body=EMPTY), 201),
    "an expectation too many": (said("PUT", B, JSON, "Expect: x, 100-continue", body=EMPTY), 201),
    "an expectation nowhere": (said("PUT", "/nowhere", JSON, "Expect: x", body=EMPTY), 404),
    "a host of other bytes": (LIVEZ.replace(b"localhost", b"\xff\xfe"), 400),
    "a host with a blank": (line("GET /livez HTTP/1.1", "Host: a b"), 400),
    "a host with a path": (line("GET /livez HTTP/1.1", "Host: localhost/x"), 400),
    "a host with a user": (line("GET /livez HTTP/1.1", "Host: me@localhost"), 400),
    "a host with a port that is none": (line("GET /livez HTTP/1.1", "Host: localhost:x"), 400),
    "a host with too large a port": (line("GET /livez HTTP/1.1", "Host: localhost:65536"), 400),
    "a host in brackets that is none": (line("GET /livez HTTP/1.1", "Host: [zz]:80"), 400),
    "two hosts": (line("GET /livez HTTP/1.1", LOCAL, LOCAL), 400),
    "no host": (line("GET /livez HTTP/1.1"), 400),
    "no host in 1.0": (line("GET /livez HTTP/1.0"), 200),
    "absolute": (line(f"GET http://localhost:8080{FEED} HTTP/1.1", LOCAL), 200),
    "absolute without a path": (line("GET http://localhost HTTP/1.1", LOCAL), 404),
    "absolute with a user": (line("GET http://a:b@localhost/livez HTTP/1.1", LOCAL), 400),
    "absolute with a port that is none": (line("GET http://localhost:x/ HTTP/1.1", LOCAL), 400),
    "absolute and no address": (line("GET mailto:a HTTP/1.1", LOCAL), 400),
    "relative": (line("GET livez HTTP/1.1", LOCAL), 400),
    "HTTP/0.9": (b"GET /livez\r\n\r\n", 505),
    "HTTP/0.9 by name": (line("GET /livez HTTP/0.9", LOCAL), 505),
    "HTTP/2.0": (line("GET /livez HTTP/2.0", LOCAL), 505),
    "HTTP/3.0": (line("GET /livez HTTP/3.0", LOCAL), 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "an upgrade": (said("GET", "/livez", "Connection: Upgrade", "Upgrade: h2c"), 200),
    "a web socket": (said("GET", "/livez", "Connection: Upgrade", "Upgrade: websocket"), 200),
    "CONNECT": (line("CONNECT localhost:80 HTTP/1.1", LOCAL), 404),
    "OPTIONS of all": (line("OPTIONS * HTTP/1.1", LOCAL), 404),
    "OPTIONS": (said("OPTIONS", "/livez"), 405),
    "TRACE": (said("TRACE", "/livez"), 405),
    "a verb of another protocol": (said("PROPFIND", "/livez"), 405),
    "a verb that is none": (said("BOOK", "/livez"), 400),
    "a verb in small letters": (said("get", "/livez"), 400),
    "HTML": (said("GET", "/livez", "Accept: text/html"), 200),
    "a slash at the end": (said("PUT", f"{B}/", JSON, body=EMPTY), 404),
    "two slashes": (said("PUT", f"/{B}", JSON, body=EMPTY), 404),
    "dots": (said("PUT", f"/docs/..{B}", JSON, body=EMPTY), 404),
    "an encoded letter": (said("PUT", f"/%6frders/{UUID}", JSON, body=EMPTY), 201),
    "an encoded slash": (said("PUT", f"/orders%2f{UUID}", JSON, body=EMPTY), 404),
    "an encoding that is none": (said("PUT", "/orders/%ff%", JSON, body=EMPTY), 400),
    "a NUL in the path": (said("PUT", f"{B}%00", JSON, body=EMPTY), 400),
    "other bytes in the path": (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "other bytes in the query": (b"GET /livez?\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a fragment": (said("GET", "/livez#x"), 200),
    "two lengths": (said("PUT", B, JSON, "Content-Length: 18", body=EMPTY), 400),
    "a negative length": (said("PUT", B, "Content-Length: -1"), 400),
    "a length with a sign": (said("PUT", B, "Content-Length: +1"), 400),
    "a length beyond numbers": (said("PUT", B, f"Content-Length: {'9' * 30}"), 400),
    "a length beyond the limit": (said("PUT", B, "Content-Length: 999999999999"), 413),
    "trailers": (CHUNKED + b"12\r\n%b\r\n0\r\nX: y\r\n\r\n" % EMPTY.encode(), 201),
    "a trailer that is none": (CHUNKED + b"12\r\n%b\r\n0\r\nx\r\n\r\n" % EMPTY.encode(), 400),
    "an extension of a chunk": (CHUNKED + b"12;a=b\r\n%b\r\n0\r\n\r\n" % EMPTY.encode(), 201),
    "another transfer coding": (said("PUT", B, "Transfer-Encoding: identity"), 400),
    "a folded header": (line("GET /livez HTTP/1.1", LOCAL, "X: a", " b"), 400),
    "line feeds alone": (b"GET /livez HTTP/1.1\nHost: localhost\n\n", 400),
    "empty lines in front": (b"\r\n\r\n" + LIVEZ, 200),
    "a body that nobody asked for": (said("GET", "/livez", body="abc"), 200),
    "a range": (said("GET", "/docs", "Range: bytes=999999999-"), 200),
    "a condition": (said("GET", "/docs", 'If-Match: "x"'), 200),
    "an encoding of other bytes": (odd_header("Content-Encoding"), 415),
    "a trace of other bytes": (odd_header("traceparent"), 201),
    "a Booking Partner of other bytes": (odd_header("Booking-Partner"), 400),
    "a request id of other bytes": (odd_header("X-Request-Id"), 201),
    "two request ids": (said("GET", "/livez", "X-Request-Id: a", "X-Request-Id: b"), 200),
    "a scheme of no web": (line(f"GET ftp://localhost{FEED} HTTP/1.1", LOCAL), 400),
    "a query of other bytes": (said("GET", f"{FEED}?afterId=%C3"), 400),
    "ids of other bytes": (said("DELETE", "/opportunities?id=%ED%A0%80"), 400),
    "no media type": (said("PUT", B, body=EMPTY), 201),
    "JSON-LD": (said("PUT", B, "Content-Type: application/ld+json", body=EMPTY), 201),
    "our version": (said("PUT", B, f'Content-Type: {OURS} ; Version="1"', body=EMPTY), 201),
    "another version": (said("PUT", B, f"Content-Type: {OURS}; version=2", body=EMPTY), 415),
    "another version in a stream": (
        said("PUT", "/opportunities", f"Content-Type: {OURS};version=2", body="[]"),
        415,
    ),
    "an answer of another version": (accepting(f"{OURS};version=2"), 406),
    "an answer of another version, or HTML": (accepting(f"text/html, {OURS};version=2"), 406),
    "a feed of another version": (
        said("GET", FEED, "Accept: application/vnd.openactive.rpde+json; version=2"),
        406,
    ),
    "a feed of the version that there is": (
        said("GET", FEED, "Accept: application/vnd.openactive.rpde+json; version=1"),
        200,
    ),
    "another version or any": (accepting(f"{OURS};version=2, */*;q=0.1"), 201),
    "another version or JSON": (accepting(f"{OURS};version=2", "application/json"), 201),
    "the version that there is": (accepting(f"{OURS};version=1"), 201),
}


async def heard(caller: Caller) -> tuple[int, dict[str, str], bytes]:
    """Read one answer as it is."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        head = (await caller.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head.rstrip().split("\r\n")
        headers = dict(each.split(": ", 1) for each in lines)
        body = await caller.reader.readexactly(int(headers.get("Content-Length", "0")))
    assert status_line.startswith("HTTP/1.1 ")
    return int(status_line.split()[1]), headers, body


@pytest.mark.parametrize("half_closes", [False, True], ids=["open", "half-closed"])
@pytest.mark.parametrize("name", ODD)
async def test_odd_requests_are_answered(
    recording: RecordingLedger, name: str, *, half_closes: bool
) -> None:
    """It is answered as it should, also where its client sends nothing more after it."""
    request, status = ODD[name]
    app = recorded(recording, Settings(body_limit=ByteCount(4096)))
    app.services.feed = ScriptedFeed()
    async with callers(app) as connect:
        caller = await connect()
        await caller.say(request)
        if half_closes:
            caller.writer.write_eof()
        got, headers, body = await heard(caller)
        assert got == status
        assert headers["Server"] == "lease-service"
        assert headers["X-Request-Id"]
        if status >= 400:
            assert headers["Content-Type"] == MEDIA_TYPE
            error = json.loads(body)
            assert error["@context"] == "https://openactive.io/"
            assert error["requestId"] == headers["X-Request-Id"]
            assert error["statusCode"] == status
        if half_closes:
            assert await caller.is_cut_off()


async def test_all_that_came_is_answered_to_a_client_that_stopped_sending(
    call: MakeCaller, recording: RecordingLedger
) -> None:
    """Several whole requests and then the end: each has its answer, and the connection ends."""
    caller = await call()
    await caller.say(BOOK, said("DELETE", C2), LIVEZ, said("PUT", C1, JSON, body=EMPTY))
    caller.writer.write_eof()
    assert [(await caller.hear()).status for _ in range(4)] == [201, 204, 200, 200]
    assert await caller.is_cut_off()
    assert len(recording.calls) == 3


async def test_a_registration_that_ends_early_says_so(
    call: MakeCaller, recording: RecordingLedger
) -> None:
    """One that was cut between two lines counts what came, and says that there was to be more."""
    caller = await call()
    text = b'{"@type": "Event", "@id": "a", "maximumAttendeeCapacity": 1}\n'
    head = f"PUT /opportunities HTTP/1.1\r\n{LOCAL}\r\nContent-Length: 9999\r\n\r\n"
    await caller.say(head.encode(), text)
    caller.writer.write_eof()
    status, _, body = await heard(caller)
    assert (status, json.loads(body)["failed"], len(recording.entries)) == (200, 1, 2)
    assert "did not arrive whole" in json.loads(body)["errors"][0]["error"]["description"]


@pytest.mark.parametrize("path", [B, "/opportunities"])
async def test_a_client_that_stopped_amid_its_body_is_told(
    call: MakeCaller, recording: RecordingLedger, path: str
) -> None:
    """A body of which the rest will never come is not waited for."""
    caller = await call()
    await caller.say(f"PUT {path} HTTP/1.1\r\n{LOCAL}\r\nContent-Length: 99\r\n\r\n[".encode())
    caller.writer.write_eof()
    status, _, body = await heard(caller)
    if path == B:
        assert status == 400
        assert "did not arrive whole" in json.loads(body)["description"]
        assert recording.calls == []
    else:
        assert json.loads(body)["errors"][0]["error"]["description"] == "The array has no end."
    assert await caller.is_cut_off()


@pytest.mark.parametrize(
    ("request_text", "here"),
    [
        (said("GET", FEED), "http://localhost"),
        (line(f"GET {FEED} HTTP/1.1", "Host: a.LocalHost.:8443"), "http://a.LocalHost.:8443"),
        (line(f"GET {FEED} HTTP/1.1", "Host: [::1]:80"), "http://[::1]:80"),
        (line(f"GET http://localhost:81{FEED} HTTP/1.1", LOCAL), "http://localhost:81"),
        (line(f"GET https://[::1]:81{FEED} HTTP/1.1", LOCAL), "https://[::1]:81"),
        (line(f"GET {FEED} HTTP/1.0"), "http://127.0.0.1:{port}"),
    ],
)
async def test_next_is_where_the_request_was_sent(request_text: bytes, here: str) -> None:
    """`next` has the host and the port that the client called, and never another port."""
    async with callers(fed(ScriptedFeed())) as connect:
        caller = await connect()
        port = caller.writer.get_extra_info("peername")[1]
        await caller.say(request_text)
        status, _, body = await heard(caller)
    assert status == 200
    assert json.loads(body)["next"] == here.format(port=port) + FEED


@pytest.mark.parametrize("path", [FEED, "/capacity-events", "/nowhere", "/docs", "/openapi.json"])
async def test_head_has_no_body(path: str) -> None:
    """HEAD is answered as GET is, without a body, and the connection goes on."""
    async with callers(fed(ScriptedFeed())) as connect:
        caller = await connect()
        await caller.say(said("HEAD", path))
        head = await caller.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 404" if path == "/nowhere" else b"HTTP/1.1 200")
        await caller.say(LIVEZ)
        assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")


ANY = "0.0.0.0"  # noqa: S104 - of a test's own
LOOPBACK = [
    "localhost", "LOCALHOST:1", "a.b.localhost:8080", "127.0.0.1", "127.9.8.7:8080", "[::1]",
    "[0:0::1]:80",
]  # fmt: skip
ELSEWHERE = [
    "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example",
    ".localhost", "a..localhost", "*.localhost", "%0d%0a.localhost",
    "notlocalhost", "10.0.0.1", ANY, "[::]", "[::2]:80", "", "2130706433", "0x7f.1",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK)
async def test_this_machine_is_answered(call: MakeCaller, host: str) -> None:
    """Rule 26: without tokens loopback answers to its own names and addresses, on any port."""
    caller = await call()
    await caller.say(line("GET /livez HTTP/1.1", f"Host: {host}"))
    assert (await caller.hear()).status == 200


@pytest.mark.parametrize("host", ELSEWHERE)
@pytest.mark.parametrize("path", ["/livez", "/dashboard", "/nowhere", FEED])
async def test_another_host_is_refused_on_loopback(call: MakeCaller, host: str, path: str) -> None:
    """Rule 26: no web page reaches the service by a name of its own for this machine (421)."""
    caller = await call()
    await caller.say(line(f"GET {path} HTTP/1.1", f"Host: {host}"))
    reply = await caller.hear()
    assert (reply.status, reply.body["@type"]) == (421, "OpenBookingError")


@pytest.mark.parametrize(
    "request_text",
    [
        line("GET http://evil.example/livez HTTP/1.1", LOCAL),
        line("GET http://localhost/livez HTTP/1.1", "Host: evil.example"),
    ],
)
async def test_the_request_line_names_a_host_too(call: MakeCaller, request_text: bytes) -> None:
    """Rule 26: the host of a request line counts as `Host` does."""
    caller = await call()
    await caller.say(request_text)
    assert (await caller.hear()).status == 421


async def test_with_tokens_any_host_is_answered(
    aiohttp_client: MakeClient, recording: RecordingLedger, tmp_path: Path
) -> None:
    """Rule 26: where there are tokens names do not matter, since a browser has none to send."""
    path = tmp_path / "tokens.toml"
    path.write_text(entry("read"))
    client: Client = await aiohttp_client(recorded(recording, Settings(), TokensFile(path).tokens))
    assert (await client.get("/livez", headers={"Host": "api.example"})).status == 200
    response = await client.get("/sellers", headers={"Host": "api.example"})
    await refusal(response, 403, "NoAPITokenError")


async def test_an_address_that_others_reach_answers_to_any_host(
    recording: RecordingLedger,
) -> None:
    """Rule 26: where LEASE_OPEN_ACCESS lets others in, they call it what they like."""
    bound = socket.create_server((ANY, 0))
    async with callers(recorded(recording, Settings()), bound) as connect:
        caller = await connect()
        await caller.say(line("GET /livez HTTP/1.1", "Host: api.example"))
        assert (await caller.hear()).status == 200


async def test_a_unix_socket_answers_to_any_host(
    recording: RecordingLedger, short_folder: Path
) -> None:
    """Rule 26: no web page reaches a unix socket, and clients name its host as they like."""
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(short_folder / "s"))
    app = recorded(recording, Settings())
    app.services.feed = ScriptedFeed()
    async with callers(app, bound) as connect:
        for host, here in (
            ("Host: api.example", "api.example"),
            ("Host: /run/lease.sock", "localhost"),
            ("Host:", "localhost"),
        ):
            caller = await connect()
            await caller.say(line(f"GET {FEED} HTTP/1.1", host))
            _, _, body = await heard(caller)
            assert json.loads(body)["next"] == f"http://{here}{FEED}"
