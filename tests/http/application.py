"""The API put together for a test."""

from __future__ import annotations

from typing import cast

from aiohttp import web
from redis.asyncio.connection import AbstractConnection

from service.http import Tokens, create_app
from service.ledger import Ledger
from service.ledger.feed import CapacityFeed
from service.observer import UNOBSERVED
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
) -> web.Application:
    """Return the API over a Redis; another ledger or feed than that one's are the test's own."""
    observer = meter or UNOBSERVED
    own = Ledger(batcher, settings, observer)
    if ledger is not None:
        own.orders, own.catalogue, own.is_ready = ledger.orders, ledger.catalogue, ledger.is_ready  # type: ignore[method-assign] # the test's own
    if feed is not None:
        own.feed = feed
    return create_app(own, settings, tokens, observer=observer)


def recorded(
    recording: RecordingLedger | Ledger,
    settings: Settings,
    tokens: Tokens | None = None,
    meter: Meter | None = None,
) -> web.Application:
    """Return the API over a ledger that remembers what it was asked, and without a Redis."""
    return api(
        Batcher(_no_connection), settings, tokens, ledger=cast("Ledger", recording), meter=meter
    )


def fed(feed: CapacityFeed) -> web.Application:
    """Return the API over a feed of the test's own, and without a Redis."""
    return api(Batcher(_no_connection), Settings(), feed=feed)


def _no_connection() -> AbstractConnection:
    raise ConnectionError("This test has no Redis.")
