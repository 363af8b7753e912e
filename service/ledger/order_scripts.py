"""Leases, OrderProposals and Orders: each verb one atomic Lua script under a typed signature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from service.ledger.calls import Basket, Calls
from service.ledger.keys import DefaultOrderKey, OrderKey, owner
from service.ledger.replies import (
    Booking,
    HeldLease,
    OrderRecord,
    Quotation,
    availabilities,
    held_items,
    order_record,
)
from service.ledger.script_refusals import (
    DeletedOrderError,
    ProposalDecidedError,
    UnknownOrderError,
    UnknownOrderItemError,
    raise_refusal,
)
from service.ledger.scripts import (
    BookArguments,
    BookKeys,
    CancelArguments,
    DecideArguments,
    DecideKeys,
    LookKeys,
    OrderKeys,
    PayArguments,
    PayKeys,
    ProposeArguments,
    ProposeKeys,
    QuoteArguments,
    QuoteKeys,
    ReleaseArguments,
    ReleaseKeys,
)
from service.redis.call import Part

_BEFORE: Final = 2
_LACKING: Final = 3
_UNKNOWN: Final = -1
_OTHERWISE: Final = -2


class Terms(NamedTuple):
    """How long a step leases where the Seller's policy does not say; seconds."""

    hold_seconds: int
    maximum_hold_seconds: int


class Cancellation(NamedTuple):
    """One OrderItem that is to be cancelled."""

    by: str
    """`position` or `id`."""
    name: Part
    status: str


