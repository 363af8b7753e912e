"""A ledger that answers at once and remembers what the edge asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from service.errors import OpenBookingError
from service.ledger import Booked, Entry, OrderKey, Proposed, Quoted, Step, error_body
from service.model import (
    EntryError,
    Opportunity,
    Order,
    OrderProposal,
    OrderQuote,
    OrderRequest,
    Registration,
    SellerPolicy,
)


class RecordingLedger:
    """Stands in for the ledger where only the edge is under test."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.entries: list[Entry] = []
        self.raises: Exception | None = None
        self.answers_ping = True
        self.orders = self.catalogue = self

    @property
    def key(self) -> OrderKey:
        """The Order that the last call was about."""
        key = self.calls[-1][1]
        assert isinstance(key, OrderKey)
        return key

    async def quote(
        self, key: OrderKey, step: Step, request: OrderRequest, *, strict: bool = False
    ) -> Quoted:
        """Answer an OrderQuote without items."""
        self._note(f"quote {step.name} {strict} {len(request.ordered_item or ())}", key)
        return Quoted(OrderQuote(identifier=key.uuid, seller=key.seller, ordered_item=[]), held=0)

    async def book(self, key: OrderKey, request: OrderRequest) -> Booked:
        """Answer an Order without items."""
        self._note(f"book {len(request.ordered_item or ())}", key)
        return Booked(
            Order(identifier=key.uuid, seller=key.seller, ordered_item=[]), replayed=False
        )

    async def propose(self, key: OrderKey, request: OrderRequest) -> Proposed:
        """Answer an OrderProposal without items."""
        self._note(f"propose {len(request.ordered_item or ())}", key)
        status = "https://openactive.io/AwaitingSellerConfirmation"
        body = OrderProposal(
            identifier=key.uuid, seller=key.seller, ordered_item=[], order_proposal_status=status
        )
        return Proposed(body, replayed=False)

    async def release(self, key: OrderKey) -> int:
        """Answer that 2 spaces came back."""
        self._note("release", key)
        return 2

    async def inspect(self, seller: str, ids: Sequence[str]) -> list[Opportunity]:
        """Know no Opportunity."""
        self._note(f"inspect {seller}", ids)
        return []

    async def register(
        self, entries: AsyncIterator[Entry], *, seller: str | None = None
    ) -> Registration:
        """Read every entry."""
        self._note("register", seller)
        done = Registration()
        async for index, entry in entries:
            self.entries.append((index, entry))
            if isinstance(entry, OpenBookingError):
                done.failed += 1
                done.errors.append(EntryError(index, error_body(entry)))
            else:
                done.registered += 1
        return done

    async def set_policy(self, seller: str, policy: SellerPolicy) -> SellerPolicy:
        """Answer the policy as it is."""
        self._note("set_policy", seller)
        return policy

    async def policy(self, seller: str) -> SellerPolicy:
        """Answer a policy that says nothing."""
        self._note("policy", seller)
        return SellerPolicy()

    async def is_ready(self) -> bool:
        """Say what the test set."""
        return self.answers_ping

    def _note(self, call: str, subject: object) -> None:
        self.calls.append((call, subject))
        if self.raises is not None:
            raise self.raises
