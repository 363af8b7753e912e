"""The ledger's verbs: what each call of the contract does, and how it is refused."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from msgspec import UNSET

from service.errors import (
    OpenBookingError,
    PatchNotAllowedOnPropertyError,
    TemporarilyUnableToCreateOrderError,
    TemporarilyUnableToDeleteOrderError,
    TemporarilyUnableToProduceOrderQuoteError,
    TemporarilyUnableToUpdateOrderError,
    UnknownOrderError,
)
from service.ledger import answers, bodies
from service.ledger.basket import Basket, booking_digest, read_basket, total_due
from service.ledger.keys import OrderKey
from service.ledger.order_scripts import Cancellation, Terms
from service.ledger.refusals import booking_refusal, refusals
from service.ledger.register import Register
from service.ledger.script_refusals import ProposalDecidedError
from service.ledger.script_refusals import UnknownOrderError as NoSuchOrderError
from service.ledger.store import Store
from service.model import (
    Lease,
    Order,
    OrderPatch,
    OrderProposal,
    OrderQuote,
    OrderRequest,
    ProposalPatch,
    QuoteRequest,
)
from service.redis.errors import StoreError
from service.settings import Settings

PAYMENT_WINDOW_SECONDS: Final = 120
"""The longest payment window where the Seller's policy says nothing (contract, rule 27)."""

_DECISIONS: Final = ("SellerAccepted", "SellerRejected", "CustomerRejected")
_CANCELLATIONS: Final = ("CustomerCancelled", "SellerCancelled")


class Step(IntEnum):
    """The steps of C1 and C2; a lease never goes back to an earlier one (contract, rule 9)."""

    ANONYMOUS = 1
    NAMED = 2


class Quoted(NamedTuple):
    """The answer to C1 or C2."""

    body: OrderQuote
    held: int
    """OrderItems without an error."""
    retry_after: int | None = None
    """Seconds until competing leases have made room (rule 6)."""

    @property
    def refused(self) -> bool:
        """Tell whether any OrderItem has an error (rule 5)."""
        return self.held < len(self.body.ordered_item)


class Booked(NamedTuple):
    """The answer to B."""

    body: Order
    replayed: bool
    """Whether an earlier call had booked it (rule 17)."""


class Proposed(NamedTuple):
    """The answer to P."""

    body: OrderProposal
    replayed: bool
    """Whether an earlier call had proposed it (rule 19)."""


