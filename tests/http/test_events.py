"""Rule 23: the feed's changes as Server-Sent Events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import pytest
from aiohttp import ClientResponse

from service.http import broadcast, events
from service.ledger.feed import START, CapacityFeed, Change, Cursor
from service.ledger.feed_reads import Feed
from tests.http.application import fed
from tests.http.served import Client, MakeClient
from tests.http.test_requests import refusal
from tests.polling import eventually

EVENTS = "/capacity-events"
SESSION = "https://example.com/{}"


class Message(NamedTuple):
    """One block of a stream: an event, or what comes between events."""

    fields: dict[str, str]

    @property
    def data(self) -> dict[str, Any]:
        """The item of the feed."""
        return cast("dict[str, Any]", json.loads(self.fields["data"]))

    @property
    def free(self) -> tuple[str, int | None]:
        """Which Opportunity it is about, and what is free of it."""
        item = self.data.get("data", {})
        return item.get("@id", self.data["id"]), item.get("remainingAttendeeCapacity")


async def messages(response: ClientResponse) -> AsyncIterator[Message]:
    """Yield the blocks of a stream."""
    while block := (await response.content.readuntil(b"\n\n")).decode():
        lines = [line.partition(": ") for line in block.splitlines() if line]
        yield Message({name: value for name, _, value in lines})


@asynccontextmanager
async def listening(
    client: Client, query: str = "", last: str | None = None
) -> AsyncIterator[AsyncIterator[Message]]:
    """Listen; the stream has begun."""
    headers = {} if last is None else {"Last-Event-ID": last}
    async with client.get(EVENTS + query, headers=headers) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        stream = messages(response)
        first = await anext(stream)
        assert first.fields.keys() == {"retry", "id"}
        yield stream


async def frees(stream: AsyncIterator[Message], count: int) -> list[tuple[str, int | None]]:
    """Return what so many events say is free."""
    return [(await anext(stream)).free for _ in range(count)]


async def register(client: Client, name: str, capacity: int = 5) -> None:
    """Register a class."""
    session = {
        "@type": "ScheduledSession",
        "@id": SESSION.format(name),
        "maximumAttendeeCapacity": capacity,
    }
    assert (await client.put("/opportunities", json=[session])).status == 200


async def lease(client: Client, name: str, spaces: int) -> None:
    """Make the one lease of a class so large."""
    item = {"orderedItem": SESSION.format(name), "acceptedOffer": "https://example.com/offer"}
    path = f"/order-quote-templates/{'0' * 8}-0000-0000-0000-{name.encode().hex():0>12}"
    assert (await client.put(path, json={"orderedItem": [item] * spaces})).status == 200


async def test_changes_are_told_as_they_come(client: Client) -> None:
    """Rule 23: registration, lease and withdrawal, as the same items that the feed has."""
    async with listening(client) as stream:
        await register(client, "a")
        event = await anext(stream)
        page = await (await client.get("/capacity-feed")).json(content_type=None)
        assert event.data == page["items"][0]
        assert event.fields["event"] == "capacity"
        assert event.fields["id"] == f"{event.data['modified']},{event.data['id']}"
        await lease(client, "a", 2)
        assert await frees(stream, 1) == [(SESSION.format("a"), 3)]
        await client.delete("/opportunities", params={"id": SESSION.format("a")})
        assert (await anext(stream)).data["state"] == "deleted"


async def test_a_listener_resumes_without_a_gap(client: Client) -> None:
    """Rule 23: with `Last-Event-ID` come the changes since, in order, and then the new ones."""
    async with listening(client) as stream:
        await register(client, "a")
        last = (await anext(stream)).fields["id"]
    for name in "bcd":
        await register(client, name)
    async with listening(client, last=last) as stream:
        assert await frees(stream, 3) == [(SESSION.format(name), 5) for name in "bcd"]
        await lease(client, "c", 1)
        assert await frees(stream, 1) == [(SESSION.format("c"), 4)]


async def test_a_stream_without_events_can_be_resumed(client: Client) -> None:
    """Even the first block has an id, so that nothing is missed before the first event."""
    async with client.get(EVENTS) as response:
        last = (await anext(messages(response))).fields["id"]
    await register(client, "a")
    async with listening(client, last=last) as stream:
        assert await frees(stream, 1) == [(SESSION.format("a"), 5)]


async def test_a_listener_goes_on_where_it_left_the_feed(client: Client) -> None:
    """The query of the feed's last `next` is a place for the events too."""
    await register(client, "a")
    page = await (await client.get("/capacity-feed")).json(content_type=None)
    await register(client, "b")
    async with listening(client, "?" + page["next"].partition("?")[2]) as stream:
        assert await frees(stream, 1) == [(SESSION.format("b"), 5)]


