"""Spans for OpenTelemetry: of each request, of each script in Redis, of each webhook.

This module is imported only where `LEASE_TRACING` is set, since the extra `tracing` need not be
installed. Where spans go, and how many, the standard's own variables say (`OTEL_…`).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import web
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from service import __version__
from service.http.context import Request
from service.http.routes import Handler

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

_FLUSH_SECONDS: Final = 2.0
_FAILED: Final = 500


def name_the_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add to a line of the log which trace and which span it belongs to, if any."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


class Tracing:
    """What makes the spans of one process."""

    def __init__(self, processor: SpanProcessor | None = None) -> None:
        """Begin; after the worker was forked, since spans are sent by a thread.

        Args:
            processor: What takes the spans; None: they are sent over OTLP.

        """
        ours = Resource({"service.name": "lease-service", "service.version": __version__})
        self._provider = TracerProvider(
            resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("service", __version__)

    async def around(self, request: Request, handler: Handler) -> web.StreamResponse:
        """Be in a span while a request is answered: a child of the caller's, if it has one."""
        route = request.route.path if request.route else ""
        with self._tracer.start_as_current_span(
            f"{request.method} {route}".rstrip(),
            context=propagate.extract(request.headers),
            kind=SpanKind.SERVER,
            # No ids: neither the path nor the query.
            attributes={"http.request.method": request.method, "http.route": route},
        ) as span:
            response = await handler(request)
            span.set_attribute("http.response.status_code", response.status)
            span.set_attribute("request.id", request.id)
            if response.status >= _FAILED:
                span.set_status(StatusCode.ERROR)
            return response

    def script(self, verb: str) -> AbstractContextManager[object]:
        """Return the span of a script that runs in Redis."""
        return self._tracer.start_as_current_span(
            f"script {verb}",
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": "redis", "db.stored_procedure.name": verb},
        )

    def of_client(self) -> aiohttp.TraceConfig:
        """Return what makes a span of each request of an aiohttp session, and passes it on."""
        config = aiohttp.TraceConfig()
        config.on_request_start.append(self._began)
        config.on_request_end.append(_answered)
        config.on_request_exception.append(_failed)
        return config

    async def _began(
        self,
        _session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestStartParams,
    ) -> None:
        # No address: it may hold a secret.
        context.span = self._tracer.start_span(
            "webhook",
            kind=SpanKind.CLIENT,
            attributes={"http.request.method": params.method},
        )
        propagate.inject(params.headers, trace.set_span_in_context(context.span))

    @contextlib.asynccontextmanager
    async def until_the_end(self) -> AsyncIterator[None]:
        """At the end send what has not been sent, for a moment: a collector may be away."""
        try:
            yield
        finally:
            # The process does not wait for this thread.
            closing = threading.Thread(target=self._provider.shutdown, daemon=True)
            closing.start()
            await asyncio.to_thread(closing.join, _FLUSH_SECONDS)


async def _answered(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    params: aiohttp.TraceRequestEndParams,
) -> None:
    context.span.set_attribute("http.response.status_code", params.response.status)
    if not params.response.ok:
        context.span.set_status(StatusCode.ERROR)
    context.span.end()


async def _failed(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    params: aiohttp.TraceRequestExceptionParams,
) -> None:
    context.span.set_status(StatusCode.ERROR, type(params.exception).__name__)
    context.span.end()
