"""The wire: what the API reads and writes, as msgspec Structs.

Requests name only what the service uses: every other property that a Broker sent is skipped by the
decoder, so that no person's details are ever held in memory, let alone stored or logged.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field
from msgspec.structs import force_setattr

from service.money import TOTAL_LIMIT, Amount, normal_amount
from service.text import whole

CONTEXT: Final = "https://openactive.io/"
MEDIA_TYPE: Final = "application/vnd.openactive.booking+json; version=1"
MAXIMUM_ITEMS: Final = 1_000

Id = Annotated[
    str,
    whole(
        # No control character, C1's among them, nor what some readers take for a line's end.
        r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]+",
        min_length=1,
        max_length=2048,
        description="An `@id`: printable, at most 2,048 characters.",
        examples=["https://example.com/events/452/subEvents/132"],
    ),
]
TypeName = Annotated[str, whole("[A-Za-z][A-Za-z:]*", max_length=64)]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Currency = Annotated[str, whole("[A-Z]{3}", examples=["GBP"])]
Price = Annotated[Decimal, Meta(description="A decimal number, exact.", examples=[10])]
Position = Annotated[int, Meta(ge=0, le=1_000_000)]
Limit = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Status = Annotated[str, Meta(max_length=128, examples=["https://openactive.io/CustomerCancelled"])]
TaxMode = Literal["https://openactive.io/TaxGross", "https://openactive.io/TaxNet"]
Duration = Annotated[
    timedelta,
    Meta(
        description="ISO 8601, whole seconds, at most a year.",
        examples=["PT15M"],
        # For the document: years, months and weeks are not read.
        extra_json_schema={
            "pattern": r"^P(\d{1,3}D|(\d{1,3}D)?T(\d{1,4}H(\d{1,6}M)?(\d{1,8}S)?"
            r"|\d{1,6}M(\d{1,8}S)?|\d{1,8}S))$"
        },
    ),
]

_LONGEST: Final = timedelta(days=366)


def whole_seconds(length: timedelta, name: str = "duration") -> int:
    """Return a length of time in seconds.

    Args:
        length: As it was decoded.
        name: What the wire calls it, for the message: here msgspec names only what it is part of.

    Raises:
        ValueError: It is not of whole seconds, or not between a second and a year.

    """
    if length.microseconds or not timedelta(seconds=1) <= length <= _LONGEST:
        raise ValueError(f"Expected {name} to be of whole seconds between PT1S and P366D")
    return int(length.total_seconds())


class Thing(Struct, frozen=True):
    """An object of which only its identity matters here."""

    id: Id = field(name="@id")
    type: Annotated[str, whole("[A-Za-z:]*", max_length=64)] = field(name="@type", default="")


Reference = Thing | Id


def identity(reference: Reference) -> str:
    """Return the id of an object that may have been given as its bare `@id`."""
    return reference if isinstance(reference, str) else reference.id


class OrderItemRequest(Struct, frozen=True):
    """One space of one Opportunity, as the Broker asks for it."""

    position: Position | None = None
    ordered_item: Reference | None = field(name="orderedItem", default=None)
    accepted_offer: Reference | None = field(name="acceptedOffer", default=None)
    id: Id | None = field(name="@id", default=None)


class TotalRequest(Struct, frozen=True):
    """What the Broker believes that is to be paid."""

    price: Amount = None
    price_currency: Currency | None = field(name="priceCurrency", default=None)

    def __post_init__(self) -> None:
        """Bring the amount into normal form, or refuse it."""
        force_setattr(self, "price", normal_amount(self.price, "price", limit=TOTAL_LIMIT))


class OrderRequest(Struct, frozen=True):
    """The body of C1, C2, P and B, of which only these properties are read.

    Only B does without OrderItems: it books what was proposed.
    """

    ordered_item: Annotated[list[OrderItemRequest], Meta(max_length=MAXIMUM_ITEMS)] | None = field(
        name="orderedItem", default=None
    )
    seller: Reference | None = None
    customer: Raw = field(default_factory=Raw)
    total_payment_due: TotalRequest | None = field(name="totalPaymentDue", default=None)


class ProposalPatch(Struct, frozen=True):
    """What the Seller or the Customer decided upon an OrderProposal."""

    order_proposal_status: Status = field(name="orderProposalStatus")
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
    maximum_hold: Duration | UnsetType = UNSET
    maximum_spaces: Limit | UnsetType = UNSET
    maximum_leases: Limit | UnsetType = UNSET
    payment_window: Duration | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse lengths that no clock could keep."""
        lengths = {"maximumHold": self.maximum_hold, "paymentWindow": self.payment_window}
        for name, length in lengths.items():
            if length is not UNSET:
                whole_seconds(length, name)


class SellerPolicy(Struct, frozen=True):
    """A Seller's policy (contract, rule 14)."""

    type: TypeName = field(name="@type", default="Organization")
    id: Id | UnsetType = field(name="@id", default=UNSET)
    tax_mode: TaxMode | UnsetType = field(name="taxMode", default=UNSET)
    leasing: LeasingPolicy = LeasingPolicy()


class OfferRegistration(Struct, frozen=True):
    """An Offer of an Opportunity, with the price that a lease guarantees (contract, rule 13)."""

    id: Id = field(name="@id")
    price: Amount = None
    price_currency: Currency | None = field(name="priceCurrency", default=None)

    def __post_init__(self) -> None:
        """Bring the price into normal form, or refuse it."""
        force_setattr(self, "price", normal_amount(self.price, "price"))


class PoolRegistration(Struct, frozen=True):
    """A capacity pool that an Opportunity draws on: each of its spaces takes `spaces` of it."""

    id: Id = field(name="@id")
    spaces: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class OpportunityRegistration(Struct, frozen=True):
    """An Opportunity as the front-end's own open feed has it (contract, «Calls»)."""

    id: Id = field(name="@id")
    type: TypeName = field(name="@type")
    seller: Reference | None = None
    maximum_attendee_capacity: Count | None = field(name="maximumAttendeeCapacity", default=None)
    remaining_attendee_capacity: Count | None = field(
        name="remainingAttendeeCapacity", default=None
    )
    maximum_uses: Count | None = field(name="maximumUses", default=None)
    remaining_uses: Count | None = field(name="remainingUses", default=None)
    modified: Annotated[int, Meta(ge=0, le=2**53 - 1)] | None = None
    offers: Annotated[list[OfferRegistration], Meta(max_length=100)] = []
    capacity_pools: Annotated[list[PoolRegistration], Meta(max_length=8)] = field(
        name="capacityPools", default=[]
    )


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
    lease_expires: Annotated[
        str, whole(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", examples=["2018-10-01T11:00:00Z"])
    ] = field(name="leaseExpires")


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