async def test_a_listener_may_ask_for_some_alone(client: Client) -> None:
    """Rule 23: `?id=` narrows the stream to these Opportunities of the Seller."""
    for name in "abc":
        await register(client, name)
    query = "&".join(f"id={quote(SESSION.format(name), safe='')}" for name in "ac")
    async with listening(client, f"?{query}&seller=default") as stream:
        for name in "abc":
            await lease(client, name, 1)
        assert await frees(stream, 2) == [(SESSION.format(name), 4) for name in "ac"]
    async with listening(client, f"?{query}&afterTimestamp=0") as stream:
        assert await frees(stream, 2) == [(SESSION.format(name), 4) for name in "ac"]


async def test_listeners_who_come_and_go_end_with_the_truth(client: Client) -> None:
    """Rule 23: whoever stops and resumes amid heavy change sees every final state."""
    names = "abcdefgh"
    end = SESSION.format("end")

    async def listen(patience: int) -> dict[str, int | None]:
        seen: dict[str, int | None] = {}
        last = "0,"
        while end not in seen:
            async with listening(client, last=last) as stream:
                for _ in range(patience):
                    event = await anext(stream)
                    last = event.fields["id"]
                    seen |= [event.free]
                    if end in seen:
                        break
        return seen

    for name in names:
        await register(client, name, 50)
    listeners = [asyncio.create_task(listen(patience)) for patience in (1, 3, 1000)]
    for step in range(60):
        await asyncio.gather(
            *(lease(client, name, (step * 7) % 13) for name in names[step % 3 :: 2])
        )
    await register(client, "end")
    expected = {}
    for name in [*names, "end"]:
        found = await client.get("/opportunities", params={"id": SESSION.format(name)})
        [ledger] = await found.json(content_type=None)
        expected[ledger["@id"]] = ledger["remainingAttendeeCapacity"]
    assert await asyncio.gather(*listeners) == [expected] * 3


class ScriptedFeed(CapacityFeed):
    """A feed of the test's own making, which counts how often it is read."""

    def __init__(self) -> None:
        super().__init__(cast("Feed", None))
        self.items: list[Change] = []
        self.reads = 0

    def ids(
        self,
        seller: str,  # noqa: ARG002 - here a name is enough
        opportunities: Iterable[str],
    ) -> frozenset[str]:
        """Name Opportunities by themselves."""
        return frozenset(opportunities)

    async def end(self) -> Cursor:
        """Return the place behind the last item."""
        return self.items[-1].cursor if self.items else START

    async def changes(self, after: Cursor, limit: int = 500) -> list[Change]:
        """Return items."""
        self.reads += 1
        return [change for change in self.items[after.modified :] if change.cursor > after][:limit]

    def add(self, count: int) -> None:
        """Let so many things happen."""
        first = len(self.items) + 1
        self.items += [
            Change("deleted", "x" * 1000, "x", number) for number in range(first, first + count)
        ]


@pytest.fixture
def feed() -> ScriptedFeed:
    """Give a feed of the test's own making."""
    return ScriptedFeed()


