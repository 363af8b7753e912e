"""Leases, OrderProposals and Orders: what each call promises, as one atomic script."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from msgspec import UNSET

from service.errors import (
    OpenBookingError,
    PatchNotAllowedOnPropertyError,
    UnknownOrderError,
)
from service.ledger import answers
from service.ledger.basket import Basket, booking_digest, read_basket
from service.ledger.keys import OrderKey, owner
from service.ledger.records import OrderRecord
from service.ledger.scripts import (
    BookArguments,
    CancelArguments,
    DecideArguments,
    PaymentWindowArguments,
    ProposeArguments,
    QuoteArguments,
    ReleaseArguments,
    Scripts,
)
from service.model import (
    Lease,
    Order,
    OrderPatch,
    OrderProposal,
    OrderQuote,
    OrderRequest,
    ProposalPatch,
)
from service.settings import Settings

PAYMENT_WINDOW_SECONDS: Final = 120
"""The longest payment window where the Seller's policy says nothing (rule 27)."""

_DECISIONS: Final = ("SellerAccepted", "SellerRejected", "CustomerRejected")
_CANCELLATIONS: Final = ("CustomerCancelled", "SellerCancelled")

# Of replies to B and P.
_BEFORE: Final = 2
_REFUSED: Final = 3


class Step(IntEnum):
    """The steps of C1 and C2; a lease never goes back to an earlier one (rule 9)."""

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
        """Whether any OrderItem has an error (rule 5)."""
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


