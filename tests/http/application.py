"""The API put together for a test."""

from __future__ import annotations

from typing import cast

from redis.asyncio.connection import AbstractConnection

from service.http import Tokens, create_app
from service.http import observer as http_observer
from service.http.middleware import App, Around
from service.ledger import Ledger
from service.ledger import observer as store_observer
from service.ledger.conflicts import Conflicts
from service.ledger.dashboard import Dashboard
from service.ledger.dashboard_reads import Overview
from service.ledger.feed import CapacityFeed
from service.ledger.feed_reads import Feed
from service.ledger.store import Store
from service.redis.batcher import Batcher
from service.settings import Settings
from service.telemetry import Meter
from tests.http.recording import RecordingLedger


def api(
    batcher: Batcher,
    settings: Settings,
    tokens: Tokens | None = None,
    *,
    ledger: Ledger | None = None,
    feed: CapacityFeed | None = None,
    meter: Meter | None = None,
    around: Around | None = None,
) -> App:
    """Return the API over a Redis; another ledger or feed than that one's are the test's own."""
    store = Store(
        batcher,
        key_prefix=settings.key_prefix,
        partitions=settings.partitions,
        observer=meter or store_observer.UNOBSERVED,
    )
    own = Feed(batcher, key_prefix=settings.key_prefix, partitions=settings.partitions)
    overview = Overview(batcher, key_prefix=settings.key_prefix, partitions=settings.partitions)
    conflicts = Conflicts(batcher, key_prefix=settings.key_prefix)
    return create_app(
        ledger or Ledger(store, settings),
        settings,
        tokens,
        feed or CapacityFeed(own),
        Dashboard(overview, conflicts),
        observer=meter or http_observer.UNOBSERVED,
        around=around,
    )


def recorded(
    recording: RecordingLedger | Ledger,
    settings: Settings,
    tokens: Tokens | None = None,
    meter: Meter | None = None,
) -> App:
    """Return the API over a ledger that remembers what it was asked, and without a Redis."""
    return api(
        Batcher(_no_connection), settings, tokens, ledger=cast("Ledger", recording), meter=meter
    )


def fed(feed: CapacityFeed, listeners: int = 2000) -> App:
    """Return the API over a feed of the test's own for so many listeners, and without a Redis."""
    return api(Batcher(_no_connection), Settings(maximum_listeners=listeners), feed=feed)


def _no_connection() -> AbstractConnection:
    raise ConnectionError("This test has no Redis.")
