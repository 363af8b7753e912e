"""The applications: the API, and the probes alone for a second address."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import hdrs, web

from service.http.access import Tokens
from service.http.admission import InFlight
from service.http.broadcast import Broadcast
from service.http.document import document
from service.http.keys import (
    BROADCAST,
    DASHBOARD,
    DOCUMENT,
    FEED,
    IN_FLIGHT,
    LEDGER,
    OBSERVER,
    READINESS,
    SETTINGS,
    TOKENS,
    Readiness,
)
from service.http.middleware import Edge
from service.http.routes import OPERATIONS, ROUTES, Route
from service.ledger import Ledger
from service.observer import UNOBSERVED, Observer
from service.settings import Settings


def create_app(
    ledger: Ledger,
    settings: Settings,
    tokens: Tokens | None,
    *,
    observer: Observer = UNOBSERVED,
) -> web.Application:
    """Return the API.

    Args:
        ledger: What answers.
        settings: Of which `body_limit` (bytes) and `ready_needs_redis` are used.
        tokens: Who may call it; None: everyone (contract, rule 26).
        observer: Is told what is answered, and knows what `/metrics` says.

    """
    app = _application(ROUTES, ledger, settings, observer)
    app[DOCUMENT] = document()
    app[FEED] = ledger.feed
    app[BROADCAST] = Broadcast(ledger.feed, observer)
    app.on_shutdown.append(_end_streams)
    app[DASHBOARD] = ledger.dashboard
    if tokens is not None:
        app[TOKENS] = tokens
    app.middlewares.append(Edge(app).middleware)
    return app


def create_admin_app(
    ledger: Ledger, settings: Settings, observer: Observer = UNOBSERVED
) -> web.Application:
    """Return the probes and the metrics alone, for `LEASE_ADMIN_LISTEN`; they need no token.

    Args:
        ledger: Whose Redis `/readyz` asks after.
        settings: Of which `ready_needs_redis` is used.
        observer: As for `create_app`.

    """
    app = _application(OPERATIONS, ledger, settings, observer)
    app.middlewares.append(Edge(app).middleware)
    return app


async def _end_streams(app: web.Application) -> None:
    app[BROADCAST].close()


async def _expected(request: web.Request) -> None:
    """Let the body come that waits for it, and ignore any other expectation (RFC 9110, 10.1.1)."""
    if request.headers[hdrs.EXPECT].lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The answer itself has not begun.
        request.writer.output_size = 0


def _application(
    routes: Iterable[Route], ledger: Ledger, settings: Settings, observer: Observer
) -> web.Application:
    app = web.Application(client_max_size=settings.body_limit)
    app[LEDGER] = ledger
    app[SETTINGS] = settings
    app[OBSERVER] = observer
    app[READINESS] = Readiness()
    app[IN_FLIGHT] = InFlight(settings.maximum_in_flight, observer)
    app.add_routes(
        [
            web.route(route.method, route.path, route.handler, expect_handler=_expected)
            for route in routes
        ]
    )
    return app
