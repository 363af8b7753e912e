"""The dashboard's page and data, as any client gets them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from yarl import URL

from service.http.access import Token, Tokens
from service.settings import Settings
from tests.http.application import recorded
from tests.http.recording import RecordingLedger
from tests.http.served import Client, MakeClient
from tests.polling import eventually

SELLER = "https://example.com/sellers/1"
TEMPLATE = "/order-quote-templates/e11429ea-467f-4270-ab62-e4736899{:04x}"


async def register(client: Client, *ids: str, seller: str = SELLER, capacity: int = 5) -> None:
    """Register Opportunities."""
    entries = [
        {"@type": "Event", "@id": id_, "seller": seller, "maximumAttendeeCapacity": capacity}
        for id_ in ids
    ]
    assert (await client.put("/opportunities", json=entries)).status == 200


async def lease(client: Client, id_: str, spaces: int, order: int = 1) -> int:
    """Make C1, and return the status."""
    items = [{"orderedItem": id_, "acceptedOffer": "https://example.com/offer"}] * spaces
    body = {"seller": SELLER, "orderedItem": items}
    return (await client.put(TEMPLATE.format(order), json=body)).status


async def data(client: Client, name: str, **query: str | int) -> Any:
    """Return what the page would be given."""
    response = await client.get(URL(f"/dashboard/data/{name}").with_query(query))
    assert response.status == 200
    return await response.json()


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/dashboard", "text/html"),
        ("/dashboard/main.js", "javascript"),
        ("/dashboard/style.css", "text/css"),
        ("/dashboard/icon.svg", "image/svg+xml"),
    ],
)
async def test_the_page_comes_with_a_strict_policy(
    edge: Client, path: str, media_type: str
) -> None:
    """Each file of the page forbids everything that is not from here, and inline code."""
    response = await edge.get(path)
    assert response.status == 200
    assert media_type in response.content_type
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("asset", ["page.html", "nothing.js", "..%2fdocs.html", "data"])
async def test_nothing_but_the_page_s_files_is_given(edge: Client, asset: str) -> None:
    """Under the page's path there are its own files and no others."""
    assert (await edge.get(URL(f"/dashboard/{asset}", encoded=True))).status == 404


async def test_the_data_needs_a_token_and_the_page_none(
    aiohttp_client: MakeClient, recording: RecordingLedger
) -> None:
    """Where tokens are set the page can be opened without one, to enter it; its data cannot."""
    tokens = Tokens([Token("other", "read", hashlib.sha256(b"other").hexdigest())])
    client = await aiohttp_client(recorded(recording, Settings(), tokens))
    assert (await client.get("/dashboard")).status == 200
    for name in ("sellers", "opportunities", "opportunity", "pulse"):
        assert (await client.get(f"/dashboard/data/{name}")).status == 403


@pytest.mark.parametrize(
    "path",
    [
        "opportunities",
        "opportunity?seller=s",
        "sellers?offset=-1",
        "sellers?offset=x",
        "sellers?order=price",
    ],
)
async def test_a_malformed_question_is_refused(edge: Client, path: str) -> None:
    """What the page would never ask is a 400 that says what is wrong."""
    response = await edge.get(f"/dashboard/data/{path}")
    assert response.status == 400
    assert (await response.json())["@type"] == "OpenBookingError"


async def test_sellers_come_with_their_sums_and_first_opportunities(client: Client) -> None:
    """A Seller has the sum over all its Opportunities, of which the first eight are listed."""
    await register(client, *(f"https://example.com/{number:02}" for number in range(10)))
    await register(client, "https://example.com/a", seller="https://example.com/sellers/0")
    await lease(client, "https://example.com/03", 2)
    body = await data(client, "sellers")
    assert [seller["id"][-1] for seller in body["sellers"]] == ["0", "1"]
    assert body["count"] == 2
    assert body["spaces"]["capacity"] == 55
    second = body["sellers"][1]
    assert (second["opportunities"], len(second["lines"])) == (10, 8)
    assert second["spaces"] == {
        "capacity": 50,
        "booked": 0,
        "named": 0,
        "anonymous": 2,
        "proposed": 0,
        "free": 48,
    }


