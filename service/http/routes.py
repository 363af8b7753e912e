"""Every call of the API in one table: the router, the tokens, the log and OpenAPI read it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from aiohttp import hdrs, web

from service.errors import (
    GoneError,
    OpenBookingError,
    OpportunityHasInsufficientCapacityError,
    OrderAlreadyExistsError,
    OrderCreationFailedError,
    OrderItemNotWithinOrderError,
    PatchNotAllowedOnPropertyError,
    TemporarilyUnableToCreateOrderError,
    TemporarilyUnableToDeleteOrderError,
    TemporarilyUnableToProduceOrderQuoteError,
    TemporarilyUnableToUpdateOrderError,
    TooManyRequestsError,
    TotalPaymentDueMismatchError,
    UnableToProcessOrderItemError,
    UnexpectedOrderTypeError,
    UnknownOrderError,
)
from service.http import (
    dashboard,
    events,
    feed,
    operations,
    opportunities,
    orders,
    proposals,
    quotes,
    sellers,
)
from service.http.access import Scope
from service.http.context import Request
from service.ledger.feed import CapacityPage, Change
from service.model import (
    Lease,
    Opportunity,
    OpportunityRegistration,
    Order,
    OrderPatch,
    OrderProposal,
    OrderQuote,
    OrderRequest,
    PaymentWindowRequest,
    ProposalPatch,
    QuoteRequest,
    Registration,
    SellerPolicy,
    SellerPolicyRequest,
)

Handler = Callable[[Request], Awaitable[web.StreamResponse]]
_NOTHING: Final[Mapping[int, object]] = MappingProxyType({})

OPERATION: Final = "operation"
UNKNOWN: Final = "unknown"
"""What a request without a route is counted as."""


class Events(NamedTuple):
    """What the log calls a call that did what it was for, and one that did not."""

    done: str
    refused: str
    level: int = logging.INFO
    """C1 and C2 are most of all calls, so that their lines are for those who look for a fault."""


class Route(NamedTuple):
    """One call.

    Attributes:
        method: The HTTP verb.
        path: The path, with `{names}`.
        handler: What answers it; its docstring is the call's documentation.
        scope: What a token must allow; None: no token is needed.
        parameters: Names of its headers and query parameters, beside those in the path.
        takes: The type of its body; None: it has none.
        gives: The type of the body of each status that is no OpenBookingError; None: no body.
        refuses: The errors that are its own, beside those that every call can have.
        events: Its events in the log; None: it changes nothing.
        step: What it is counted as in the metrics.
        streams: Whether its body may be of any length: its handler reads it.
        lasts: Whether its answer ends when its client likes: it is never in flight.

    """

    method: str
    path: str
    handler: Handler
    scope: Scope | None = None
    parameters: tuple[str, ...] = ()
    takes: object = None
    gives: Mapping[int, object] = _NOTHING
    refuses: tuple[type[OpenBookingError], ...] = ()
    events: Events | None = None
    step: str = OPERATION
    streams: bool = False
    lasts: bool = False


_OF_AN_ORDER: Final = ("seller", "Booking-Partner")
_OF_OPPORTUNITIES: Final = ("seller", "id")
_OF_THE_FEED: Final = ("afterTimestamp", "afterId")
_LEASE: Final = Events("lease.granted", "lease.refused", logging.DEBUG)
_QUOTE_ERRORS: Final = (
    OrderAlreadyExistsError,
    UnexpectedOrderTypeError,
    TooManyRequestsError,
    TemporarilyUnableToProduceOrderQuoteError,
)
_BOOKING_ERRORS: Final = (
    OpportunityHasInsufficientCapacityError,
    UnableToProcessOrderItemError,
    OrderAlreadyExistsError,
    UnexpectedOrderTypeError,
    TotalPaymentDueMismatchError,
    TemporarilyUnableToCreateOrderError,
)
_LOOK_ERRORS: Final = (
    UnknownOrderError,
    GoneError,
    TemporarilyUnableToProduceOrderQuoteError,
)
_PATCH_ERRORS: Final = (
    PatchNotAllowedOnPropertyError,
    UnexpectedOrderTypeError,
    UnknownOrderError,
    TemporarilyUnableToUpdateOrderError,
)

OPERATIONS: Final = (
    Route("GET", "/livez", operations.livez, gives={200: operations.Health}),
    Route(
        "GET",
        "/readyz",
        operations.readyz,
        gives={200: operations.ReadyState, 503: operations.ReadyState},
    ),
    # Beyond this machine the numbers tell how business goes; on the admin listener all is open.
    Route("GET", "/metrics", operations.metrics, Scope.READ, gives={200: str}),
)

ROUTES: Final = (
    Route(
        "PUT",
        "/order-quote-templates/{uuid}",
        quotes.put_template,
        Scope.LEASE,
        step="c1",
        parameters=(*_OF_AN_ORDER, "Prefer"),
        takes=QuoteRequest,
        gives={200: OrderQuote, 409: OrderQuote},
        refuses=_QUOTE_ERRORS,
        events=_LEASE,
    ),
    Route(
        "PUT",
        "/order-quotes/{uuid}",
        quotes.put,
        Scope.LEASE,
        step="c2",
        parameters=(*_OF_AN_ORDER, "Prefer"),
        takes=QuoteRequest,
        gives={200: OrderQuote, 409: OrderQuote},
        refuses=_QUOTE_ERRORS,
        events=_LEASE,
    ),
    Route(
        "DELETE",
        "/order-quotes/{uuid}",
        quotes.delete,
        Scope.LEASE,
        step="release",
        parameters=_OF_AN_ORDER,
        gives={204: None},
        refuses=(TemporarilyUnableToDeleteOrderError,),
        events=Events("lease.released", "request.refused"),
    ),
    Route(
        "GET",
        "/order-quotes/{uuid}",
        quotes.get,
        Scope.READ,
        step="look",
        parameters=_OF_AN_ORDER,
        gives={200: OrderQuote},
        refuses=_LOOK_ERRORS,
    ),
    Route(
        "PUT",
        "/order-quotes/{uuid}/payment-window",
        quotes.put_payment_window,
        Scope.LEASE,
        step="payment_window",
        parameters=_OF_AN_ORDER,
        takes=PaymentWindowRequest,
        gives={200: Lease},
        refuses=(UnknownOrderError, TemporarilyUnableToUpdateOrderError),
        events=Events("lease.payment_window", "request.refused"),
    ),
    Route(
        "PUT",
        "/order-proposals/{uuid}",
        proposals.put,
        Scope.LEASE,
        step="p",
        parameters=_OF_AN_ORDER,
        takes=OrderRequest,
        gives={201: OrderProposal},
        refuses=(*_BOOKING_ERRORS, TooManyRequestsError),
        events=Events("proposal.made", "proposal.refused"),
    ),
    Route(
        "PATCH",
        "/order-proposals/{uuid}",
        proposals.patch,
        Scope.LEASE,
        step="decide",
        parameters=_OF_AN_ORDER,
        takes=ProposalPatch,
        gives={204: None},
        refuses=_PATCH_ERRORS,
        events=Events("proposal.decided", "request.refused"),
    ),
    Route(
        "GET",
        "/order-proposals/{uuid}",
        proposals.get,
        Scope.READ,
        step="look",
        parameters=_OF_AN_ORDER,
        gives={200: OrderProposal},
        refuses=_LOOK_ERRORS,
    ),
    Route(
        "PUT",
        "/orders/{uuid}",
        orders.put,
        Scope.LEASE,
        step="b",
        parameters=_OF_AN_ORDER,
        takes=OrderRequest,
        gives={201: Order},
        refuses=(*_BOOKING_ERRORS, OrderCreationFailedError),
        events=Events("order.booked", "order.refused"),
    ),
    Route(
        "PATCH",
        "/orders/{uuid}",
        orders.patch,
        Scope.LEASE,
        step="cancel",
        parameters=_OF_AN_ORDER,
        takes=OrderPatch,
        gives={204: None},
        refuses=(*_PATCH_ERRORS, OrderItemNotWithinOrderError),
        events=Events("order.cancelled", "request.refused"),
    ),
    Route(
        "DELETE",
        "/orders/{uuid}",
        orders.delete,
        Scope.LEASE,
        step="delete",
        parameters=_OF_AN_ORDER,
        gives={204: None},
        refuses=(UnknownOrderError, TemporarilyUnableToDeleteOrderError),
        events=Events("order.deleted", "request.refused"),
    ),
    Route(
        "GET",
        "/orders/{uuid}",
        orders.get,
        Scope.READ,
        step="look",
        parameters=_OF_AN_ORDER,
        gives={200: Order},
        refuses=_LOOK_ERRORS,
    ),
    Route(
        "PUT",
        "/opportunities",
        opportunities.put,
        Scope.ADMIN,
        step="register",
        parameters=("seller",),
        takes=list[OpportunityRegistration],
        streams=True,
        gives={200: Registration},
        events=Events("opportunities.registered", "request.refused"),
    ),
    Route(
        "GET",
        "/opportunities",
        opportunities.get,
        Scope.READ,
        step="inspect",
        parameters=_OF_OPPORTUNITIES,
        gives={200: list[Opportunity]},
    ),
    Route(
        "DELETE",
        "/opportunities",
        opportunities.delete,
        Scope.ADMIN,
        step="withdraw",
        parameters=_OF_OPPORTUNITIES,
        gives={204: None},
        events=Events("opportunities.withdrawn", "request.refused"),
    ),
    Route(
        "PUT",
        "/sellers",
        sellers.put,
        Scope.ADMIN,
        step="policy",
        parameters=("seller",),
        takes=SellerPolicyRequest,
        gives={200: SellerPolicy},
        events=Events("seller.policy_set", "request.refused"),
    ),
    Route(
        "GET",
        "/sellers",
        sellers.get,
        Scope.READ,
        step="policy",
        parameters=("seller",),
        gives={200: SellerPolicy},
    ),
    Route(
        "GET",
        "/capacity-feed",
        feed.get,
        Scope.READ,
        step="feed",
        parameters=_OF_THE_FEED,
        gives={200: CapacityPage},
    ),
    Route(
        "GET",
        "/capacity-events",
        events.get,
        Scope.READ,
        step="events",
        parameters=("seller", "some-id", "Last-Event-ID", *_OF_THE_FEED),
        gives={200: Change},
        lasts=True,
    ),
    *OPERATIONS,
    Route("GET", "/openapi.json", operations.openapi, gives={200: dict[str, Any]}),
    Route("GET", "/docs", operations.docs),
    Route("GET", "/docs/{asset}", operations.docs_asset),
    Route("GET", "/dashboard", dashboard.page, step="dashboard"),
    Route("GET", "/dashboard/{asset}", dashboard.asset, step="dashboard"),
    Route("GET", "/dashboard/data/sellers", dashboard.sellers, Scope.READ, step="dashboard"),
    Route("GET", "/dashboard/data/opportunities", dashboard.lines, Scope.READ, step="dashboard"),
    Route(
        "GET", "/dashboard/data/opportunity", dashboard.opportunity, Scope.READ, step="dashboard"
    ),
    Route("GET", "/dashboard/data/pulse", dashboard.pulse, Scope.READ, step="dashboard"),
)

STEPS: Final = (*sorted({route.step for route in ROUTES}), UNKNOWN)
"""What requests are counted as."""


class Router:
    """Finds what is at a path; a `{name}` is its second part."""

    _NAME_AT: Final = 2

    def __init__(self, routes: Iterable[Route]) -> None:
        """Know these routes; HEAD is understood where GET is."""
        self._calls: dict[tuple[str | None, ...], dict[str, Route]] = {}
        for route in routes:
            parts = route.path.split("/")
            key = tuple(None if part.startswith("{") else part for part in parts)
            calls = self._calls.setdefault(key, {})
            calls[route.method] = route
            if route.method == hdrs.METH_GET:
                calls[hdrs.METH_HEAD] = route

    def find(self, raw_path: str) -> tuple[Mapping[str, Route], str]:
        """Return the calls at a path by their verbs, and the name in it.

        Args:
            raw_path: As it was sent, percent-encoded or not.

        """
        parts: list[str | None] = [*raw_path.split("/")]
        if "%" in raw_path:
            parts = [unquote(part) for part in raw_path.split("/")]
        calls = self._calls.get(tuple(parts))
        if calls is not None:
            return calls, ""
        if len(parts) > self._NAME_AT:
            name, parts[self._NAME_AT] = parts[self._NAME_AT], None
            return self._calls.get(tuple(parts), {}), name or ""
        return {}, ""
