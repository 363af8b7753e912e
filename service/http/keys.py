"""What the handlers share: one `web.AppKey` each, and what they note on a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from msgspec import Struct

from service.errors import OpenBookingError
from service.http.access import Grant, Tokens
from service.http.admission import InFlight
from service.http.broadcast import Broadcast
from service.ledger import Ledger
from service.ledger.dashboard import Dashboard
from service.ledger.feed import CapacityFeed
from service.model import OrderItem
from service.observer import Observer
from service.settings import Settings


class Readiness(Struct):
    """Whether this process wants traffic; the serving process says when it drains."""

    draining: bool = False


class Note(Struct):
    """What the handler of a call and those around it tell each other."""

    request_id: str
    """What its answer and its line in the log call the request."""
    grant: Grant | None = None
    """What its token allows, where the operator handed out tokens."""
    spaces: int | None = None
    """How many spaces or entries it was about, for the log line."""
    error: OpenBookingError | None = None
    """Why it was refused altogether."""
    refused: Sequence[OrderItem] = ()
    """The OrderItems of an answer in which at least one has an error, for those who count."""


LEDGER: Final = web.AppKey("LEDGER", Ledger)
FEED: Final = web.AppKey("FEED", CapacityFeed)
BROADCAST: Final = web.AppKey("BROADCAST", Broadcast)
DASHBOARD: Final = web.AppKey("DASHBOARD", Dashboard)
SETTINGS: Final = web.AppKey("SETTINGS", Settings)
READINESS: Final = web.AppKey("READINESS", Readiness)
DOCUMENT: Final = web.AppKey("DOCUMENT", bytes)
TOKENS: Final = web.AppKey("TOKENS", Tokens)
IN_FLIGHT: Final = web.AppKey("IN_FLIGHT", InFlight)

OBSERVER: Final = web.AppKey("OBSERVER", Observer)

NOTE: Final = web.RequestKey("NOTE", Note)
"""What is known of every call of the API, before its handler is asked."""
