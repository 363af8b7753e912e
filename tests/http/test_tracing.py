"""Spans of requests, scripts and webhooks, by OpenTelemetry's own SDK."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id
from structlog.testing import capture_logs

from service.http import STEPS
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.settings import Settings
from service.telemetry import Metrics
from service.telemetry.tracing import Tracing, name_the_trace
from tests.http.application import api
from tests.http.served import Client, MakeClient
from tests.servers import RedisServer, free_port

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
ORDER = UUID(int=1)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Give what keeps the spans."""
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Tracing:
    """Give what makes them."""
    return Tracing(SimpleSpanProcessor(exporter))


@pytest.fixture
async def traced(
    aiohttp_client: MakeClient, valkey_server: RedisServer, settings: Settings, tracing: Tracing
) -> AsyncIterator[Client]:
    """Give a client of an API that is traced."""
    meter = Metrics(STEPS).of_worker(0, tracing.script)
    batcher = Batcher(connection_factory(valkey_server.url), on_exchange=meter.exchanged)
    app = api(batcher, settings, meter=meter, around=tracing.around)
    yield await aiohttp_client(app)
    await batcher.close()


def attributes(span: ReadableSpan) -> dict[str, object]:
    """Return what a span says."""
    return dict(span.attributes or {})


async def test_a_request_is_a_child_of_the_callers_span(
    traced: Client, exporter: InMemorySpanExporter
) -> None:
    """`traceparent` is continued: the request is in the caller's trace, its script below it."""
    item = {"orderedItem": "yoga", "acceptedOffer": "adult"}
    headers = {"traceparent": TRACEPARENT, "X-Request-Id": "r1"}
    path = f"/order-quotes/{ORDER}"
    assert (await traced.put(path, json={"orderedItem": [item]}, headers=headers)).status == 409
    script, request = exporter.get_finished_spans()
    assert (request.name, request.kind) == ("PUT /order-quotes/{uuid}", SpanKind.SERVER)
    assert format_trace_id(request.context.trace_id) == TRACE
    assert request.parent
    assert request.parent.span_id == int(PARENT, 16)
    assert attributes(request) == {
        "http.request.method": "PUT",
        "http.route": "/order-quotes/{uuid}",
        "http.response.status_code": 409,
        "request.id": "r1",
    }
    assert (script.name, script.kind) == ("script quote", SpanKind.CLIENT)
    assert script.parent == request.context
    assert str(ORDER) not in script.to_json() + request.to_json()


async def test_a_request_without_a_caller_begins_a_trace(
    traced: Client, exporter: InMemorySpanExporter
) -> None:
    """Without `traceparent` each request has a trace of its own, also where there is no route."""
    await traced.get("/nowhere")
    await traced.get("/livez")
    nowhere, livez = exporter.get_finished_spans()
    assert (nowhere.name, livez.name) == ("GET", "GET /livez")
    assert nowhere.context.trace_id != livez.context.trace_id
    assert nowhere.resource.attributes["service.name"] == "lease-service"


async def test_what_is_sent_carries_its_span(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    """A webhook has a span, and its receiver gets it as `traceparent`; a failure is an error."""
    received = []

    async def hook(request: web.Request) -> web.Response:
        received.append(request.headers["traceparent"])
        return web.Response(status=204 if len(received) == 1 else 500)

    app = web.Application()
    app.router.add_post("/hook", hook)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession(trace_configs=[tracing.of_client()]) as session,
    ):
        url = server.make_url("/hook")
        for target in (url, url, f"http://127.0.0.1:{free_port()}/hook"):
            try:
                await (await session.post(target)).read()
            except aiohttp.ClientConnectionError:
                continue
    spans = exporter.get_finished_spans()
    assert [header.split("-")[1] for header in received] == [
        format_trace_id(span.context.trace_id) for span in spans[:2]
    ]
    assert [span.status.status_code for span in spans] == [
        StatusCode.UNSET,
        StatusCode.ERROR,
        StatusCode.ERROR,
    ]
    assert all("127.0.0.1" not in span.to_json() for span in spans[:2])


async def test_the_log_names_the_trace(traced: Client) -> None:
    """A line in the log has the caller's trace id."""
    with capture_logs() as lines:
        await traced.put(
            f"/orders/{ORDER}", json={"orderedItem": []}, headers={"traceparent": TRACEPARENT}
        )
    assert [line["trace_id"] for line in lines] == [TRACE]


def test_a_line_within_a_span_names_it(tracing: Tracing) -> None:
    """Where spans are made, whatever is logged within one names it; outside of any, none."""
    assert name_the_trace(None, "info", {}) == {}
    with tracing.script("quote"):
        assert name_the_trace(None, "info", {}).keys() == {"trace_id", "span_id"}


@pytest.mark.parametrize(
    "missing", ["opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter"]
)
def test_tracing_that_is_not_installed_is_refused(missing: str) -> None:
    """LEASE_TRACING without the extra, or a part of it, says in one line what to install."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None;"
        "from service.__main__ import main; sys.exit(main([]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"LEASE_TRACING": "true"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"lease-service: LEASE_TRACING=true needs {missing}")
    assert done.stderr.endswith(": pip install 'lease-service[tracing]'\n")


def test_nothing_of_it_is_imported_unless_it_is_wanted() -> None:
    """Without the extra the whole program is there, and it does not ask for spans by itself."""
    program = (
        "import sys; sys.modules['opentelemetry'] = None;"  # makes every import of it fail
        "import service.__main__ as program; from service.telemetry import tracing_of;"
        "assert tracing_of(program.Settings()) is None;"
        "sys.exit('service.telemetry.tracing' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