async def test_lists_are_paged(client: Client) -> None:
    """A page holds fifty Opportunities, and the next begins where it ended."""
    ids = [f"https://example.com/{number:03}" for number in range(60)]
    await register(client, *ids)
    first = await data(client, "opportunities", seller=SELLER)
    second = await data(client, "opportunities", seller=SELLER, offset=50)
    assert first["count"] == second["count"] == 60
    assert [line["id"] for line in first["lines"] + second["lines"]] == ids


async def test_lists_are_sorted_as_asked(client: Client) -> None:
    """The fewest free come first, or the most held, or they are in the order of their ids."""
    await register(client, "https://example.com/small", capacity=1)
    await register(client, "https://example.com/large", capacity=9)
    await lease(client, "https://example.com/large", 4)
    firsts = [
        (await data(client, "opportunities", seller=SELLER, order=order))["lines"][0]["id"]
        for order in ("id", "free", "held")
    ]
    assert [first.rpartition("/")[2] for first in firsts] == ["large", "small", "large"]


async def test_search_looks_for_a_part_of_an_id(client: Client) -> None:
    """A part of an Opportunity's id or of its Seller's finds it, in upper or lower case."""
    await register(client, "https://example.com/Yoga", "https://example.com/spin")
    await register(client, "https://example.com/box", seller="https://example.com/sellers/yogi")
    body = await data(client, "sellers", search="YOG")
    found = [line["id"][20:] for seller in body["sellers"] for line in seller["lines"]]
    assert found == ["Yoga", "box"]


async def test_an_id_outside_the_window_is_found_whole(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more Opportunities than the lists tell of, a whole id finds any."""
    monkeypatch.setattr("service.ledger.dashboard.WINDOW", 1)
    await register(client, "https://example.com/old", "https://example.com/new")
    body = await data(client, "sellers")
    assert body["covered"] == {"shown": 1, "total": 2}
    for query in ({}, {"seller": SELLER}):
        name = "opportunities" if query else "sellers"
        assert (await data(client, name, search="https://example.com/old", **query))["count"] == 1
    assert (await data(client, "sellers", search="nothing"))["count"] == 0


async def test_an_opportunity_comes_with_its_leases(client: Client) -> None:
    """An Opportunity's page has who holds it; one that is not registered is a 404."""
    await register(client, "https://example.com/1")
    await lease(client, "https://example.com/1", 2)
    body = await data(client, "opportunity", seller=SELLER, id="https://example.com/1")
    [held] = body["leases"]
    assert (held["kind"], held["spaces"], held["partner"]) == ("anonymous", 2, "default")
    assert 290 < held["expires"] - body["now"] <= 301
    query = {"seller": SELLER, "id": "https://example.com/2"}
    assert (await client.get(URL("/dashboard/data/opportunity").with_query(query))).status == 404


async def test_only_what_was_refused_for_want_of_spaces_is_a_conflict(client: Client) -> None:
    """Refused C1 and B count each OrderItem that others' spaces stood against, and no mistakes."""
    await register(client, "https://example.com/1")
    assert await lease(client, "https://example.com/1", 4) == 200
    assert await lease(client, "https://example.com/1", 3, order=2) == 409
    assert await lease(client, "https://example.com/nothing", 1, order=3) == 409
    items = [{"orderedItem": "https://example.com/1", "acceptedOffer": "offer"}] * 2
    order = TEMPLATE.format(4).replace("order-quote-templates", "orders")
    body = {"seller": SELLER, "orderedItem": items}
    assert (await client.put(order, json=body)).status == 409
    dashboard = client.app.services.dashboard
    await dashboard._conflicts.flush()

    async def counted() -> bool:
        conflicts: list[int] = (await data(client, "pulse"))["conflicts"]
        return sum(conflicts) == 3

    await eventually(counted)
