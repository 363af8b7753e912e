"""The program sends its spans to a collector when it is told to."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.hook import SECRET
from tests.process.program import ITEMS, OPPORTUNITY, Program, eventually
from tests.servers import free_port


@contextmanager
def collector() -> Iterator[tuple[str, list[Span], list[str]]]:
    """Give the address of a receiver of OTLP and webhooks, the spans and `traceparent` it got."""
    spans: list[Span] = []
    parents: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                self.take(body)
            else:
                parents.append(self.headers["traceparent"])
            self.send_response(200)
            self.end_headers()

        def take(self, body: bytes) -> None:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", spans, parents
        finally:
            server.shutdown()
            thread.join()


def test_a_collector_gets_the_spans(short_folder: Path) -> None:
    """Requests, scripts and webhooks arrive, the last ones at the end, and the log names them."""
    opportunity = {"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 3}
    with collector() as (url, spans, parents):
        settings = {
            "LEASE_LOG_LEVEL": "debug",
            "LEASE_TRACING": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "LEASE_WEBHOOK_URL": f"{url}/hook",
            "LEASE_WEBHOOK_SECRET": SECRET,
        }
        with Program(short_folder, **settings) as program:
            program.call("PUT", "/opportunities", [opportunity])
            program.call("PUT", f"/order-quotes/{uuid.uuid4()}", ITEMS)
            eventually(lambda: bool(parents))
            assert program.stop() == 0
        by_name = {span.name: span for span in spans}
        request = by_name["PUT /order-quotes/{uuid}"]
        assert by_name["script quote"].parent_span_id == request.span_id
        sent = by_name["webhook"]
        assert any(sent.trace_id.hex() in parent for parent in parents)
        [granted] = program.events("lease.granted")
        assert granted["trace_id"] == request.trace_id.hex()
        assert granted["span_id"] == request.span_id.hex()
        assert granted["request_id"] in request.SerializeToString().decode(errors="ignore")


def test_a_collector_that_is_away_holds_nothing_up(short_folder: Path) -> None:
    """Without its collector the service answers, and ends."""
    endpoint = f"http://127.0.0.1:{free_port()}"
    settings = {"LEASE_TRACING": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    with Program(short_folder, **settings) as program:
        eventually(lambda: program.answers("/livez", 200))
        assert program.stop() == 0
