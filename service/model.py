"""The wire: what the API reads and writes, as msgspec Structs.

Requests name only what the service uses: every other property that a Broker sent is skipped by the
decoder, so that no person's details are ever held in memory, let alone stored or logged.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from service.input import (
    Count,
    Currency,
    Duration,
    Id,
    Instant,
    Limit,
    Modified,
    Position,
    Remaining,
    Spaces,
    Status,
    TypeName,
    TypeText,
    type_name,
    usable,
    whole_seconds,
)

CONTEXT: Final = "https://openactive.io/"
MEDIA_TYPE: Final = "application/vnd.openactive.booking+json; version=1"
MAXIMUM_ITEMS: Final = 1_000

Price = Annotated[Decimal, Meta(description="A decimal number, exact.", examples=[10])]

_PRICE_LIMIT: Final = 1_000_000_000
_PRICE_DECIMALS: Final = 6

TaxMode = Literal["https://openactive.io/TaxGross", "https://openactive.io/TaxNet"]


def check_price(price: Decimal, *, limit: int = _PRICE_LIMIT) -> None:
    """Refuse what is no amount of money: as a Decimal, msgspec reads even NaN.

    Raises:
        ValueError: It is negative, too large, too fine, or no number.

    """
    exponent = price.as_tuple().exponent
    if not (isinstance(exponent, int) and exponent >= -_PRICE_DECIMALS and 0 <= price < limit):
        raise ValueError(f"Expected a price below {limit}, of at most {_PRICE_DECIMALS} decimals")


class Thing(Struct, frozen=True):
    """An object of which only its identity matters here."""

    id: Id = field(name="@id")


class ItemPart(Struct, frozen=True):
    """The Opportunity or the Offer of an OrderItem; without its `@id` it is none (rule 4)."""

    id: Id | None = field(name="@id", default=None)
    type: Raw | UnsetType = field(name="@type", default=UNSET)


Reference = Thing | Id


def identity(reference: Reference | ItemPart | None) -> str:
    """Return the id of an object that may have been given as its bare `@id`; `""` without one."""
    if isinstance(reference, str):
        return reference
    return (reference and reference.id) or ""


class OrderItemRequest(Struct, frozen=True):
    """One space of one Opportunity, as the Broker asks for it."""

    position: Position | None = None
    ordered_item: ItemPart | Id | None = field(name="orderedItem", default=None)
    accepted_offer: ItemPart | Id | None = field(name="acceptedOffer", default=None)
    id: Id | None = field(name="@id", default=None)


class TotalRequest(Struct, frozen=True):
    """What the Broker believes that is to be paid."""

    price: Price | None = None

    def __post_init__(self) -> None:
        """Refuse what is no amount of money."""
        if self.price is not None:
            check_price(self.price, limit=_PRICE_LIMIT * MAXIMUM_ITEMS)


class QuoteRequest(Struct, frozen=True):
    """The body of C1 and C2, of which only these properties are read."""

    type: Raw | UnsetType = field(name="@type", default=UNSET)
    ordered_item: Annotated[list[OrderItemRequest], Meta(max_length=MAXIMUM_ITEMS)] | None = field(
        name="orderedItem", default=None
    )
    seller: Reference | None = None


class OrderRequest(QuoteRequest, frozen=True):
    """The body of P and B, of which only these properties are read.

    Only B does without OrderItems: it books what was proposed.
    """

    customer: Raw | UnsetType = UNSET
    total_payment_due: TotalRequest | None = field(name="totalPaymentDue", default=None)


class ProposalPatch(Struct, frozen=True):
    """What the Seller or the Customer decided upon an OrderProposal, if they did."""

    order_proposal_status: Status | None = field(name="orderProposalStatus", default=None)
    seller: Reference | None = None


class OrderItemPatch(Struct, frozen=True):
    """An OrderItem that is to be cancelled, named by its `@id` or its position."""

    order_item_status: Status = field(name="orderItemStatus")
    id: Id | None = field(name="@id", default=None)
    position: Position | None = None


class OrderPatch(Struct, frozen=True):
    """The OrderItems of an Order that are to be cancelled; the others stay as they are."""

    ordered_item: Annotated[list[OrderItemPatch], Meta(min_length=1, max_length=MAXIMUM_ITEMS)] = (
        field(name="orderedItem")
    )
    seller: Reference | None = None


class PaymentWindowRequest(Struct, frozen=True):
    """How long a lease is to last from now, at least, so that money can move."""

    duration: Duration
    seller: Reference | None = None

    def __post_init__(self) -> None:
        """Refuse a length that no clock could keep."""
        whole_seconds(self.duration)


class StepPolicy(Struct, frozen=True):
    """How long a step leases."""

    duration: Duration

    def __post_init__(self) -> None:
        """Refuse a length that no clock could keep."""
        whole_seconds(self.duration)


class LeasingPolicy(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """How a Seller leases; a step that is null does not; the settings say what is left out."""

    anonymous: StepPolicy | UnsetType | None = UNSET
    named: StepPolicy | UnsetType | None = UNSET
    proposal: StepPolicy | UnsetType | None = UNSET
    maximum_hold: Duration | UnsetType | None = UNSET
    maximum_spaces: Limit | UnsetType | None = UNSET
    maximum_leases: Limit | UnsetType | None = UNSET
    payment_window: Duration | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        """Refuse lengths that no clock could keep."""
        lengths = {"maximumHold": self.maximum_hold, "paymentWindow": self.payment_window}
        for name, length in lengths.items():
            if isinstance(length, timedelta):
                whole_seconds(length, name)


class SellerPolicy(Struct, frozen=True):
    """A Seller's policy (contract, rule 14)."""

    type: str = field(name="@type", default="Organization")
    id: Id | UnsetType = field(name="@id", default=UNSET)
    tax_mode: TaxMode | UnsetType = field(name="taxMode", default=UNSET)
    leasing: LeasingPolicy = LeasingPolicy()