class Orders:
    """What Orders hold and have booked.

    Every verb raises `NothingSentError` or `OutcomeUnknownError` when Redis does not answer, and
    `SellerLeftOutError` where the Order's Seller was left out and has to be said.
    """

    def __init__(self, calls: Calls) -> None:
        """Keep the Orders where `calls` go."""
        self._calls = calls
        self._keys = calls.keys

    async def quote(
        self,
        order: OrderKey,
        basket: Basket,
        *,
        step: int,
        terms: Terms,
        strict: bool = False,
        refused: int = 0,
    ) -> Quotation:
        """Make an Order's lease match its OrderItems (C1, C2).

        Args:
            order: The Order's name.
            basket: What it asks for; an empty one releases everything.
            step: 1 anonymous, 2 named.
            terms: For how long; 0 seconds: the step only checks.
            strict: Hold nothing new unless every OrderItem can be held.
            refused: How many OrderItems the caller has already refused.

        Returns:
            The expiry and, in the basket's order, what may be had of each Opportunity.

        Raises:
            OrderExistsError: The Order UUID is that of an Order or OrderProposal.
            TooManyLeasesError: A new lease would be one too many.

        """
        arguments = QuoteArguments(
            self._keys.holder(*order), owner(order), step, *terms, int(strict), refused
        )
        reply = await self._run("quote", order, QuoteKeys, arguments, basket)
        raise_refusal(reply)
        self._observe(step, reply[2], *reply[5:])
        said = availabilities(reply[4], basket)
        return Quotation(reply[1], reply[2], reply[3] == 1, said)

    async def propose(
        self,
        order: OrderKey,
        basket: Basket,
        *,
        digest: str,
        terms: Terms,
        total: str = "",
        refused: int = 0,
    ) -> Booking:
        """Hold every OrderItem, or none, for the Seller to decide upon (P).

        Args:
            order: The Order's name.
            basket: What it asks for.
            digest: Of the OrderItems and the customer; the same one finds the proposal again.
            terms: For how long; 0 seconds: nothing is held meanwhile.
            total: `totalPaymentDue` as `"<amount> <currency>"`, without what was left out.
            refused: How many OrderItems the caller has already refused.

        Raises:
            OrderExistsError: The Order UUID is that of an Order or of another proposal.
            TooManyLeasesError: A new lease would be one too many.
            TotalMismatchError: The prices make another sum.

        """
        arguments = ProposeArguments(
            self._keys.holder(*order), owner(order), digest, *terms, refused, total
        )
        reply = await self._run("propose", order, ProposeKeys, arguments, basket)
        raise_refusal(reply)
        if reply[0] >= _LACKING:
            return _refused(reply, basket)
        before = reply[0] == _BEFORE
        if not before:
            self._calls.observer.happened("proposed")
        return Booking(record=order_record(reply[2:]), before=before, expires=reply[1])

    async def book(
        self,
        order: OrderKey,
        basket: Basket,
        *,
        digest: str,
        total: str = "",
        refused: int = 0,
    ) -> Booking:
        """Book every OrderItem, or none (B).

        Args:
            order: The Order's name.
            basket: What it books; empty to book what was proposed.
            digest: Of the OrderItems and the customer; the same one finds the Order again. `""`
                books what was proposed.
            total: `totalPaymentDue` as `"<amount> <currency>"`, without what was left out.
            refused: How many OrderItems the caller has already refused.

        Raises:
            OrderExistsError: The Order UUID is that of an Order with another digest.
            TotalMismatchError: The prices make another sum.
            ProposalDecidedError: The proposal was rejected.
            NoOrderItemsError: There is nothing to book.

        """
        arguments = BookArguments(self._keys.holder(*order), digest, refused, total)
        reply = await self._run("book", order, BookKeys, arguments, basket)
        raise_refusal(reply)
        if reply[0] >= _LACKING:
            return _refused(reply, basket)
        before = reply[0] == _BEFORE
        if not before:
            self._calls.observer.happened("booked")
        return Booking(record=order_record(reply[1:]), before=before)

    async def decide(self, order: OrderKey, status: str, *, grace_seconds: int) -> None:
        """Say what the Seller or the Customer decided upon a proposal.

        Args:
            order: The Order's name.
            status: `SellerAccepted`, `SellerRejected` or `CustomerRejected`.
            grace_seconds: How long the spaces of a rejected one stay held.

        Raises:
            UnknownOrderError: There is no such proposal.
            ProposalDecidedError: It was rejected before.

        """
        arguments = DecideArguments(self._keys.holder(*order), status, grace_seconds)
        reply = await self._run("decide", order, DecideKeys, arguments)
        if reply[0] == _UNKNOWN:
            raise UnknownOrderError
        if reply[0] == _OTHERWISE:
            raise ProposalDecidedError(reply[1].decode())

    async def pay(
        self, order: OrderKey, *, wanted_seconds: int, payment_window_seconds: int
    ) -> int:
        """Make a live lease last while money moves.

        Args:
            order: The Order's name.
            wanted_seconds: How long from now, at least.
            payment_window_seconds: The longest window where no policy says.

        Returns:
            When the lease expires, in seconds since 1970: what the first such call gave.

        Raises:
            UnknownOrderError: Nothing is held.

        """
        arguments = PayArguments(self._keys.holder(*order), wanted_seconds, payment_window_seconds)
        reply = await self._run("pay", order, PayKeys, arguments)
        if reply[0] == _UNKNOWN:
            raise UnknownOrderError
        return int(reply[1])

    async def release(self, order: OrderKey) -> int:
        """Give back what an Order holds, and return how many spaces that was."""
        reply = await self._run(
            "release", order, ReleaseKeys, ReleaseArguments(self._keys.holder(*order))
        )
        if reply[1]:
            self._calls.observer.happened("released")
        return int(reply[1])

    async def cancel(self, order: OrderKey, named: Sequence[Cancellation]) -> None:
        """Cancel OrderItems of an Order: all of them, or none.

        Raises:
            UnknownOrderError: There is no such Order.
            UnknownOrderItemError: The Order has no such OrderItem.

        """
        items = [part for cancellation in named for part in cancellation]
        reply = await self._run("cancel", order, OrderKeys, (*CancelArguments(len(named)), *items))
        if reply[0] == _UNKNOWN:
            raise UnknownOrderError
        if reply[0] == _OTHERWISE:
            raise UnknownOrderItemError(reply[1].decode())

    async def delete(self, order: OrderKey) -> None:
        """Take an Order back, now or again.

        Raises:
            UnknownOrderError: There never was one.

        """
        reply = await self._run("delete", order, OrderKeys, ())
        if reply[0] == _UNKNOWN:
            raise UnknownOrderError

    async def lease(self, order: OrderKey) -> HeldLease:
        """Return what an Order holds now.

        Raises:
            UnknownOrderError: It holds nothing.
            DeletedOrderError: It was deleted.

        """
        reply = await self._run("look", order, LookKeys, ())
        if reply[0] == _UNKNOWN:
            raise UnknownOrderError
        if reply[0] == _OTHERWISE:
            raise DeletedOrderError
        return HeldLease(reply[1], reply[2], reply[3] == 1, held_items(reply[4:]))

    async def record(self, order: OrderKey) -> OrderRecord:
        """Return an Order or OrderProposal.

        Raises:
            UnknownOrderError: There is none.
            DeletedOrderError: It was deleted.

        """
        if isinstance(order, DefaultOrderKey):
            await self._calls.default_seller()
        holder = self._keys.holder(*order)
        [key] = self._keys.seller(order.seller).of(order, holder, ("order",))
        record = order_record(await self._calls.nodes.of(key).command("HGETALL", key))
        if record.state == "deleted":
            raise DeletedOrderError
        if not record.items:
            raise UnknownOrderError
        return record

    def _observe(self, step: int, expires: int, step_before: int, expires_before: int) -> None:
        """Tell what C1 or C2 made of the lease; the same lease once more is no event."""
        if not expires:
            if expires_before:
                self._calls.observer.happened("released")
        elif not expires_before:
            self._calls.observer.happened("granted")
        elif step > step_before:
            self._calls.observer.happened("converted")
        elif expires > expires_before:
            self._calls.observer.happened("extended")

    async def _run(
        self,
        verb: str,
        order: OrderKey,
        keys: type[NamedTuple],
        arguments: Sequence[Part],
        basket: Basket | None = None,
    ) -> list[Any]:
        if isinstance(order, DefaultOrderKey):
            await self._calls.default_seller()
        seller = self._keys.seller(order.seller)
        groups = {
            self._keys.ref(order.seller, opportunity): items
            for opportunity, items in (basket or {}).items()
        }
        return await self._calls.run(
            verb,
            seller.partition,
            seller.of(order, self._keys.holder(*order), keys._fields),
            arguments,
            groups,
        )


def _refused(reply: Sequence[Any], basket: Basket) -> Booking:
    """Return a refusal of B or P."""
    code, now, groups = reply
    said = availabilities(groups, basket)
    return Booking(availabilities=said, is_lacking=code == _LACKING, now=now)
