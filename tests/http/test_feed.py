"""Rule 22 over HTTP: pages, their addresses, and how long they may be kept."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from service.http import TokensFile
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.settings import Settings
from tests.http.application import api, recorded
from tests.http.recording import RecordingLedger
from tests.http.served import Client, MakeClient
from tests.http.test_access import entry
from tests.http.test_requests import refusal
from tests.servers import RedisServer

FEED = "/capacity-feed"


async def register(client: Client, count: int) -> None:
    """Register so many classes."""
    entries = [
        {"@type": "ScheduledSession", "@id": f"https://example.com/{n}", "maximumUses": 3}
        for n in range(count)
    ]
    assert (await client.put("/opportunities", json=entries)).status == 200


async def read(client: Client, url: str, **headers: str) -> tuple[dict[str, Any], str]:
    """Return a page and its Cache-Control."""
    response = await client.get(url, headers=headers)
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/vnd.openactive.rpde+json; version=1"
    return await response.json(content_type=None), response.headers["Cache-Control"]


def path_of(url: str) -> str:
    """Return the path and query of an absolute address."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


async def test_the_feed_is_walked_by_next(client: Client) -> None:
    """Rule 22: 500 items to a page, and a last page without items, whose `next` is its own."""
    await register(client, 501)
    sizes, kept, ids, url = [], [], set(), FEED
    while True:
        page, cache = await read(client, url)
        sizes.append(len(page["items"]))
        kept.append(cache)
        assert page["license"] == "https://creativecommons.org/licenses/by/4.0/"
        if not page["items"]:
            break
        ids |= {item["data"]["@id"] for item in page["items"]}
        last = page["items"][-1]
        after = {"afterTimestamp": [str(last["modified"])], "afterId": [last["id"]]}
        assert parse_qs(urlsplit(page["next"]).query) == after
        url = path_of(page["next"])
    assert path_of(page["next"]) == url
    assert sizes == [500, 1, 0]
    assert len(ids) == 501
    assert kept == ["public, max-age=3600", "public, max-age=3600", "public, max-age=8"]


@pytest.mark.parametrize("query", ["", "?afterTimestamp=9007199254740991&afterId=a", "?x=1"])
async def test_a_last_page_is_known_by_its_own_address(client: Client, query: str) -> None:
    """The last page's `next` is the address that was asked for, to the letter."""
    page, _ = await read(client, FEED + query)
    assert page["items"] == []
    assert page["next"] == str(client.make_url("/"))[:-1] + FEED + query


async def test_next_is_where_the_reader_came_to(client: Client) -> None:
    """`next` has the host of the request, and believes no proxy header."""
    await register(client, 1)
    lies = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    page, _ = await read(client, FEED, Host="feed.localhost:8443", **lies)
    assert page["next"].startswith("http://feed.localhost:8443/capacity-feed?afterTimestamp=")


@pytest.mark.parametrize(
    "query",
    [
        "afterTimestamp=yesterday&afterId=a",
        "afterTimestamp=-1",
        "afterTimestamp=1.5&afterId=a",
        "afterTimestamp=1&afterId=a%0Adata",
        "afterTimestamp=1&afterTimestamp=2",
        "afterId=a",
        "afterId=",
        "afterTimestamp=",
        "afterTimestamp=1&afterId=a&afterId=a",
        "afterChangeNumber=1",
        "afterTimestamp=1&afterChangeNumber=1",
        "aftertimestamp=1",
    ],
)
@pytest.mark.parametrize("path", [FEED, "/capacity-events"])
async def test_what_is_no_place_is_refused(client: Client, path: str, query: str) -> None:
    """Rule 24: a cursor that is none is a 400 that says so."""
    problem = await refusal(await client.get(f"{path}?{query}"), 400)
    assert "after" in problem or "place in the feed" in problem


async def test_what_needs_a_token_is_kept_from_shared_caches(
    aiohttp_client: MakeClient, valkey_server: RedisServer, settings: Settings, tmp_path: Any
) -> None:
    """Rule 26: with tokens the feed asks for one, and may not be kept for everyone."""
    path = tmp_path / "tokens.toml"
    path.write_text(entry("read"))
    batcher = Batcher(connection_factory(valkey_server.url))
    client = await aiohttp_client(api(batcher, settings, TokensFile(path).tokens))
    await refusal(await client.get(FEED), 403, "NoAPITokenError")
    _, cache = await read(client, FEED, Authorization="Bearer secret-read")
    assert cache == "private, max-age=8"
    await batcher.close()


@pytest.mark.parametrize("path", [FEED, "/capacity-events"])
async def test_without_redis_there_is_no_feed(
    aiohttp_client: MakeClient, recording: RecordingLedger, path: str
) -> None:
    """Rule 25: while Redis is away, 503 with Retry-After, also before a stream begins."""
    client = await aiohttp_client(recorded(recording, Settings()))
    response = await client.get(path)
    assert response.headers["Retry-After"] == "1"
    await refusal(response, 503, "OpenBookingError")
