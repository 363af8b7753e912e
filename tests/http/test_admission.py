from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.settings import Settings
from tests.http.application import api, recorded
from tests.http.caller import callers
from tests.http.recording import RecordingLedger
from tests.http.served import Client, MakeClient
from tests.http.test_requests import C1, C2, EMPTY, B, P, refusal
from tests.polling import eventually
from tests.servers import RedisServer


class SlowLedger(RecordingLedger):
    """A ledger that answers nothing until it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()
        self.waiting = 0

    async def release(self, key: Any) -> int:
        """Answer when it may."""
        self.waiting += 1
        await self.may_answer.wait()
        return await super().release(key)


@pytest.fixture
async def slow() -> SlowLedger:
    """Give a ledger that takes its time."""
    return SlowLedger()


@pytest.fixture
async def full(aiohttp_client: MakeClient, slow: SlowLedger) -> AsyncIterator[Client]:
    """Give a client of an edge that answers two calls at once, and has two to answer."""
    client = await aiohttp_client(recorded(slow, Settings(maximum_in_flight=2)))
    calls = [asyncio.create_task(client.delete(C2)) for _ in range(2)]

    async def both_wait() -> bool:
        return slow.waiting == len(calls)

    await eventually(both_wait)
    yield client
    slow.may_answer.set()
    assert [(await call).status for call in calls] == [204, 204]


async def test_too_many_calls_are_refused_at_once(full: Client, slow: SlowLedger) -> None:
    """Beyond LEASE_MAXIMUM_IN_FLIGHT a call gets 503, in its own words (rule 25)."""
    for method, path, kind in (
        ("PUT", C1, "TemporarilyUnableToProduceOrderQuoteError"),
        ("PUT", B, "TemporarilyUnableToCreateOrderError"),
        ("PUT", P, "TemporarilyUnableToCreateOrderError"),
        ("PATCH", B, "TemporarilyUnableToUpdateOrderError"),
        ("DELETE", B, "TemporarilyUnableToDeleteOrderError"),
        ("PUT", "/opportunities", "OpenBookingError"),
        ("GET", "/sellers", "OpenBookingError"),
    ):
        response = await full.request(method, path, json=EMPTY)
        assert "nothing was changed" in await refusal(response, 503, kind)
        assert response.headers["Retry-After"] == "1"
    assert slow.calls == []


async def test_whoever_watches_is_answered_all_the_same(full: Client) -> None:
    """Probes and pages do not count: a service that is busy is not one that is dead."""
    for path in ("/livez", "/readyz", "/openapi.json", "/docs", "/dashboard"):
        assert (await full.get(path)).status == 200
    await refusal(await full.get("/nowhere"), 404, "UnknownOrIncorrectEndpointError")


async def test_after_the_rush_all_is_as_before(full: Client, slow: SlowLedger) -> None:
    """As soon as a call is answered the next one is taken on."""
    await refusal(await full.delete(B), 503, "TemporarilyUnableToDeleteOrderError")
    slow.may_answer.set()

    async def is_taken_on() -> bool:
        return (await full.delete(C2)).status == 204

    await eventually(is_taken_on)


async def test_a_flood_is_one_line_in_the_log(full: Client) -> None:
    """The log says how many were refused, once a second, and lists none of them."""
    with capture_logs() as logs:
        for _ in range(30):
            assert (await full.put(C1, json=EMPTY)).status == 503
    assert {line["event"] for line in logs} == {"requests.too_many"}
    assert len(logs) < 30


async def test_listeners_do_not_count(
    aiohttp_client: MakeClient, valkey_server: RedisServer, settings: Settings
) -> None:
    """Streams last for as long as their clients like, and so are left out of the limit."""
    batcher = Batcher(connection_factory(valkey_server.url))
    client = await aiohttp_client(api(batcher, structs.replace(settings, maximum_in_flight=1)))
    async with contextlib.AsyncExitStack() as streams:
        for _ in range(5):
            stream = await streams.enter_async_context(client.get("/capacity-events"))
            assert stream.status == 200
        assert (await client.get("/capacity-feed")).status == 200
    await batcher.close()


async def test_a_stream_has_its_request_id(client: Client) -> None:
    """An endless answer has the headers of every answer: its id, and no version of a library."""
    async with client.get("/capacity-events", headers={"X-Request-Id": "abc"}) as response:
        assert response.status == 200
        assert response.headers["X-Request-Id"] == "abc"
        assert response.headers["Server"] == "lease-service"
    client.app.services.broadcast.close()


@pytest.mark.parametrize("path", ["/livez", "/nowhere", "/docs", "/capacity-feed"])
async def test_every_answer_is_signed(client: Client, path: str) -> None:
    """Each answer has an id, and says nothing of what it was made with."""
    response = await client.get(path)
    assert response.headers["X-Request-Id"]
    assert response.headers["Server"] == "lease-service"


@pytest.mark.parametrize("path", [C1, "/opportunities"])
async def test_slow_bodies_keep_nobody_from_being_answered(
    recording: RecordingLedger, path: str
) -> None:
    """A call is in flight once its body is there: 1,100 that wait leave room for others."""
    head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    with capture_logs() as logs:
        async with callers(recorded(recording, Settings(maximum_in_flight=2))) as connect:
            slow = [await connect() for _ in range(1100)]
            for caller in slow:
                await caller.say(head.encode(), b"[")
            other = await connect()
            await other.say(b"DELETE %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % C2.encode())
            assert (await other.hear()).status == 204
            # What has waited is answered as ever.
            await slow[0].say(b" " * 998, b"]")
            assert (await slow[0].hear()).status == (400 if path == C1 else 200)
    assert "request.failed" not in {line["event"] for line in logs}
