from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from service.model import MEDIA_TYPE
from tests.http.served import Client
from tests.http.test_requests import refusal

EXAMPLES = Path(__file__).parents[1] / "data" / "open-booking-examples"
SELLER = "https://example.com/api/organisations/123"
SESSION = "https://example.com/events/452/subEvents/132"
OFFER = "https://example.com/events/452#/offers/878"
UUIDS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(10)]


async def register(client: Client, capacity: int) -> None:
    """Register the session of the published examples."""
    session = {
        "@type": "ScheduledSession",
        "@id": SESSION,
        "seller": SELLER,
        "maximumAttendeeCapacity": capacity,
        "offers": [{"@type": "Offer", "@id": OFFER, "price": 10, "priceCurrency": "GBP"}],
    }
    response = await client.put("/opportunities", json=[session])
    assert response.status == 200


async def free(client: Client) -> int:
    """Return how many spaces nobody holds."""
    response = await client.get("/opportunities", params={"seller": SELLER, "id": SESSION})
    (session,) = await response.json(content_type=None)
    return int(session["remainingAttendeeCapacity"])


def order(spaces: int) -> dict[str, Any]:
    """Return an Order of so many spaces of the session."""
    item = {"orderedItem": SESSION, "acceptedOffer": OFFER}
    return {"seller": SELLER, "orderedItem": [item] * spaces}


async def send(client: Client, name: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Send a published request, unchanged; return status, body and headers."""
    published = json.loads((EXAMPLES / f"{name}.json").read_text())
    response = await client.request(
        published["verb"],
        published["path"].removeprefix("/api"),
        params={"seller": SELLER},
        data=json.dumps(published["body"]) if "body" in published else None,
        headers={"Content-Type": published["mediaType"]},
    )
    text = await response.text()
    return response.status, json.loads(text) if text else {}, dict(response.headers)


async def test_the_published_exchange_goes_through(client: Client) -> None:
    """The standard's own C1, C2, B, look and deletion go through unchanged (rules 1, 9, 15)."""
    await register(client, 2)

    status, quote, headers = await send(client, "c1-request")
    assert (status, headers["Content-Type"]) == (200, MEDIA_TYPE)
    (item,) = quote["orderedItem"]
    assert item["orderedItem"]["@id"] == SESSION
    assert item["orderedItem"]["remainingAttendeeCapacity"] == 2
    assert item["acceptedOffer"]["@id"] == OFFER
    assert quote["lease"]["@type"] == "Lease"

    status, _, headers = await send(client, "order-quote-deletion-request")
    assert (status, headers["Lease-Released"]) == (204, "1")
    status, _, headers = await send(client, "order-quote-deletion-request")
    assert (status, headers["Lease-Released"]) == (204, "0")

    assert (await send(client, "c1-request"))[0] == 200
    assert (await send(client, "c2-request"))[0] == 200
    assert await free(client) == 1

    status, booked, headers = await send(client, "b-request")
    assert (status, booked["@type"]) == (201, "Order")
    assert "Idempotency-Replayed" not in headers
    status, again, headers = await send(client, "b-request")
    assert (status, again, headers["Idempotency-Replayed"]) == (201, booked, "true")
    assert await free(client) == 1

    status, looked, _ = await send(client, "order-status-request")
    assert (status, looked) == (200, booked)

    assert (await send(client, "order-deletion-request"))[0] == 204
    assert (await send(client, "order-deletion-request"))[0] == 204
    assert await free(client) == 2


async def test_an_order_that_was_never_seen_is_unknown(client: Client) -> None:
    """Looking at or deleting what never was gives 404 `UnknownOrderError`."""
    for name in ("order-deletion-request", "order-status-request"):
        status, body, _ = await send(client, name)
        assert (status, body["@type"]) == (404, "UnknownOrderError")


async def test_the_seed_scenario(client: Client) -> None:
    """Of 2 spaces 1 is leased; of 3 asked for, 1 is free, 1 reserved, 1 insufficient (rule 3)."""
    await register(client, 2)
    assert (await client.put(f"/order-quotes/{UUIDS[0]}", json=order(1))).status == 200
    response = await client.put(f"/order-quote-templates/{UUIDS[1]}", json=order(3))
    assert response.status == 409
    assert int(response.headers["Retry-After"]) > 0
    quote = await response.json(content_type=None)
    assert [item.get("error", [{}])[0].get("@type") for item in quote["orderedItem"]] == [
        None,
        "OpportunityCapacityIsReservedByLeaseError",
        "OpportunityHasInsufficientCapacityError",
    ]


async def test_strict_handling_holds_all_or_nothing(client: Client) -> None:
    """With `Prefer: handling=strict` a 409 holds nothing new (rule 5)."""
    await register(client, 2)
    response = await client.put(
        f"/order-quotes/{UUIDS[0]}", json=order(3), headers={"Prefer": "handling=strict"}
    )
    assert response.status == 409
    assert response.headers["Preference-Applied"] == "handling=strict"
    assert await free(client) == 2


async def test_a_full_opportunity_refuses_a_booking_with_its_items(client: Client) -> None:
    """B without room gives 409 with the OrderItems and their errors (rule 16)."""
    await register(client, 1)
    assert (await client.put(f"/orders/{UUIDS[0]}", json=order(1))).status == 201
    response = await client.put(f"/orders/{UUIDS[1]}", json=order(1))
    await refusal(response, 409, "OpportunityHasInsufficientCapacityError")
    (item,) = (await response.json())["orderedItem"]
    assert item["error"][0]["@type"] == "OpportunityIsFullError"


async def test_booking_partners_never_meet(client: Client) -> None:
    """The same UUID of another Booking Partner is another Order (contract, «Calls»)."""
    await register(client, 2)
    path = f"/order-quotes/{UUIDS[0]}"
    assert (await client.put(path, json=order(1), headers={"Booking-Partner": "a"})).status == 200
    query = {"seller": SELLER}
    other = await client.get(path, params=query, headers={"Booking-Partner": "b"})
    await refusal(other, 404, "UnknownOrderError")
    assert (await client.get(path, params=query, headers={"Booking-Partner": "a"})).status == 200


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(order(1_001)),
        json.dumps(order(1) | {"orderedItem": [{}] * 100_000}),
        '{"orderedItem": [{"position": 1}, {"position": 1}]}',
        json.dumps({"orderedItem": [{"orderedItem": "x" * 5_000, "acceptedOffer": "o"}]}),
        json.dumps({"orderedItem": [{"orderedItem": "a\u0000b", "acceptedOffer": "o"}]}),
        json.dumps({"orderedItem": [], "seller": {"@id": "a\u001fb"}}),
    ],
)
@pytest.mark.parametrize("path", ["order-quote-templates", "order-quotes", "orders"])
async def test_hostile_orders_change_nothing(client: Client, path: str, body: str) -> None:
    """Too many items, equal positions, long ids and control characters give a 400 (rule 24)."""
    response = await client.put(
        f"/{path}/{UUIDS[0]}", data=body, headers={"Content-Type": "application/json"}
    )
    await refusal(response, 400)


