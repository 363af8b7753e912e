"""A request, with what is known of it on its way, and what its handler may use."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage
from msgspec import Struct

from service.errors import OpenBookingError
from service.http.access import Grant
from service.http.admission import InFlight
from service.http.broadcast import Broadcast
from service.http.connection import Connection
from service.http.host import is_local_host
from service.http.observer import Observer
from service.http.response import REQUEST_ID_HEADER
from service.ledger import Ledger
from service.ledger.dashboard import Dashboard
from service.ledger.feed import CapacityFeed
from service.model import OrderItem
from service.settings import Settings

if TYPE_CHECKING:
    from service.http.routes import Route

_SANE_ID: Final = re.compile(r"[!-~]{1,128}")


class Services(Struct):
    """What the handlers of a worker share.

    Attributes:
        document: The OpenAPI document.
        needs_token: Whether the API answers nobody without one.
        draining: Whether this process wants no more traffic.

    """

    ledger: Ledger
    settings: Settings
    feed: CapacityFeed
    broadcast: Broadcast
    dashboard: Dashboard
    observer: Observer
    in_flight: InFlight
    document: bytes
    needs_token: bool
    draining: bool = False


class Request(web.BaseRequest):
    """One request, and what its handler and those around it tell each other.

    Attributes:
        services: What its handler may use.
        connection: What it came over.
        absolute: What a request line names that is a whole URL; its host goes before `Host`.
        calls: What may be asked for at its path, by verb; none: there is nothing there.
        route: Which of these it is, if any.
        name: What its path has in the place of a route's `{name}`.
        id: What its answer and its line in the log call it.
        body: The bytes of a body that is read whole.
        grant: What its token allows, where the operator handed out tokens.
        spaces: How many spaces or entries it was about, for the log.
        error: Why it was refused altogether.
        is_shed: Whether that was because there were too many.
        is_cut_short: Whether the end of a body that is read as a stream never came.
        refused: The OrderItems of an answer of which at least one has an error.

    """

    body = b""
    grant: Grant | None = None
    spaces: int | None = None
    error: OpenBookingError | None = None
    is_shed = False
    is_cut_short = False
    refused: Sequence[OrderItem] = ()

    def __init__(
        self,
        services: Services,
        found: tuple[Mapping[str, Route], str],
        message: RawRequestMessage,
        payload: Any,  # noqa: ANN401 - these as aiohttp has them
        connection: Connection,
        *rest: Any,  # noqa: ANN401 - as `payload`
    ) -> None:
        """Put together what the parser made of it, and what is at its path."""
        limit = services.settings.body_limit
        super().__init__(message, payload, connection, *rest, client_max_size=limit)
        self.services = services
        self.absolute = message.url if message.url.absolute else None
        self.connection = connection
        self.calls, self.name = found
        self.route = self.calls.get(message.method)
        self.id = _request_id(message.headers.get(REQUEST_ID_HEADER))

    @property
    def wanted_scheme(self) -> str:
        """The scheme that the request line names, or else that of the connection."""
        return (self.absolute.scheme if self.absolute else "") or self.scheme

    @property
    def authority(self) -> str:
        """The host and port that the client called, or where it came in if it said nothing."""
        absolute = self.absolute
        named = absolute.raw_authority if absolute else self.headers.get(hdrs.HOST)
        where = self.connection.sockname
        if not isinstance(where, tuple):
            # Over a unix socket many a client names the socket's path.
            return named if named and is_local_host(named) is not None else "localhost"
        if named:
            return named
        host, port = where[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def is_from_a_unix_socket(self) -> bool:
        """Whether it came over a unix socket, where there is no host and no port."""
        return not isinstance(self.connection.sockname, tuple)


def _request_id(given: str | None) -> str:
    if given and _SANE_ID.fullmatch(given):
        return given
    # Unique is enough, and asks the kernel nothing.
    return f"{random.getrandbits(128):032x}"
