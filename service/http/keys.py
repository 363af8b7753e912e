"""What the handlers share: one `web.AppKey` each, and what they note on a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from msgspec import Struct

from service.http.access import Grant, Tokens
from service.http.admission import InFlight, Tally
from service.http.broadcast import Broadcast
from service.http.observer import Observer
from service.ledger import Ledger
from service.ledger.feed import CapacityFeed
from service.ledger.overview import Dashboard
from service.model import OrderItem
from service.settings import Settings


class Readiness(Struct):
    """Whether this process wants traffic; the serving process says when it drains."""

    draining: bool = False


LEDGER: Final = web.AppKey("LEDGER", Ledger)
FEED: Final = web.AppKey("FEED", CapacityFeed)
BROADCAST: Final = web.AppKey("BROADCAST", Broadcast)
DASHBOARD: Final = web.AppKey("DASHBOARD", Dashboard)
SETTINGS: Final = web.AppKey("SETTINGS", Settings)
READINESS: Final = web.AppKey("READINESS", Readiness)
DOCUMENT: Final = web.AppKey("DOCUMENT", bytes)
TOKENS: Final = web.AppKey("TOKENS", Tokens)
IN_FLIGHT: Final = web.AppKey("IN_FLIGHT", InFlight)
SHED: Final = web.AppKey("SHED", Tally)

OBSERVER: Final = web.AppKey[Observer]("OBSERVER")

SPACES: Final = web.RequestKey("SPACES", int)
"""How many spaces or entries a call was about, for the log line."""

REQUEST_ID: Final = web.RequestKey("REQUEST_ID", str)
"""What its answer and its line in the log call a request."""

GRANT: Final = web.RequestKey("GRANT", Grant)
"""What the token of a call allows, where the operator handed out tokens."""

REFUSED: Final = web.RequestKey[Sequence[OrderItem]]("REFUSED")
"""The OrderItems of an answer in which at least one has an error, for those who count."""
