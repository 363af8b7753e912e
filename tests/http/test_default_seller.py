"""Calls that name no Seller mean `default`, unless that could only be a mistake («Calls»)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.http.routes import ROUTES, Route
from service.ledger.calls import Calls
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.settings import Settings
from tests.http.application import api
from tests.http.front_end import ITEM, SESSION, UUIDS
from tests.http.served import Client, MakeClient
from tests.http.test_bounds import body_of
from tests.http.test_requests import refusal
from tests.servers import RedisServer

ORDER = UUIDS[0]
OTHERS = ("https://example.com/sellers/1", "https://example.com/sellers/2")
OF_A_SELLER = [route for route in ROUTES if "seller" in route.parameters]
BOOKABLE = {"@type": "ScheduledSession", "@id": SESSION, "maximumAttendeeCapacity": 3}


@pytest.fixture
async def replicas(
    aiohttp_client: MakeClient, valkey_server: RedisServer, settings: Settings
) -> AsyncIterator[tuple[Client, Client]]:
    """Give clients of two replicas over one Redis."""
    batchers = [Batcher(connection_factory(valkey_server.url)) for _ in range(2)]
    first, second = [await aiohttp_client(api(batcher, settings)) for batcher in batchers]
    yield first, second
    for batcher in batchers:
        await batcher.close()


async def register(client: Client, *sellers: str | None) -> list[str]:
    """Register a session for each Seller; return what is wrong with any."""
    entries = [BOOKABLE | ({"seller": seller} if seller else {}) for seller in sellers]
    done = await (await client.put("/opportunities", json=entries)).json(content_type=None)
    return [failed["error"]["description"] for failed in done["errors"]]


async def send(client: Client, route: Route, **query: str) -> Any:
    """Make a call that names no Seller in its body."""
    path = route.path.replace("{uuid}", ORDER)
    return await client.request(
        route.method, path, params={"id": SESSION, **query}, json=body_of(route)
    )


async def release(client: Client, **query: str) -> int:
    """Release, and return the status."""
    return (await client.delete(f"/order-quotes/{ORDER}", params=query)).status


@pytest.mark.parametrize("route", OF_A_SELLER, ids=lambda route: f"{route.method} {route.path}")
async def test_where_others_are_registered_a_seller_has_to_be_named(
    client: Client, route: Route
) -> None:
    """«Calls»: a call that names none is a 400 that says so, and nothing was done."""
    await register(client, *OTHERS)
    if route.path == "/opportunities" and route.method == "PUT":
        [problem] = await register(client, None)
    else:
        problem = await refusal(await send(client, route), 400)
    assert "seller" in problem
    assert "default" in problem
    named = await client.get("/opportunities", params={"seller": "default", "id": SESSION})
    assert json.loads(await named.text()) == []
    for query in ({"seller": OTHERS[0]}, {"seller": "default"}):
        if route.path != "/capacity-events":
            response = await send(client, route, **query)
            assert response.status != 400 or "not `default`" not in await response.text()


async def test_one_other_seller_is_enough(client: Client) -> None:
    """«Calls»: what is left out is `default`, and never the only Seller that there is."""
    assert await release(client) == 204
    await register(client, OTHERS[0])
    assert await release(client) == 400
    assert await release(client, seller=OTHERS[0]) == 204


async def test_a_deployment_with_one_seller_may_leave_it_out(client: Client) -> None:
    """«Calls»: where nobody is registered, or `default` is, it may be left out everywhere."""
    assert await release(client) == 204
    assert await register(client, None) == []
    assert await register(client, *OTHERS, None) == []
    for path in (f"/order-quote-templates/{ORDER}", f"/orders/{ORDER}"):
        response = await client.put(path, json={"orderedItem": [ITEM]})
        assert response.status in {200, 201}
        assert json.loads(await response.text())["seller"] == "default"
    named = await client.get(f"/orders/{ORDER}", params={"seller": "default"})
    assert named.status == 200


async def test_what_is_registered_first_decides(client: Client) -> None:
    """«Calls»: in one body too, an entry without a Seller is refused once others are there."""
    [problem] = await register(client, OTHERS[0], None)
    assert "seller" in problem


async def test_every_replica_knows_who_is_registered(replicas: tuple[Client, Client]) -> None:
    """«Calls»: what one replica has registered counts at the next call at every other."""
    one, other = replicas
    assert [await release(client) for client in replicas] == [204, 204]
    await register(one, *OTHERS)
    assert [await release(client) for client in replicas] == [400, 400]
    policy = await other.put("/sellers", params={"seller": "default"}, json={"leasing": {}})
    assert policy.status == 200
    assert [await release(client) for client in replicas] == [204, 204]


async def test_a_call_that_names_its_seller_asks_nothing_more(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """«Calls»: Redis is asked who is registered only where a call names no Seller."""
    asked = []

    async def default_seller(_: Calls) -> str:
        asked.append(1)
        return "default"

    monkeypatch.setattr(Calls, "default_seller", default_seller)
    await register(client, *OTHERS)
    await client.put(
        f"/order-quotes/{ORDER}", json={"orderedItem": [ITEM], "seller": {"@id": OTHERS[0]}}
    )
    assert await release(client, seller=OTHERS[0]) == 204
    assert not asked
    assert await release(client) == 204
    assert asked


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("PUT", "/order-quotes/", "TemporarilyUnableToProduceOrderQuoteError"),
        ("PUT", "/orders/", "TemporarilyUnableToCreateOrderError"),
        ("DELETE", "/orders/", "TemporarilyUnableToDeleteOrderError"),
        ("GET", "/orders/", "TemporarilyUnableToProduceOrderQuoteError"),
    ],
)
async def test_nobody_knows_while_redis_is_away(
    aiohttp_client: MakeClient, settings: Settings, method: str, path: str, kind: str
) -> None:
    """Rule 25: without a Seller too, it is the 503 of the call."""

    def nowhere() -> Any:
        raise ConnectionError("This test has no Redis.")

    batcher = Batcher(nowhere)
    client = await aiohttp_client(api(batcher, settings))
    response = await client.request(method, path + ORDER, json={"orderedItem": [ITEM]})
    await refusal(response, 503, kind)
    await batcher.close()