async def test_many_listen_and_one_reads(aiohttp_client: MakeClient, feed: ScriptedFeed) -> None:
    """Rule 23: 2,000 listeners of one process each get everything, and the feed is read once."""
    client = await aiohttp_client(fed(feed))
    many = 2000
    told = 0

    async def listen(ready: asyncio.Semaphore) -> None:
        nonlocal told
        reader, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(b"GET /capacity-events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"retry: ")
        ready.release()
        for number in range(1, 4):
            await reader.readuntil(b"id: %d," % number)
            await reader.readuntil(b"data: ")
            told += 1
        writer.close()

    ready = asyncio.Semaphore(0)
    listeners = [asyncio.create_task(listen(ready)) for _ in range(many)]
    for _ in range(many):
        await ready.acquire()
    feed.reads = 0
    for _ in range(3):
        feed.add(1)
        reads = feed.reads

        async def has_been_read(reads: int = reads) -> bool:
            return feed.reads >= reads + 2

        await eventually(has_been_read)
    await asyncio.gather(*listeners)
    assert told == 3 * many
    assert feed.reads < many


async def test_so_many_may_listen(aiohttp_client: MakeClient, feed: ScriptedFeed) -> None:
    """Rule 23: beyond LEASE_MAXIMUM_LISTENERS it is a 503 at once, until one has left."""
    client = await aiohttp_client(fed(feed, listeners=2))
    async with listening(client):
        async with listening(client):
            refused = await client.get(EVENTS)
            assert "come back" in await refusal(refused, 503, "OpenBookingError")
            assert refused.headers["Retry-After"] == "1"

        async def has_left() -> bool:
            async with client.get(EVENTS) as response:
                return response.status == 200

        await eventually(has_left)


async def test_those_who_come_back_share_what_is_read(
    aiohttp_client: MakeClient, feed: ScriptedFeed
) -> None:
    """Rule 23: a hundred who missed the same read its pages once, and each gets all of it."""
    feed.add(3000)
    # The last one makes everything before it too old to be kept.
    feed.items.append(Change("deleted", "x", "x", 100_000_000))
    client = await aiohttp_client(fed(feed))

    async def listen() -> list[int]:
        async with listening(client, last="0,") as stream:
            return [(await anext(stream)).data["modified"] for _ in range(3001)]

    everything = [change.modified for change in feed.items]
    assert await asyncio.gather(*(listen() for _ in range(100))) == [everything] * 100
    assert feed.reads < 100


async def test_what_lies_behind_is_sent_in_pieces(feed: ScriptedFeed) -> None:
    """Rule 23: for one listener no more is put together than it can be sent at once."""
    shared = broadcast.Broadcast(feed, 1)
    stream = shared.listen(None)
    await anext(stream)
    feed.add(500)
    pieces = [await anext(stream)]
    while b"id: 500," not in pieces[-1]:
        pieces.append(await anext(stream))
    most = max(map(len, pieces))
    assert broadcast.PIECE_BYTES <= most < broadcast.PIECE_BYTES + 2000
    assert b"".join(pieces).count(b"data: ") == 500
    shared.close()


async def test_nobody_listens_and_nobody_reads(
    aiohttp_client: MakeClient, feed: ScriptedFeed
) -> None:
    """Once the last listener has gone the feed is read no more."""
    client = await aiohttp_client(fed(feed))
    async with listening(client):
        pass
    shared = client.app.services.broadcast

    async def has_stopped() -> bool:
        feed.add(1)
        return shared._reader is None

    await eventually(has_stopped)


async def test_a_slow_listener_is_dropped(
    aiohttp_client: MakeClient, feed: ScriptedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 23: who takes nothing is disconnected instead of being buffered for; others go on."""
    monkeypatch.setattr(events, "PATIENCE_SECONDS", 0.2)
    client = await aiohttp_client(fed(feed))
    shared = client.app.services.broadcast
    _, writer = await asyncio.open_connection(client.host, client.port, limit=1)
    writer.write(b"GET /capacity-events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with listening(client) as stream:
        told = 0

        async def is_dropped() -> bool:
            nonlocal told
            feed.add(500)
            for _ in range(500):
                told += 1
                assert (await anext(stream)).data["modified"] == told
            return shared._listeners == 1

        async def are_two() -> bool:
            return shared._listeners == 2

        await eventually(are_two)
        await eventually(is_dropped)
    writer.close()


async def test_who_lags_behind_what_is_kept_is_dropped(
    feed: ScriptedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more events are kept than a fixed number, for all listeners together."""
    monkeypatch.setattr(broadcast, "KEPT", 10)
    shared = broadcast.Broadcast(feed, 1)
    stream = shared.listen(None)
    await anext(stream)
    feed.add(1)
    assert b"id: 1," in await anext(stream)
    feed.add(30)

    async def is_read() -> bool:
        return len(shared._kept) == 10

    await eventually(is_read)
    with pytest.raises(broadcast.TooSlowError):
        await anext(stream)


async def test_a_quiet_stream_has_comments(
    aiohttp_client: MakeClient, feed: ScriptedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 23: a comment now and then, with the place, also while others have news."""
    assert broadcast.QUIET_SECONDS == 15
    monkeypatch.setattr(broadcast, "QUIET_SECONDS", 0.3)
    client = await aiohttp_client(fed(feed))
    async with listening(client, "?seller=somebody&id=nobody") as stream:

        async def talk() -> None:
            while True:
                feed.add(1)
                await asyncio.sleep(0.02)

        talking = asyncio.create_task(talk())
        comment = await anext(stream)
        talking.cancel()
    assert comment.fields.keys() == {":", "id"}
    assert int(comment.fields["id"].partition(",")[0]) > 0


async def test_streams_end_when_the_service_does(
    aiohttp_client: MakeClient, feed: ScriptedFeed
) -> None:
    """A stream that is closed ends properly, and so does one that begins too late."""
    client = await aiohttp_client(fed(feed))
    async with client.get(EVENTS) as response:
        await anext(messages(response))
        client.app.services.broadcast.close()
        assert await response.content.read() == b""
    async with client.get(EVENTS) as response:
        assert (await response.content.read()).startswith(b"retry: ")
