"""A booking desk for tests: the contract's calls in few words, over a real ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from service.errors import OpenBookingError
from service.ledger import Booked, Entry, Ledger, OrderKey, Proposed, Quoted, Step
from service.ledger.observer import UNOBSERVED, Observer
from service.ledger.store import Store
from service.model import (
    LeasingPolicy,
    Opportunity,
    OpportunityRegistration,
    OrderItem,
    OrderPatch,
    OrderRequest,
    ProposalPatch,
    Registration,
    SellerPolicy,
)
from service.settings import Settings

OPENACTIVE = "https://openactive.io/"
SELLER = "https://example.com/api/organisations/123"
CLASS = "https://example.com/events/452/subEvents/132"
COURT = "https://example.com/facility-uses/7/slots/9"
OFFER = "https://example.com/events/452#/offers/878"
OTHER_OFFER = "https://example.com/events/452#/offers/879"

Ask = int | Sequence[tuple[str, str] | dict[str, Any]]
"""How many spaces of the class, or pairs of Opportunity and Offer, or OrderItems as they are."""


def order_request(ask: Ask, **properties: Any) -> OrderRequest:
    """Return the body of C1, C2 or B."""
    pairs = [(CLASS, OFFER)] * ask if isinstance(ask, int) else ask
    items = [
        pair if isinstance(pair, dict) else {"orderedItem": pair[0], "acceptedOffer": pair[1]}
        for pair in pairs
    ]
    body = msgspec.json.encode({"orderedItem": items, **properties})
    return msgspec.json.decode(body, type=OrderRequest)


def errors(items: Sequence[OrderItem]) -> list[str]:
    """Return the type of each OrderItem's error, in short; `""` where there is none."""
    return ["" if not item.error else _short(item.error[0].type) for item in items]


def remaining(items: Sequence[OrderItem]) -> list[int]:
    """Return what each OrderItem says that remains."""
    opportunities = [item.ordered_item for item in items if item.ordered_item]
    return [known(opportunity.remaining_attendee_capacity) for opportunity in opportunities]


def known(spaces: int | UnsetType) -> int:
    """Return a number of spaces that must be there."""
    assert spaces is not UNSET
    return spaces


def _short(name: str) -> str:
    return {
        "OpportunityCapacityIsReservedByLeaseError": "reserved",
        "OpportunityHasInsufficientCapacityError": "insufficient",
        "OpportunityIsFullError": "full",
    }.get(name, name)


class Desk:
    """One Seller's ledger, and customers who are known by a number."""

    def __init__(self, batcher: Any, observer: Observer = UNOBSERVED, /, **settings: Any) -> None:
        """Open a desk; `settings` are those of the service, `observer` is told what happens."""
        self.batcher = batcher
        self.settings = Settings(**settings)
        self.store = Store(
            batcher,
            key_prefix=self.settings.key_prefix,
            partitions=self.settings.partitions,
            observer=observer,
        )
        self.ledger = Ledger(self.store, self.settings)

    def key(self, customer: int, partner: str = "default", seller: str = SELLER) -> OrderKey:
        """Return the name of a customer's Order."""
        return OrderKey(seller, partner, str(UUID(int=customer)))

    async def register(self, capacity: int, id_: str = CLASS, **properties: Any) -> Registration:
        """Register an Opportunity, a class unless another is named."""
        entry = {
            "@type": "ScheduledSession",
            "@id": id_,
            "seller": SELLER,
            "maximumAttendeeCapacity": capacity,
        }
        return await self.register_entries(entry | properties)

    async def register_entries(self, *entries: dict[str, Any]) -> Registration:
        """Register entries as they are."""

        async def decoded() -> AsyncIterator[Entry]:
            for index, entry in enumerate(entries):
                text = msgspec.json.encode({k: v for k, v in entry.items() if v is not None})
                yield index, msgspec.json.decode(text, type=OpportunityRegistration)

        return await self.ledger.register(decoded())

    async def quote(
        self, customer: int, ask: Ask, step: Step = Step.ANONYMOUS, *, strict: bool = False
    ) -> Quoted:
        """C1, or C2."""
        return await self.ledger.quote(self.key(customer), step, order_request(ask), strict=strict)

    async def quoted_errors(self, customer: int, ask: Ask) -> list[str]:
        """C1, and what it says of each OrderItem."""
        return errors((await self.quote(customer, ask)).body.ordered_item)

    async def book(self, customer: int, ask: Ask, /, **properties: Any) -> Booked:
        """B."""
        return await self.ledger.book(self.key(customer), order_request(ask, **properties))

    async def propose(self, customer: int, ask: Ask, /, **properties: Any) -> Proposed:
        """P."""
        return await self.ledger.propose(self.key(customer), order_request(ask, **properties))

    async def book_proposed(self, customer: int) -> Booked:
        """B of what was proposed."""
        return await self.ledger.book(self.key(customer), OrderRequest())

    async def decide(self, customer: int, status: str) -> None:
        """Say what the Seller or the Customer decided."""
        patch = ProposalPatch(order_proposal_status=OPENACTIVE + status)
        await self.ledger.decide(self.key(customer), patch)

    async def cancel(self, customer: int, *names: int | str, by: str = "Customer") -> None:
        """Cancel OrderItems, named by their position or their id."""
        items = [
            {
                "position" if isinstance(name, int) else "@id": name,
                "orderItemStatus": f"{OPENACTIVE}{by}Cancelled",
            }
            for name in names
        ]
        patch = msgspec.convert({"orderedItem": items}, OrderPatch)
        await self.ledger.cancel(self.key(customer), patch)

    async def pay(self, customer: int, seconds: int) -> int:
        """Open a payment window; return when the lease expires, in seconds since 1970."""
        lease = await self.ledger.open_payment_window(self.key(customer), seconds)
        return _epoch_seconds(lease.lease_expires)

    async def policy(self, **leasing: Any) -> SellerPolicy:
        """Replace the Seller's policy by one of these terms, as the wire has them."""
        tax_mode = leasing.pop("taxMode", UNSET)
        policy = SellerPolicy(tax_mode=tax_mode, leasing=msgspec.convert(leasing, LeasingPolicy))
        return await self.ledger.set_policy(SELLER, policy)

    async def refused_booking(self, customer: int, ask: Ask) -> OpenBookingError:
        """B that is refused."""
        try:
            await self.book(customer, ask)
        except OpenBookingError as error:
            return error
        raise AssertionError("it was booked")

    async def release(self, customer: int) -> int:
        """Release."""
        return await self.ledger.release(self.key(customer))

    async def inspect(self, id_: str = CLASS) -> Opportunity:
        """Inspect one Opportunity."""
        [found] = await self.ledger.inspect(SELLER, [id_])
        return found

    async def spaces(self, id_: str = CLASS) -> tuple[int, int, int]:
        """Return booked, leased and free spaces, as the ledger has them."""
        found = await self.inspect(id_)
        return found.booked, found.leased, known(found.remaining_attendee_capacity)

    async def now(self) -> float:
        """Return Redis's clock, in seconds."""
        seconds, microseconds = await self.batcher.command("TIME")
        return int(seconds) + int(microseconds) / 1_000_000

    async def raw_keys(self, pattern: str) -> list[str]:
        """Return the Redis keys of this test that match."""
        return [key.decode() for key in await self.batcher.command("KEYS", pattern)]


def epoch_seconds(quoted: Quoted) -> int:
    """Return `leaseExpires` in seconds since 1970."""
    assert quoted.body.lease
    return _epoch_seconds(quoted.body.lease.lease_expires)


def _epoch_seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