class StepPolicyRequest(StepPolicy, frozen=True, forbid_unknown_fields=True):
    """How long a step is to lease: nothing that is misspelt."""


class LeasingPolicyRequest(LeasingPolicy, frozen=True, forbid_unknown_fields=True):
    """How a Seller is to lease: nothing that is misspelt."""

    anonymous: StepPolicyRequest | UnsetType | None = UNSET
    named: StepPolicyRequest | UnsetType | None = UNSET
    proposal: StepPolicyRequest | UnsetType | None = UNSET


class SellerPolicyRequest(Struct, frozen=True):
    """What a Seller's policy is to be; of the Organization nothing else is read."""

    id: Id | None = field(name="@id", default=None)
    tax_mode: TaxMode | None = field(name="taxMode", default=None)
    leasing: LeasingPolicyRequest | None = None


class OfferRegistration(Struct, frozen=True):
    """An Offer of an Opportunity, with the price that a lease guarantees (contract, rule 13)."""

    id: Id = field(name="@id")
    price: Price | None = None
    price_currency: Currency | None = field(name="priceCurrency", default=None)

    def __post_init__(self) -> None:
        """Refuse what is no amount of money."""
        if self.price is not None:
            check_price(self.price)


class PoolRegistration(Struct, frozen=True):
    """A capacity pool that an Opportunity draws on: each of its spaces takes `spaces` of it."""

    id: Id = field(name="@id")
    spaces: Spaces | None = 1


# Spaces have two names, of which a type of Opportunity goes by one: the other may be anything.
_Maximum = Annotated[
    Any,
    Meta(extra_json_schema={"type": ["integer", "null"], "minimum": 0, "maximum": 1_000_000_000}),
]
_Remaining = Annotated[
    Any, Meta(extra_json_schema={"type": ["integer", "null"], "maximum": 1_000_000_000})
]


# A text, or an array of them. As a union of the two with bounds, msgspec 0.22 frees memory that is
# not its own once the Struct goes.
_Type = Annotated[
    Any,
    Meta(
        description="The name of a type, or all of its IRI; of several the first counts.",
        examples=["ScheduledSession"],
        extra_json_schema={"type": ["string", "array"], "items": {"type": "string"}},
    ),
]


class OpportunityRegistration(Struct, frozen=True):
    """An Opportunity as the front-end's own open feed has it (contract, «Calls»)."""

    id: Id = field(name="@id")
    type: _Type = field(name="@type")
    seller: Reference | None = None
    maximum_attendee_capacity: _Maximum = field(name="maximumAttendeeCapacity", default=None)
    remaining_attendee_capacity: _Remaining = field(name="remainingAttendeeCapacity", default=None)
    maximum_uses: _Maximum = field(name="maximumUses", default=None)
    remaining_uses: _Remaining = field(name="remainingUses", default=None)
    modified: Modified | None = None
    offers: Annotated[list[OfferRegistration], Meta(max_length=100)] | None = None
    capacity_pools: Annotated[list[PoolRegistration], Meta(max_length=8)] | None = field(
        name="capacityPools", default=None
    )

    def __post_init__(self) -> None:
        """Refuse spaces that are no number, and a type that has no name."""
        usable(self.kind, TypeName, "$.@type")
        self.spaces()

    @property
    def kind(self) -> str:
        """The name of its type, the first of several."""
        names = self.type if isinstance(self.type, list) else [self.type]
        name: str = usable(names[0] if names else None, TypeText, "$.@type")
        return type_name(name)

    def spaces(self) -> tuple[int | None, int | None]:
        """Return the maximum and the remaining spaces, by whichever names they were given.

        Raises:
            OpenBookingError: One of the two is no number of spaces.

        """
        attendees = (self.maximum_attendee_capacity, self.remaining_attendee_capacity)
        uses = (self.maximum_uses, self.remaining_uses)
        pairs = [("AttendeeCapacity", *attendees), ("Uses", *uses)]
        if self.kind == "Slot":
            pairs.reverse()
        name, maximum, remaining = pairs[pairs[0][1:] == (None, None)]
        if maximum is not None:
            maximum = int(usable(maximum, Count, f"$.maximum{name}"))
        if remaining is not None:
            remaining = max(0, int(usable(remaining, Remaining, f"$.remaining{name}")))
        return maximum, remaining