@pytest.mark.parametrize(
    "customer",
    [
        '{"name": "\\ud800 alone"}',
        "1e400",
        "7" * 5_000,
        '{"a": 1, "a": {"b": [NaN]}}',
        "{" * 20,
    ],
)
async def test_a_hostile_customer_is_no_failure(client: Client, customer: str) -> None:
    """Whatever JSON, or none, a Broker sends as `customer`, B succeeds or refuses by 400."""
    await register(client, 1)
    body = json.dumps(order(1))[:-1] + f', "customer": {customer}}}'
    response = await client.put(
        f"/orders/{UUIDS[0]}", data=body, headers={"Content-Type": "application/json"}
    )
    assert response.status in {201, 400}


@pytest.mark.parametrize("id_", ["a|b", "%00|*", "ключ 🎾", "{17}", "'\"\\", "x" * 2048])
async def test_odd_ids_are_only_ids(client: Client, id_: str) -> None:
    """What looks like a key, a pattern or markup is an id like any other."""
    seller = f"s{id_}"[:2048]
    entry = {"@type": "Slot", "@id": id_, "maximumUses": 1, "seller": seller}
    response = await client.put("/opportunities", json=[entry])
    done = await response.json(content_type=None)
    assert done["registered"] == 1, done
    response = await client.get("/opportunities", params={"seller": seller, "id": id_})
    assert [found["@id"] for found in await response.json(content_type=None)] == [id_]


async def test_withdrawn_opportunities_are_unknown(client: Client) -> None:
    """`DELETE /opportunities` answers 204, again 204, and the ledger no longer knows them."""
    await register(client, 2)
    query = {"seller": SELLER, "id": SESSION}
    for _ in range(2):
        assert (await client.delete("/opportunities", params=query)).status == 204
    response = await client.get("/opportunities", params=query)
    assert await response.json(content_type=None) == []
