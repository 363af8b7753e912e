"""Rule 25: with Redis out of reach each call has the error that the standard has for it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from service.ledger import Ledger
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.settings import Settings
from tests.http.application import api
from tests.http.conftest import MakeClient

UUID = "e11429ea-467f-4270-ab62-e47368996fe8"
OPPORTUNITIES = "/opportunities?id=class"
ORDER = {"orderedItem": [{"orderedItem": "class", "acceptedOffer": "adult"}], "seller": "s"}
DECISION = {"orderProposalStatus": "https://openactive.io/CustomerRejected", "seller": "s"}
CANCELLED = {"position": 0, "orderItemStatus": "https://openactive.io/CustomerCancelled"}

CALLS: dict[str, tuple[str, str, str, Any]] = {
    "C1": ("ProduceOrderQuote", "PUT", f"/order-quote-templates/{UUID}", ORDER),
    "C2": ("ProduceOrderQuote", "PUT", f"/order-quotes/{UUID}", ORDER),
    "P": ("CreateOrder", "PUT", f"/order-proposals/{UUID}", ORDER),
    "B": ("CreateOrder", "PUT", f"/orders/{UUID}", ORDER),
    "decide": ("UpdateOrder", "PATCH", f"/order-proposals/{UUID}", DECISION),
    "cancel": ("UpdateOrder", "PATCH", f"/orders/{UUID}", {"orderedItem": [CANCELLED]}),
    "payment window": (
        "UpdateOrder",
        "PUT",
        f"/order-quotes/{UUID}/payment-window",
        {"duration": "PT2M"},
    ),
    "delete": ("DeleteOrder", "DELETE", f"/orders/{UUID}?seller=s", None),
    "release": ("DeleteOrder", "DELETE", f"/order-quotes/{UUID}?seller=s", None),
    "look": ("ProduceOrderQuote", "GET", f"/orders/{UUID}?seller=s", None),
    "inspect": ("", "GET", OPPORTUNITIES, None),
    "withdraw": ("", "DELETE", OPPORTUNITIES, None),
    "register": (
        "",
        "PUT",
        "/opportunities",
        [{"@type": "Event", "@id": "class", "maximumAttendeeCapacity": 1}],
    ),
    "policy": ("", "PUT", "/sellers", {}),
    "feed": ("", "GET", "/capacity-feed", None),
    "events": ("", "GET", "/capacity-events", None),
    "dashboard": ("", "GET", "/dashboard/data/sellers", None),
}


@pytest.fixture
async def batcher(short_folder: Path) -> AsyncIterator[Batcher]:
    """Give the way to a Redis that is not there."""
    batcher = Batcher(connection_factory(f"unix://{short_folder}/none"), deadline_seconds=0.05)
    yield batcher
    await batcher.close()


@pytest.fixture
async def client(
    aiohttp_client: MakeClient, batcher: Batcher
) -> TestClient[web.Request, web.Application]:
    """Give a client of the API without a Redis."""
    return await aiohttp_client(api(batcher, Settings()))


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_without_redis_is_refused_in_the_standards_words(
    client: TestClient[web.Request, web.Application], name: str
) -> None:
    """Rule 25: a 503 of the call's own type that says when to repeat it, and shows no address."""
    kind, method, path, body = CALLS[name]
    response = await client.request(method, path, json=body)
    answered = await response.json(content_type=None)
    expected = f"TemporarilyUnableTo{kind}Error" if kind else "OpenBookingError"
    assert (response.status, answered["@type"]) == (503, expected)
    assert response.headers["Retry-After"] == "1"
    assert "none" not in answered["description"]


async def test_the_service_says_that_it_is_not_ready(batcher: Batcher) -> None:
    """Rule 25: readiness follows Redis, and is no error."""
    assert await Ledger(batcher, Settings()).is_ready() is False