class Orders:
    """What the service promises to a booking front-end; the rules are those of `docs/protocol.md`.

    Every method raises `NothingSentError` when Redis is out of reach, and `OutcomeUnknownError`
    when an answer was lost or is not confirmed: the repeated call settles it (rule 25).
    """

    def __init__(self, scripts: Scripts, settings: Settings) -> None:
        """Run `scripts`; `settings` say what a Seller's policy leaves out."""
        self._scripts = scripts
        self._hold_seconds = {
            Step.ANONYMOUS: settings.anonymous_seconds,
            Step.NAMED: settings.named_seconds,
        }
        self._settings = settings

    async def quote(
        self, key: OrderKey, step: Step, request: OrderRequest, *, strict: bool = False
    ) -> Quoted:
        """Make the Order's lease match its OrderItems: C1 and C2 (rules 1–14).

        Args:
            key: The Order's name.
            step: C1 leases anonymously, C2 in the Customer's name.
            request: The OrderQuote that the Broker sent.
            strict: Hold nothing new unless every OrderItem can be held (rule 5).

        Raises:
            OrderAlreadyExistsError: The UUID is that of an Order or OrderProposal (rule 17).
            TooManyRequestsError: The Booking Partner has as many leases as it may (rule 14).
            OpenBookingError: There are no OrderItems, or two have the same position.

        """
        basket = read_basket(request, may_be_empty=True)
        arguments = QuoteArguments(
            self._scripts.keys.holder(*key),
            owner(key),
            step.value,
            self._hold_seconds[step],
            self._settings.maximum_hold_seconds,
            int(strict),
            basket.incomplete,
        )
        reply = await self._scripts.of_order("quote", key, arguments, basket.groups)
        _, now, expires, groups, step_before, expires_before = reply
        self._observe(step, expires, step_before, expires_before)
        items = answers.asked_items(basket, groups)
        held = len([item for item in items if item.error is UNSET])
        body = answers.quote(key, items, expires)
        if held == len(items):
            return Quoted(body, held)
        return Quoted(body, held, answers.retry_after(now, groups))

    async def release(self, key: OrderKey) -> int:
        """Give back what the Order holds, and return how many spaces that was."""
        arguments = ReleaseArguments(self._scripts.keys.holder(*key))
        _, spaces = await self._scripts.of_order("release", key, arguments)
        if spaces:
            self._scripts.observer.changed_leases("released")
        return int(spaces)

    async def open_payment_window(self, key: OrderKey, seconds: int) -> Lease:
        """Make a live lease last while money moves, once per lease (rule 27).

        Args:
            key: The Order's name.
            seconds: How long from now, at least; no longer than the Seller's policy says.

        Returns:
            The Lease with the instant that the first such call gave.

        Raises:
            UnknownOrderError: Nothing is held.

        """
        arguments = PaymentWindowArguments(
            self._scripts.keys.holder(*key), seconds, PAYMENT_WINDOW_SECONDS
        )
        _, expires = await self._scripts.of_order("payment_window", key, arguments)
        return Lease(lease_expires=answers.instant(expires))

    async def propose(self, key: OrderKey, request: OrderRequest) -> Proposed:
        """Hold every OrderItem or none for the Seller to decide upon: P (rule 19).

        Args:
            key: The Order's name.
            request: The OrderProposal that the Broker sent.

        Raises:
            OpportunityHasInsufficientCapacityError: Spaces are lacking for an OrderItem (rule 16).
            UnableToProcessOrderItemError: An OrderItem has another error.
            OrderAlreadyExistsError: The UUID is that of an Order or of another OrderProposal.
            TotalPaymentDueMismatchError: The prices make another sum (rule 18).
            TooManyRequestsError: The Booking Partner has as many leases as it may (rule 14).
            OpenBookingError: There is no OrderItem, or two have the same position.

        """
        basket = read_basket(request)
        arguments = ProposeArguments(
            self._scripts.keys.holder(*key),
            owner(key),
            booking_digest(key, basket, request),
            self._settings.proposal_seconds,
            self._settings.maximum_hold_seconds,
            basket.incomplete,
            _total_due(request),
        )
        code, *reply = await self._scripts.of_order("propose", key, arguments, basket.groups)
        if code == _REFUSED:
            raise answers.booking_refusal(basket, *reply)
        expires, *fields = reply
        if code != _BEFORE:
            self._scripts.observer.changed_leases("proposed")
        return Proposed(answers.proposal(key, OrderRecord.parse(fields), expires), code == _BEFORE)

    async def decide(self, key: OrderKey, patch: ProposalPatch) -> None:
        """Say what the Seller or the Customer decided upon an OrderProposal (rule 19).

        Args:
            key: The Order's name.
            patch: With the new `orderProposalStatus`.

        Raises:
            UnknownOrderError: There is no such OrderProposal.
            PatchNotAllowedOnPropertyError: It cannot have this status, or not any more.

        """
        status = answers.without_namespace(patch.order_proposal_status)
        if status not in _DECISIONS:
            raise _other_status("$.orderProposalStatus", _DECISIONS)
        arguments = DecideArguments(
            self._scripts.keys.holder(*key), status, self._settings.rejection_grace_seconds
        )
        await self._scripts.of_order("decide", key, arguments)

    async def book(self, key: OrderKey, request: OrderRequest) -> Booked:
        """Book every OrderItem or none: B (rules 15–19).

        Args:
            key: The Order's name.
            request: The Order that the Broker sent; without `orderedItem` what was proposed.

        Raises:
            OpportunityHasInsufficientCapacityError: Spaces are lacking for an OrderItem (rule 16).
            UnableToProcessOrderItemError: An OrderItem has another error.
            OrderAlreadyExistsError: The UUID is that of another Order.
            OrderCreationFailedError: The OrderProposal was rejected.
            TotalPaymentDueMismatchError: The prices make another sum (rule 18).
            OpenBookingError: There is no OrderItem, or two have the same position.

        """
        if request.ordered_item is None:
            # Whether it may be booked, the script says.
            basket, digest = Basket.of((await self._record(key)).items), ""
        else:
            basket = read_basket(request)
            digest = booking_digest(key, basket, request)
        arguments = BookArguments(
            self._scripts.keys.holder(*key), digest, basket.incomplete, _total_due(request)
        )
        code, *reply = await self._scripts.of_order("book", key, arguments, basket.groups)
        if code == _REFUSED:
            raise answers.booking_refusal(basket, *reply)
        if code != _BEFORE:
            self._scripts.observer.changed_leases("booked")
        return Booked(answers.order(key, OrderRecord.parse(reply)), code == _BEFORE)

    async def cancel(self, key: OrderKey, patch: OrderPatch) -> None:
        """Cancel OrderItems and return their spaces, all or none (rule 20).

        Args:
            key: The Order's name.
            patch: The OrderItems by `@id` or `position`, with their new `orderItemStatus`.

        Raises:
            UnknownOrderError: There is no such Order.
            OrderItemNotWithinOrderError: The Order has no such OrderItem.
            PatchNotAllowedOnPropertyError: An OrderItem cannot have this status.
            OpenBookingError: An OrderItem is not named.

        """
        named: list[str | int] = []
        for index, item in enumerate(patch.ordered_item):
            place = f"$.orderedItem[{index}]"
            status = answers.without_namespace(item.order_item_status)
            if status not in _CANCELLATIONS:
                raise _other_status(f"{place}.orderItemStatus", _CANCELLATIONS)
            if item.id is not None:
                named += ("id", item.id, status)
            elif item.position is not None:
                named += ("position", item.position, status)
            else:
                raise OpenBookingError(f"{place}: name the OrderItem by its @id or its position.")
        count = CancelArguments(len(patch.ordered_item))
        await self._scripts.of_order("cancel", key, (*count, *named))

    async def delete(self, key: OrderKey) -> None:
        """Take an Order back: its spaces are free, a stub stays (rule 20).

        Raises:
            UnknownOrderError: There never was such an Order.

        """
        await self._scripts.of_order("delete", key)

    async def look_at_quote(self, key: OrderKey) -> OrderQuote:
        """Return the OrderQuote whose spaces the Order holds now.

        Raises:
            UnknownOrderError: It holds nothing.

        """
        _, expires, _, *groups = await self._scripts.of_order("look", key)
        return answers.quote(key, answers.held_items(groups), expires)

    async def look_at_proposal(self, key: OrderKey) -> OrderProposal:
        """Return the OrderProposal as it stands.

        Raises:
            UnknownOrderError: There is none, or it became an Order.

        """
        record = await self._record(key)
        if record.state != "proposed":
            raise UnknownOrderError("There is no OrderProposal with this UUID.")
        try:
            _, expires, *_ = await self._scripts.of_order("look", key)
        except UnknownOrderError:
            expires = 0
        return answers.proposal(key, record, expires)

    async def look_at_order(self, key: OrderKey) -> Order:
        """Return the Order as it stands.

        Raises:
            UnknownOrderError: There is none, or it was deleted.

        """
        record = await self._record(key)
        if record.state != "booked":
            raise UnknownOrderError("There is no Order with this UUID.")
        return answers.order(key, record, as_it_stands=True)

    async def _record(self, key: OrderKey) -> OrderRecord:
        keys = self._scripts.keys
        [name] = keys.seller(key.seller).of(key, keys.holder(*key), ("order",))
        return OrderRecord.parse(await self._scripts.nodes.of(name).command("HGETALL", name))

    def _observe(self, step: int, expires: int, step_before: int, expires_before: int) -> None:
        """Tell what C1 or C2 made of the lease; the same lease once more is no event."""
        changed_leases = self._scripts.observer.changed_leases
        if not expires:
            if expires_before:
                changed_leases("released")
        elif not expires_before:
            changed_leases("granted")
        elif step > step_before:
            changed_leases("converted")
        elif expires > expires_before:
            changed_leases("extended")


def _total_due(request: OrderRequest) -> str:
    total = request.total_payment_due
    return "" if total is None or total.price is None else f"{total.price:f}"


def _other_status(place: str, known: tuple[str, ...]) -> OpenBookingError:
    allowed = ", ".join(answers.OPENACTIVE + status for status in known)
    return PatchNotAllowedOnPropertyError(f"{place}: expected {allowed}.")
