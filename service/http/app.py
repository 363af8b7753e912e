"""The applications: the API, and the probes alone for a second address."""

from __future__ import annotations

from service.http.access import Tokens
from service.http.admission import InFlight
from service.http.broadcast import Broadcast
from service.http.context import Services
from service.http.document import document
from service.http.middleware import App, Around
from service.http.observer import UNOBSERVED, Observer
from service.http.routes import OPERATIONS, ROUTES
from service.ledger import Ledger
from service.ledger.dashboard import Dashboard
from service.ledger.feed import CapacityFeed
from service.settings import Settings


def create_app(
    ledger: Ledger,
    settings: Settings,
    tokens: Tokens | None,
    feed: CapacityFeed,
    dashboard: Dashboard,
    *,
    observer: Observer = UNOBSERVED,
    around: Around | None = None,
) -> App:
    """Return the API.

    Args:
        ledger: What answers.
        settings: Of which the limits and `ready_needs_redis` are used.
        tokens: Who may call it; None: everyone (rule 26).
        feed: What is free, for those who follow it.
        dashboard: What people see, and what counts conflicts for them.
        observer: Is told what is answered, and knows what `/metrics` says.
        around: What every request is answered in, such as a span of a trace.

    """
    services = Services(
        ledger=ledger,
        settings=settings,
        feed=feed,
        broadcast=Broadcast(feed, settings.maximum_listeners, observer),
        dashboard=dashboard,
        observer=observer,
        in_flight=InFlight(settings.maximum_in_flight, observer),
        document=document(),
        needs_token=tokens is not None,
    )
    return App(ROUTES, services, tokens, around)


def create_admin_app(services: Services) -> App:
    """Return the probes and the metrics alone, for `LEASE_ADMIN_LISTEN`; they need no token."""
    return App(OPERATIONS, services)
