from __future__ import annotations

import re

import pytest
from structlog.testing import capture_logs

from service.errors import TemporarilyUnableToCreateOrderError
from service.http import create_admin_app
from service.settings import Settings
from tests.http.application import recorded
from tests.http.recording import RecordingLedger
from tests.http.served import Client, MakeClient
from tests.http.test_requests import C2, EMPTY, B, refusal


async def test_it_lives_whatever_redis_does(edge: Client, recording: RecordingLedger) -> None:
    """`/livez` answers 200 also while Redis is away."""
    recording.is_ready = False
    response = await edge.get("/livez")
    assert (response.status, await response.json(content_type=None)) == (200, {"status": "up"})


@pytest.mark.parametrize(
    ("redis", "needed", "draining", "status", "state"),
    [
        ("up", False, False, 200, "ready"),
        ("away", False, False, 200, "ready"),
        ("away", True, False, 503, "away"),
        ("up", True, False, 200, "ready"),
        ("up", False, True, 503, "draining"),
    ],
)
async def test_readiness_says_why(
    aiohttp_client: MakeClient,
    recording: RecordingLedger,
    redis: str,
    status: int,
    state: str,
    *,
    needed: bool,
    draining: bool,
) -> None:
    """`/readyz` fails while it drains, and without Redis only where the settings say so."""
    recording.is_ready = redis == "up"
    api = recorded(recording, Settings(ready_needs_redis=needed))
    api.services.draining = draining
    for app in (api, create_admin_app(api.services)):
        response = await (await aiohttp_client(app)).get("/readyz")
        assert response.status == status
        body = await response.json(content_type=None)
        assert body == {"status": state, "components": {"redis": redis}}


async def test_the_second_address_has_the_probes_alone(
    aiohttp_client: MakeClient, recording: RecordingLedger
) -> None:
    """On `LEASE_ADMIN_LISTEN` nobody can lease."""
    app = create_admin_app(recorded(recording, Settings()).services)
    client = await aiohttp_client(app)
    assert (await client.head("/livez")).status == 200
    await refusal(await client.put(B, json=EMPTY), 404, "UnknownOrIncorrectEndpointError")


async def test_the_docs_need_nothing_from_elsewhere(edge: Client) -> None:
    """`/docs` and all that it loads come from the service, and its policy allows no more."""
    response = await edge.get("/docs")
    page = await response.text()
    assert response.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'; script-src 'self';" in response.headers["Content-Security-Policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) >= 4
    for path in loaded:
        assert (await edge.get(f"/{path}")).status == 200, path
    assert "openapi.json" in await (await edge.get("/docs/start.js")).text()


async def test_one_line_in_the_log_for_what_changed_something(
    edge: Client, recording: RecordingLedger
) -> None:
    """A call that changes something is one event without a person, C1 and C2 at debug level."""
    body = EMPTY | {"customer": {"email": "geoffcapes@example.com"}, "seller": "https://s.example"}
    with capture_logs() as lines:
        await edge.put(C2, json=body, headers={"X-Request-Id": "r1"})
        await edge.delete(C2)
        await edge.put(B, json=body)
        recording.raises = TemporarilyUnableToCreateOrderError("Redis is away.")
        await edge.put(B, json=body)
        recording.raises = None
        await edge.put("/opportunities", json=[])
        await edge.get("/opportunities?id=a")
        await edge.get("/livez")
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("lease.granted", "debug"),
        ("lease.released", "info"),
        ("order.booked", "info"),
        ("order.refused", "error"),
        ("opportunities.registered", "info"),
    ]
    assert lines[0].keys() == {
        "event",
        "log_level",
        "request_id",
        "status",
        "duration_ms",
        "spaces",
    }
    assert lines[0]["request_id"] == "r1"
    assert lines[3]["error"] == "TemporarilyUnableToCreateOrderError"
    assert "geoffcapes" not in str(lines)
    assert "s.example" not in str(lines)


async def test_an_unforeseen_failure_is_in_the_log(
    edge: Client, recording: RecordingLedger
) -> None:
    """What nobody foresaw is logged with its traceback and the request's id."""
    recording.raises = RuntimeError("odd")
    with capture_logs() as lines:
        await edge.put(B, json=EMPTY, headers={"X-Request-Id": "r2"})
    assert lines[0]["event"] == "request.failed"
    assert lines[0]["exc_info"] is recording.raises
    assert lines[0]["request_id"] == "r2"
