"""The calls about Orders: C1, C2, P, B, and what follows from them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple, Self

from aiohttp import BaseConnector, ClientSession, TCPConnector, UnixConnector
from msgspec import Raw

from service.client.catalogue import Catalogue
from service.client.transport import Call, Transport, encode
from service.errors import (
    OpenBookingError,
    TemporarilyUnableToCreateOrderError,
    TemporarilyUnableToDeleteOrderError,
    TemporarilyUnableToProduceOrderQuoteError,
    TemporarilyUnableToUpdateOrderError,
)
from service.model import (
    Lease,
    Order,
    OrderItemPatch,
    OrderItemRequest,
    OrderPatch,
    OrderProposal,
    OrderQuote,
    OrderRequest,
    PaymentWindowRequest,
    ProposalPatch,
    TotalRequest,
)


class OrderName(NamedTuple):
    """What an Order is known by: its Seller, the Booking Partner, and the UUID that they chose."""

    seller: str
    partner: str
    uuid: str


class Quoted(NamedTuple):
    """The answer to C1 or C2; with an error in any OrderItem it is passed on as a 409."""

    quote: OrderQuote
    retry_after: int | None
    """Seconds until competing leases have made room (rule 6); None: nothing is reserved by any."""


class LeaseService(Catalogue):
    """The service, as a booking front-end calls it: one object, any number of calls at once."""

    def __init__(
        self,
        session: ClientSession,
        url: str,
        *,
        token: str | None = None,
        patience_seconds: float = 10.0,
    ) -> None:
        """Call the service at `url`.

        Args:
            session: Keeps the connections; the caller closes it.
            url: Where it is, as `http://127.0.0.1:8080`.
            token: The API token, where it wants one.
            patience_seconds: How long a call is repeated while nothing usable comes back; 0: each
                is made once, so that whoever measures the service sees every failure.

        """
        super().__init__(Transport(session, url, token, patience_seconds))

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(
        cls,
        url: str,
        *,
        token: str | None = None,
        patience_seconds: float = 10.0,
        connections: int = 100,
    ) -> AsyncIterator[Self]:
        """Give a client with connections of its own, which end with the block.

        Args:
            url: Where the service is, as it says itself: `http://…`, or `unix:/path`.
            token: As above.
            patience_seconds: As above.
            connections: How many calls are made at the same time; the others wait.

        """
        scheme, _, path = url.partition(":")
        connector: BaseConnector
        if scheme == "unix":
            url, connector = "http://localhost", UnixConnector(path, limit=connections)
        else:
            connector = TCPConnector(limit=connections)
        async with ClientSession(connector=connector) as session:
            yield cls(session, url, token=token, patience_seconds=patience_seconds)

    async def quote_template(
        self, order: OrderName, items: Sequence[OrderItemRequest], *, strict: bool = False
    ) -> Quoted:
        """Hold spaces before the Customer is known: C1 (rules 1–14).

        Args:
            order: The Order.
            items: Its OrderItems; the lease will match them, and nothing else.
            strict: Hold nothing new unless every OrderItem can be held (rule 5).

        Raises:
            OrderAlreadyExistsError: The UUID is that of an Order.
            TooManyRequestsError: The Booking Partner has as many leases as it may.
            TemporarilyUnableToProduceOrderQuoteError: The service does not answer.

        """
        return await self._quote("order-quote-templates", order, items, strict=strict)

    async def quote(
        self, order: OrderName, items: Sequence[OrderItemRequest], *, strict: bool = False
    ) -> Quoted:
        """Hold spaces for a known Customer: C2; otherwise as `quote_template`."""
        return await self._quote("order-quotes", order, items, strict=strict)

    async def look_at_quote(self, order: OrderName) -> OrderQuote:
        """Return what the Order holds, with the guaranteed prices (rule 13).

        Raises:
            UnknownOrderError: It holds nothing.
            GoneError: Its Order was deleted.
            TemporarilyUnableToProduceOrderQuoteError: The service does not answer.

        """
        call = _of(order, "GET", "order-quotes", TemporarilyUnableToProduceOrderQuoteError)
        return (await self._transport.call(call)).read_as(OrderQuote)

    async def release(self, order: OrderName) -> int:
        """Give back what the Order holds, and return how many spaces that was.

        Raises:
            TemporarilyUnableToDeleteOrderError: The service does not answer.

        """
        call = _of(order, "DELETE", "order-quotes", TemporarilyUnableToDeleteOrderError)
        return int((await self._transport.call(call)).header("Lease-Released"))

    async def open_payment_window(self, order: OrderName, duration: timedelta) -> Lease:
        """Make a live lease last while money moves, once per lease (rule 27).

        Args:
            order: The Order.
            duration: How long from now, at least; the Seller's policy says how long at most.

        Raises:
            UnknownOrderError: It holds nothing.
            TemporarilyUnableToUpdateOrderError: The service does not answer.

        """
        call = _of(order, "PUT", "order-quotes", TemporarilyUnableToUpdateOrderError)
        call = call._replace(path=f"{call.path}/payment-window")
        answer = await self._transport.call(call, encode(PaymentWindowRequest(duration)))
        return answer.read_as(Lease)

    async def propose(
        self,
        order: OrderName,
        items: Sequence[OrderItemRequest],
        *,
        customer: bytes = b"null",
        total: Decimal | None = None,
    ) -> OrderProposal:
        """Hold every OrderItem or none for the Seller to decide upon: P (rule 19).

        Args:
            order: The Order.
            items: Its OrderItems.
            customer: The Customer as JSON, so that a repeated call is recognised.
            total: What the Broker believes that is to be paid (rule 18); None: it does not say.

        Raises:
            OpportunityHasInsufficientCapacityError: Spaces are lacking for an OrderItem.
            UnableToProcessOrderItemError: An OrderItem has another error.
            OrderAlreadyExistsError: The UUID is that of an Order or of another OrderProposal.
            TotalPaymentDueMismatchError: The prices make another sum.
            TemporarilyUnableToCreateOrderError: The service does not answer.

        """
        call = _of(order, "PUT", "order-proposals", TemporarilyUnableToCreateOrderError)
        answer = await self._transport.call(call, _request(order, items, customer, total))
        return answer.read_as(OrderProposal)

    async def look_at_proposal(self, order: OrderName) -> OrderProposal:
        """Return an OrderProposal as it stands.

        Raises:
            UnknownOrderError: There is none.
            GoneError: It became an Order that was deleted.
            TemporarilyUnableToProduceOrderQuoteError: The service does not answer.

        """
        call = _of(order, "GET", "order-proposals", TemporarilyUnableToProduceOrderQuoteError)
        return (await self._transport.call(call)).read_as(OrderProposal)

    async def decide(self, order: OrderName, status: str) -> None:
        """Say what the Seller or the Customer decided upon an OrderProposal (rule 19).

        Args:
            order: The Order.
            status: `https://openactive.io/SellerAccepted`, `…SellerRejected` or
                `…CustomerRejected`.

        Raises:
            UnknownOrderError: There is no such OrderProposal.
            PatchNotAllowedOnPropertyError: It was decided otherwise before.
            TemporarilyUnableToUpdateOrderError: The service does not answer.

        """
        call = _of(order, "PATCH", "order-proposals", TemporarilyUnableToUpdateOrderError)
        await self._transport.call(call, encode(ProposalPatch(order_proposal_status=status)))

    async def book(
        self,
        order: OrderName,
        items: Sequence[OrderItemRequest] | None,
        *,
        customer: bytes = b"null",
        total: Decimal | None = None,
    ) -> Order:
        """Book every OrderItem or none: B (rules 15–19).

        Args:
            order: The Order.
            items: Its OrderItems; None: those of the OrderProposal.
            customer: The Customer as JSON, so that a repeated call is recognised.
            total: As for `propose`.

        Raises:
            OpportunityHasInsufficientCapacityError: Spaces are lacking for an OrderItem.
            UnableToProcessOrderItemError: An OrderItem has another error.
            OrderAlreadyExistsError: The UUID is that of another Order.
            TotalPaymentDueMismatchError: The prices make another sum.
            OrderCreationFailedError: The OrderProposal was rejected.
            TemporarilyUnableToCreateOrderError: The service does not answer: what was booked is
                not known before the call is repeated.

        """
        call = _of(order, "PUT", "orders", TemporarilyUnableToCreateOrderError)
        answer = await self._transport.call(call, _request(order, items, customer, total))
        return answer.read_as(Order)

    async def look_at_order(self, order: OrderName) -> Order:
        """Return an Order as it stands.

        Raises:
            UnknownOrderError: There is none.
            GoneError: It was deleted.
            TemporarilyUnableToProduceOrderQuoteError: The service does not answer.

        """
        call = _of(order, "GET", "orders", TemporarilyUnableToProduceOrderQuoteError)
        return (await self._transport.call(call)).read_as(Order)

    async def cancel(self, order: OrderName, items: Sequence[OrderItemPatch]) -> None:
        """Cancel OrderItems and return their spaces, all or none (rule 20).

        Raises:
            UnknownOrderError: There is no such Order.
            OrderItemNotWithinOrderError: The Order has no such OrderItem.
            TemporarilyUnableToUpdateOrderError: The service does not answer.

        """
        call = _of(order, "PATCH", "orders", TemporarilyUnableToUpdateOrderError)
        await self._transport.call(call, encode(OrderPatch(ordered_item=list(items))))

    async def delete(self, order: OrderName) -> None:
        """Take an Order back: its spaces are free (rule 20).

        Raises:
            UnknownOrderError: There never was such an Order.
            TemporarilyUnableToDeleteOrderError: The service does not answer.

        """
        call = _of(order, "DELETE", "orders", TemporarilyUnableToDeleteOrderError)
        await self._transport.call(call)

    async def _quote(
        self, step: str, order: OrderName, items: Sequence[OrderItemRequest], *, strict: bool
    ) -> Quoted:
        headers = {"Prefer": "handling=strict"} if strict else {}
        call = _of(order, "PUT", step, TemporarilyUnableToProduceOrderQuoteError, headers)
        answer = await self._transport.call(call, _request(order, items))
        return Quoted(answer.read_as(OrderQuote), answer.retry_after)


def _of(
    order: OrderName,
    method: str,
    collection: str,
    away: type[OpenBookingError],
    headers: Mapping[str, str] | None = None,
) -> Call:
    named = {"Booking-Partner": order.partner, **(headers or {})}
    return Call(method, f"{collection}/{order.uuid}", [("seller", order.seller)], named, away)


def _request(
    order: OrderName,
    items: Sequence[OrderItemRequest] | None,
    customer: bytes = b"null",
    total: Decimal | None = None,
) -> bytes:
    return encode(
        OrderRequest(
            ordered_item=None if items is None else list(items),
            seller=order.seller,
            customer=Raw(customer),
            total_payment_due=None if total is None else TotalRequest(total),
        )
    )