class Ledger(Register):
    """What the service promises to a booking front-end, on top of a store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """Keep the ledger in `store`; `settings` say what a Seller's policy leaves out."""
        super().__init__(store.catalogue)
        self._store = store
        self._orders = store.orders
        hold = settings.maximum_hold_seconds
        self._terms = {
            Step.ANONYMOUS: Terms(settings.anonymous_seconds, hold),
            Step.NAMED: Terms(settings.named_seconds, hold),
        }
        self._proposal_terms = Terms(settings.proposal_seconds, hold)
        self._grace_seconds = settings.rejection_grace_seconds

    async def quote(
        self, key: OrderKey, step: Step, request: QuoteRequest, *, strict: bool = False
    ) -> Quoted:
        """Make the Order's lease match its OrderItems: C1 and C2 (contract, rules 1–14).

        Args:
            key: The Order's name.
            step: C1 leases anonymously, C2 in the Customer's name.
            request: The OrderQuote that the Broker sent.
            strict: Hold nothing new unless every OrderItem can be held (rule 5).

        Raises:
            OrderAlreadyExistsError: The UUID is that of an Order or OrderProposal (rule 17).
            TooManyRequestsError: The Booking Partner has as many leases as it may (rule 14).
            OpenBookingError: There are no OrderItems, or two have the same position.
            TemporarilyUnableToProduceOrderQuoteError: Redis does not answer (rule 25).

        """
        basket = read_basket(request)
        with refusals(TemporarilyUnableToProduceOrderQuoteError):
            said = await self._orders.quote(
                key,
                basket.groups,
                step=step.value,
                terms=self._terms[step],
                strict=strict,
                refused=basket.incomplete,
            )
        items = answers.quoted_items(basket, said.availabilities)
        body = OrderQuote(
            identifier=key.uuid,
            seller=key.seller,
            lease=answers.lease(said.expires),
            ordered_item=items,
            total_payment_due=answers.total_payment_due(items, is_gross=said.is_gross),
        )
        held = len([item for item in items if item.error is UNSET])
        if held == len(items):
            return Quoted(body, held)
        return Quoted(body, held, answers.retry_after(said.now, said.availabilities))

    async def release(self, key: OrderKey) -> int:
        """Give back what the Order holds, and return how many spaces that was.

        Raises:
            TemporarilyUnableToDeleteOrderError: Redis does not answer (rule 25).

        """
        with refusals(TemporarilyUnableToDeleteOrderError):
            return await self._orders.release(key)

    async def open_payment_window(self, key: OrderKey, seconds: int) -> Lease:
        """Make a live lease last while money moves, once per lease (contract, rule 27).

        Args:
            key: The Order's name.
            seconds: How long from now, at least; no longer than the Seller's policy says.

        Returns:
            The Lease with the instant that the first such call gave.

        Raises:
            UnknownOrderError: Nothing is held.
            TemporarilyUnableToUpdateOrderError: Redis does not answer (rule 25).

        """
        with refusals(TemporarilyUnableToUpdateOrderError):
            expires = await self._orders.pay(
                key, wanted_seconds=seconds, payment_window_seconds=PAYMENT_WINDOW_SECONDS
            )
        return Lease(lease_expires=answers.instant(expires))

    async def propose(self, key: OrderKey, request: OrderRequest) -> Proposed:
        """Hold every OrderItem or none for the Seller to decide upon: P (contract, rule 19).

        Args:
            key: The Order's name.
            request: The OrderProposal that the Broker sent.

        Raises:
            OpportunityHasInsufficientCapacityError: Spaces are lacking for an OrderItem.
            UnableToProcessOrderItemError: An OrderItem has another error.
            OrderAlreadyExistsError: The UUID is that of an Order or of another OrderProposal.
            TotalPaymentDueMismatchError: The prices make another sum (rule 18).
            TooManyRequestsError: The Booking Partner has as many leases as it may (rule 14).
            OpenBookingError: There is no OrderItem, or two have the same position.
            TemporarilyUnableToCreateOrderError: Redis does not answer (rule 25).

        """
        basket = read_basket(request).not_empty()
        digest = booking_digest(key, basket, request)
        with refusals(TemporarilyUnableToCreateOrderError):
            said = await self._orders.propose(
                key,
                basket.groups,
                digest=digest,
                terms=self._proposal_terms,
                total=total_due(request),
                refused=basket.incomplete,
            )
        if said.record is None:
            raise booking_refusal(basket, said)
        return Proposed(bodies.proposal(key, said.record, said.expires), said.before)

    async def decide(self, key: OrderKey, patch: ProposalPatch) -> None:
        """Say what the Seller or the Customer decided upon an OrderProposal (contract, rule 19).

        Args:
            key: The Order's name.
            patch: With the new `orderProposalStatus`; without one nothing changes.

        Raises:
            UnknownOrderError: There is no such OrderProposal.
            PatchNotAllowedOnPropertyError: It cannot have this status, or not any more.
            TemporarilyUnableToUpdateOrderError: Redis does not answer (rule 25).

        """
        if patch.order_proposal_status is None:
            with refusals(TemporarilyUnableToUpdateOrderError):
                if (await self._orders.record(key)).state != "proposed":
                    raise NoSuchOrderError
            return
        status = bodies.without_namespace(patch.order_proposal_status)
        if status not in _DECISIONS:
            allowed = ", ".join(answers.OPENACTIVE + decision for decision in _DECISIONS)
            raise PatchNotAllowedOnPropertyError(f"$.orderProposalStatus: expected {allowed}.")
        try:
            with refusals(TemporarilyUnableToUpdateOrderError):
                await self._orders.decide(key, status, grace_seconds=self._grace_seconds)
        except OpenBookingError as error:
            if isinstance(error.__cause__, ProposalDecidedError):
                message = f"$.orderProposalStatus: it is {error.__cause__} for good."
                raise PatchNotAllowedOnPropertyError(message) from error
            raise

    async def book(self, key: OrderKey, request: OrderRequest) -> Booked:
        """Book every OrderItem or none: B (contract, rules 15–19).

        Args:
            key: The Order's name.
            request: The Order that the Broker sent; without `orderedItem` what was proposed.

        Raises:
            OpportunityHasInsufficientCapacityError: Spaces are lacking for an OrderItem.
            UnableToProcessOrderItemError: An OrderItem has another error.
            OrderAlreadyExistsError: The UUID is that of another Order.
            OrderCreationFailedError: The OrderProposal was rejected.
            TotalPaymentDueMismatchError: The prices make another sum (rule 18).
            OpenBookingError: There is no OrderItem, or two have the same position.
            TemporarilyUnableToCreateOrderError: Redis does not answer (rule 25).

        """
        if request.ordered_item is None:
            basket, digest = await self._proposed(key), ""
        else:
            basket = read_basket(request).not_empty()
            digest = booking_digest(key, basket, request)
        with refusals(TemporarilyUnableToCreateOrderError):
            said = await self._orders.book(
                key,
                basket.groups,
                digest=digest,
                total=total_due(request),
                refused=basket.incomplete,
            )
        if said.record is None:
            raise booking_refusal(basket, said)
        return Booked(bodies.order(key, said.record), said.before)

    async def _proposed(self, key: OrderKey) -> Basket:
        """Return what was proposed; whether it may be booked, the script says."""
        with refusals(TemporarilyUnableToCreateOrderError):
            try:
                return bodies.basket_of(await self._orders.record(key))
            except NoSuchOrderError:
                return Basket.of([])

    async def cancel(self, key: OrderKey, patch: OrderPatch) -> None:
        """Cancel OrderItems and return their spaces, all or none (contract, rule 20).

        Args:
            key: The Order's name.
            patch: The OrderItems by `@id` or `position`, with their new `orderItemStatus`.

        Raises:
            UnknownOrderError: There is no such Order.
            OrderItemNotWithinOrderError: The Order has no such OrderItem.
            PatchNotAllowedOnPropertyError: An OrderItem cannot have this status.
            OpenBookingError: An OrderItem is not named.
            TemporarilyUnableToUpdateOrderError: Redis does not answer (rule 25).

        """
        named = []
        for index, item in enumerate(patch.ordered_item):
            place = f"$.orderedItem[{index}]"
            status = bodies.without_namespace(item.order_item_status)
            if status not in _CANCELLATIONS:
                allowed = ", ".join(answers.OPENACTIVE + status for status in _CANCELLATIONS)
                raise PatchNotAllowedOnPropertyError(
                    f"{place}.orderItemStatus: expected {allowed}."
                )
            if item.id is not None:
                named.append(Cancellation("id", item.id, status))
            elif item.position is not None:
                named.append(Cancellation("position", item.position, status))
            else:
                raise OpenBookingError(f"{place}: name the OrderItem by its @id or its position.")
        with refusals(TemporarilyUnableToUpdateOrderError):
            await self._orders.cancel(key, named)

    async def delete(self, key: OrderKey) -> None:
        """Take an Order back: its spaces are free, a stub stays (contract, rule 20).

        Raises:
            UnknownOrderError: There never was such an Order.
            TemporarilyUnableToDeleteOrderError: Redis does not answer (rule 25).

        """
        with refusals(TemporarilyUnableToDeleteOrderError):
            await self._orders.delete(key)

    async def look_at_quote(self, key: OrderKey) -> OrderQuote:
        """Return the OrderQuote whose spaces the Order holds now.

        Raises:
            UnknownOrderError: It holds nothing.
            GoneError: Its Order was deleted.
            TemporarilyUnableToProduceOrderQuoteError: Redis does not answer (rule 25).

        """
        with refusals(TemporarilyUnableToProduceOrderQuoteError):
            return bodies.quote(key, await self._orders.lease(key))

    async def look_at_proposal(self, key: OrderKey) -> OrderProposal:
        """Return the OrderProposal as it stands.

        Raises:
            UnknownOrderError: There is none, or it became an Order.
            GoneError: That was deleted.
            TemporarilyUnableToProduceOrderQuoteError: Redis does not answer (rule 25).

        """
        with refusals(TemporarilyUnableToProduceOrderQuoteError):
            record = await self._orders.record(key)
            if record.state != "proposed":
                raise UnknownOrderError("There is no OrderProposal with this UUID.")
            try:
                expires = (await self._orders.lease(key)).expires
            except NoSuchOrderError:
                expires = 0
        return bodies.proposal(key, record, expires)

    async def look_at_order(self, key: OrderKey) -> Order:
        """Return the Order as it stands.

        Raises:
            UnknownOrderError: There is none.
            GoneError: It was deleted.
            TemporarilyUnableToProduceOrderQuoteError: Redis does not answer (rule 25).

        """
        with refusals(TemporarilyUnableToProduceOrderQuoteError):
            record = await self._orders.record(key)
        if record.state != "booked":
            raise UnknownOrderError("There is no Order with this UUID.")
        return bodies.order(key, record, as_it_stands=True)

    async def ready(self) -> bool:
        """Tell whether Redis answers."""
        try:
            await self._store.ping()
        except StoreError:
            return False
        return True
