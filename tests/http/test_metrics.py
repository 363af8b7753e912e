"""`/metrics`, and what the edge tells of each answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.errors import TemporarilyUnableToCreateOrderError
from service.http import STEPS, create_admin_app
from service.http.routes import ROUTES
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.settings import Settings
from service.telemetry import Metrics
from tests.http.application import api, recorded
from tests.http.recording import RecordingLedger
from tests.http.served import Client, MakeClient
from tests.http.test_events import listening
from tests.polling import eventually
from tests.servers import RedisServer

SESSION = {"@type": "ScheduledSession", "@id": "yoga", "maximumAttendeeCapacity": 2}


def items(count: int) -> dict[str, Any]:
    """Return a body with so many OrderItems of the session."""
    return {"orderedItem": [{"orderedItem": "yoga", "acceptedOffer": "adult"}] * count}


async def scraped(client: Client) -> dict[tuple[str, ...], float]:
    """Return the time series that are not 0, by name and label values."""
    response = await client.get("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(await response.text())
        for sample in family.samples
        if sample.value
    }


@pytest.fixture
async def client(
    aiohttp_client: MakeClient, valkey_server: RedisServer, settings: Settings
) -> AsyncIterator[Client]:
    """Give a client of an API that is observed."""
    meter = Metrics(STEPS).of_worker(0)
    batcher = Batcher(connection_factory(valkey_server.url), on_exchange=meter.exchanged)
    yield await aiohttp_client(api(batcher, settings, meter=meter))
    await batcher.close()


async def test_what_is_answered_is_counted(client: Client) -> None:
    """Each call counts once by its step and outcome, and by each error that it had."""
    await client.put("/opportunities", json=[SESSION])
    await client.put(f"/order-quote-templates/{UUID(int=1)}", json=items(1))
    await client.put(f"/order-quotes/{UUID(int=2)}", json=items(3))
    await client.put(f"/orders/{UUID(int=3)}", json=items(3))
    await client.put(f"/orders/{UUID(int=4)}", data=b"{")
    await client.get("/nowhere")
    seen = await scraped(client)
    requests = {
        labels: count for labels, count in seen.items() if labels[0] == "lease_requests_total"
    }
    assert requests == {
        ("lease_requests_total", "done", "register"): 1,
        ("lease_requests_total", "c1", "done"): 1,
        ("lease_requests_total", "c2", "refused"): 1,
        ("lease_requests_total", "b", "refused"): 2,
        ("lease_requests_total", "refused", "unknown"): 1,
    }
    assert {labels[1]: count for labels, count in seen.items() if "refusals" in labels[0]} == {
        "OpportunityCapacityIsReservedByLeaseError": 2,
        "OpportunityHasInsufficientCapacityError": 2,
        "OpenBookingError": 1,
        "UnknownOrIncorrectEndpointError": 1,
    }
    assert seen["lease_leases_total", "granted"] == 1
    assert seen["lease_request_seconds_count", "c1", "done"] == 1


async def test_redis_away_is_another_outcome(
    aiohttp_client: MakeClient, recording: RecordingLedger
) -> None:
    """Rule 25: a 503 is no refusal, and what nobody foresaw is a failure."""
    meter = Metrics(STEPS).of_worker(0)
    client = await aiohttp_client(recorded(recording, Settings(), meter=meter))
    for raised in (TemporarilyUnableToCreateOrderError("Redis is away."), RuntimeError("odd")):
        recording.raises = raised
        await client.put(f"/orders/{UUID(int=1)}", json=items(1))
    seen = await scraped(client)
    assert seen["lease_requests_total", "b", "unavailable"] == 1
    assert seen["lease_requests_total", "b", "failed"] == 1


async def test_listeners_are_counted(client: Client) -> None:
    """Who follows the events is counted while they do."""
    async with listening(client), listening(client):
        assert (await scraped(client))["lease_event_listeners",] == 2

        async def has_read() -> bool:
            return ("lease_feed_lag_seconds",) in await scraped(client)

        await eventually(has_read)

    async def nobody_listens() -> bool:
        return ("lease_event_listeners",) not in await scraped(client)

    await eventually(nobody_listens)


async def test_the_admin_address_has_the_metrics(
    aiohttp_client: MakeClient, recording: RecordingLedger
) -> None:
    """`/metrics` on `LEASE_ADMIN_LISTEN` needs no token and tells the same."""
    meter = Metrics(STEPS).of_worker(0)
    meter.happened("granted", 7)
    app = create_admin_app(recorded(recording, Settings(), meter=meter).services)
    assert (await scraped(await aiohttp_client(app)))["lease_leases_total", "granted"] == 7


def test_every_call_of_the_api_has_a_step() -> None:
    """A call that needs a token is counted as a step of its own, not as an operation."""
    for route in ROUTES:
        assert route.step in STEPS
        is_for_operators = route.scope is None or route.path == "/metrics"
        is_for_people = route.path.startswith("/dashboard")
        assert (route.step == "operation") == (is_for_operators and not is_for_people)