class Error(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An OpenActive `OpenBookingError` or one of its subclasses."""

    context: str | UnsetType = field(name="@context", default=UNSET)
    type: str = field(name="@type")
    status_code: int = field(name="statusCode")
    name: str
    description: str
    request_id: str | UnsetType = field(name="requestId", default=UNSET)
    ordered_item: list[OrderItem] | UnsetType = field(name="orderedItem", default=UNSET)


class Lease(Struct, frozen=True, kw_only=True):
    """The spaces held for an Order until `leaseExpires`, an instant on a whole second (UTC)."""

    type: Literal["Lease"] = field(name="@type", default="Lease")
    lease_expires: Instant = field(name="leaseExpires")


class Offer(Struct, frozen=True, kw_only=True):
    """The Offer of an OrderItem, with the guaranteed price where one is registered."""

    type: Literal["Offer"] = field(name="@type", default="Offer")
    id: str = field(name="@id")
    price: Price | UnsetType = UNSET
    price_currency: str | UnsetType = field(name="priceCurrency", default=UNSET)


class PriceSpecification(Struct, frozen=True, kw_only=True):
    """The sum of prices that are known, in one currency."""

    type: Literal["PriceSpecification"] = field(name="@type", default="PriceSpecification")
    price: Price
    price_currency: str | UnsetType = field(name="priceCurrency", default=UNSET)


class OrderedOpportunity(Struct, frozen=True, kw_only=True):
    """The Opportunity of an OrderItem; what remains is *A* of rule 1: one's own lease included."""

    type: str | UnsetType = field(name="@type", default=UNSET)
    id: str = field(name="@id")
    remaining_attendee_capacity: int | UnsetType = field(
        name="remainingAttendeeCapacity", default=UNSET
    )
    remaining_uses: int | UnsetType = field(name="remainingUses", default=UNSET)


class OrderItem(Struct, frozen=True, kw_only=True):
    """One space of one Opportunity, as the service answers it."""

    type: Literal["OrderItem"] = field(name="@type", default="OrderItem")
    id: str | UnsetType = field(name="@id", default=UNSET)
    position: int
    order_item_status: str | UnsetType = field(name="orderItemStatus", default=UNSET)
    accepted_offer: Offer | UnsetType = field(name="acceptedOffer", default=UNSET)
    ordered_item: OrderedOpportunity | UnsetType = field(name="orderedItem", default=UNSET)
    error: list[Error] | UnsetType = UNSET


class OrderQuote(Struct, frozen=True, kw_only=True):
    """The answer to C1 and C2, and to a look at a live lease."""

    context: Literal["https://openactive.io/"] = field(name="@context", default=CONTEXT)
    type: Literal["OrderQuote"] = field(name="@type", default="OrderQuote")
    identifier: str
    seller: str
    ordered_item: list[OrderItem] = field(name="orderedItem")
    lease: Lease | UnsetType = UNSET
    total_payment_due: PriceSpecification | UnsetType = field(
        name="totalPaymentDue", default=UNSET
    )


class Order(Struct, frozen=True, kw_only=True):
    """The answer to B, and to a look at an Order."""

    context: Literal["https://openactive.io/"] = field(name="@context", default=CONTEXT)
    type: Literal["Order"] = field(name="@type", default="Order")
    identifier: str
    seller: str
    ordered_item: list[OrderItem] = field(name="orderedItem")
    total_payment_due: PriceSpecification | UnsetType = field(
        name="totalPaymentDue", default=UNSET
    )


class OrderProposal(Struct, frozen=True, kw_only=True):
    """The answer to P, and to a look at an OrderProposal."""

    context: Literal["https://openactive.io/"] = field(name="@context", default=CONTEXT)
    type: Literal["OrderProposal"] = field(name="@type", default="OrderProposal")
    identifier: str
    seller: str
    order_proposal_status: str = field(name="orderProposalStatus")
    ordered_item: list[OrderItem] = field(name="orderedItem")
    lease: Lease | UnsetType = UNSET
    total_payment_due: PriceSpecification | UnsetType = field(
        name="totalPaymentDue", default=UNSET
    )


class Opportunity(Struct, frozen=True, kw_only=True):
    """The ledger of one Opportunity; what remains leaves nobody's own lease out (rule 1)."""

    type: str = field(name="@type")
    id: str = field(name="@id")
    seller: str
    booked: int
    leased: int
    maximum_attendee_capacity: int | UnsetType = field(
        name="maximumAttendeeCapacity", default=UNSET
    )
    remaining_attendee_capacity: int | UnsetType = field(
        name="remainingAttendeeCapacity", default=UNSET
    )
    maximum_uses: int | UnsetType = field(name="maximumUses", default=UNSET)
    remaining_uses: int | UnsetType = field(name="remainingUses", default=UNSET)


class EntryError(Struct, frozen=True):
    """Why one entry of a registration was refused; `index` counts entries from 0."""

    index: int
    error: Error


class Registration(Struct):
    """What a registration did: how many entries were new, changed, the same, or refused."""

    registered: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    errors: list[EntryError] = msgspec.field(default_factory=list)
