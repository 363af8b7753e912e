"""The wire: what the API reads and writes, as msgspec Structs.

Requests name only what the service uses: every other property that a Broker sent is skipped by the
decoder, so that no person's details are ever held in memory, let alone stored or logged.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, TypeVar, cast

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field
from msgspec.structs import force_setattr

from service.money import TOTAL_LIMIT, Amount, normal_amount
from service.text import PRINTABLE, type_names, whole

T = TypeVar("T")

CONTEXT: Final = "https://openactive.io/"
MEDIA_TYPE: Final = "application/vnd.openactive.booking+json; version=1"
MAXIMUM_ITEMS: Final = 1_000

Id = Annotated[
    str,
    whole(
        PRINTABLE,
        min_length=1,
        max_length=2048,
        description="An `@id`: printable, at most 2,048 characters.",
        examples=["https://example.com/events/452/subEvents/132"],
    ),
]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Remaining = Annotated[int, Meta(le=1_000_000_000)]
"""Some feeds let it fall below zero, which means none."""

Modified = (
    Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    | Annotated[str, whole(PRINTABLE, min_length=1, max_length=128)]
)
"""The front-end's own version of what it registers: a number rises, a text is just another."""

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


Reference = Thing | Id


class OrderItemPart(Struct, frozen=True):
    """The Opportunity or the Offer of an OrderItem; without an id the OrderItem is incomplete."""

    id: Id | None = field(name="@id", default=None)
    type: Raw | UnsetType = field(name="@type", default=UNSET)


def identity(reference: Thing | OrderItemPart | str | None) -> str:
    """Return the id of an object that may have been given as its bare `@id`; `""` without one."""
    if reference is None or isinstance(reference, str):
        return reference or ""
    return reference.id or ""


def type_of(given: Raw | UnsetType) -> str:
    """Return the first name in an `@type`; `""` where it has none."""
    return next(iter(type_names(given)), "") if given else ""


class OrderItemRequest(Struct, frozen=True):
    """One space of one Opportunity, as the Broker asks for it."""

    position: Position | None = None
    ordered_item: OrderItemPart | Id | None = field(name="orderedItem", default=None)
    accepted_offer: OrderItemPart | Id | None = field(name="acceptedOffer", default=None)
    id: Id | None = field(name="@id", default=None)


class TotalRequest(Struct, frozen=True):
    """What the Broker believes that is to be paid."""

    price: Amount = None
    price_currency: Currency | None = field(name="priceCurrency", default=None)

    def __post_init__(self) -> None:
        """Bring the amount into normal form, or refuse it."""
        force_setattr(self, "price", normal_amount(self.price, "price", limit=TOTAL_LIMIT))


class OrderBody(Struct, frozen=True):
    """The body of a call of one Order, which may say what kind of Order it is."""

    type: Raw | UnsetType = field(name="@type", default=UNSET)
    seller: Reference | None = None


class QuoteRequest(OrderBody, frozen=True):
    """The body of C1 and C2, of which only these properties are read."""

    ordered_item: Annotated[list[OrderItemRequest], Meta(max_length=MAXIMUM_ITEMS)] | None = field(
        name="orderedItem", default=None
    )


class OrderRequest(QuoteRequest, frozen=True):
    """The body of P and B, of which only these properties are read.

    Only B does without OrderItems: it books what was proposed.
    """

    customer: Raw | UnsetType = UNSET
    total_payment_due: TotalRequest | None = field(name="totalPaymentDue", default=None)


class ProposalPatch(OrderBody, frozen=True):
    """What the Seller or the Customer decided upon an OrderProposal, if they did."""

    order_proposal_status: Status | None = field(name="orderProposalStatus", default=None)


class OrderItemPatch(Struct, frozen=True):
    """An OrderItem that is to be cancelled, named by its `@id` or its position."""

    order_item_status: Status = field(name="orderItemStatus")
    id: Id | None = field(name="@id", default=None)
    position: Position | None = None


class OrderPatch(OrderBody, frozen=True, kw_only=True):
    """The OrderItems of an Order that are to be cancelled; the others stay as they are."""

    ordered_item: Annotated[list[OrderItemPatch], Meta(min_length=1, max_length=MAXIMUM_ITEMS)] = (
        field(name="orderedItem")
    )


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

    type: Literal["Organization"] = field(name="@type", default="Organization")
    id: Id | UnsetType = field(name="@id", default=UNSET)
    tax_mode: TaxMode | UnsetType = field(name="taxMode", default=UNSET)
    leasing: LeasingPolicy = LeasingPolicy()


class SellerPolicyRequest(Struct, frozen=True):
    """What a Seller's policy is to be; of the Organization nothing else is read."""

    id: Id | None = field(name="@id", default=None)
    tax_mode: TaxMode | None = field(name="taxMode", default=None)
    leasing: LeasingPolicy | None = None


if TYPE_CHECKING:
    TypeGiven: TypeAlias = str
    SpacesGiven: TypeAlias = int | None
    CurrencyGiven: TypeAlias = str | None
else:
    # The JSON as it came, of which a registration reads what is used. The union of a
    # patterned text and an array would free memory that is not its own (msgspec 0.22).
    TypeGiven = Annotated[
        Raw,
        Meta(
            description="The name of a type, or its whole IRI; of several the first counts.",
            examples=["ScheduledSession"],
            extra_json_schema={"type": ["string", "array"], "items": {"type": "string"}},
        ),
    ]
    SpacesGiven = Annotated[
        Raw, Meta(extra_json_schema={"type": ["integer", "null"], "maximum": 1_000_000_000})
    ]
    CurrencyGiven = Annotated[
        Raw,
        Meta(
            examples=["GBP"],
            extra_json_schema={"type": ["string", "null"], "pattern": "^[A-Z]{3}$"},
        ),
    ]


class OfferRegistration(Struct, frozen=True):
    """An Offer of an Opportunity, with the price that a lease guarantees (contract, rule 13)."""

    id: Id = field(name="@id")
    price: Amount = None
    price_currency: CurrencyGiven = field(name="priceCurrency", default=None)

    def __post_init__(self) -> None:
        """Bring the price into normal form, or refuse it; without one its currency is not read."""
        force_setattr(self, "price", normal_amount(self.price, "price"))
        currency = self.price_currency if self.price is not None else None
        force_setattr(self, "price_currency", _judged(currency, _CURRENCY, "priceCurrency"))


class PoolRegistration(Struct, frozen=True):
    """A capacity pool that an Opportunity draws on: each of its spaces takes `spaces` of it."""

    id: Id = field(name="@id")
    spaces: Annotated[int, Meta(ge=1, le=1_000_000)] | None = 1


class OpportunityRegistration(Struct, frozen=True):
    """An Opportunity as the front-end's own open feed has it (contract, «Calls»).

    Its spaces go by two pairs of names, of which its type uses one: the other may be anything.
    """

    id: Id = field(name="@id")
    type: TypeGiven = field(name="@type")
    seller: Reference | None = None
    maximum_attendee_capacity: SpacesGiven = field(name="maximumAttendeeCapacity", default=None)
    remaining_attendee_capacity: SpacesGiven = field(
        name="remainingAttendeeCapacity", default=None
    )
    maximum_uses: SpacesGiven = field(name="maximumUses", default=None)
    remaining_uses: SpacesGiven = field(name="remainingUses", default=None)
    modified: Modified | None = None
    offers: Annotated[list[OfferRegistration], Meta(max_length=100)] | None = None
    capacity_pools: Annotated[list[PoolRegistration], Meta(max_length=8)] | None = field(
        name="capacityPools", default=None
    )

    def __post_init__(self) -> None:
        """Bring the type and the spaces into normal form, or refuse them."""
        kind = type_of(self.type) if isinstance(self.type, Raw) else self.type
        if not kind:
            raise ValueError("Expected the name of a type - at `$.@type`")
        force_setattr(self, "type", kind)
        is_said = False
        for names in _SPACES if kind != "Slot" else reversed(_SPACES):
            for attribute, wire_name, decoder in names:
                given = getattr(self, attribute)
                if given is not None:
                    spaces = None if is_said else _judged(given, decoder, wire_name)
                    force_setattr(self, attribute, None if spaces is None else max(0, spaces))
            is_said = is_said or any(getattr(self, name) is not None for name, _, _ in names)


_COUNT: Final = msgspec.json.Decoder(Count | None)
_REMAINING: Final = msgspec.json.Decoder(Remaining | None)
_CURRENCY: Final = msgspec.json.Decoder(Currency | None)
_SPACES: Final = (
    (
        ("maximum_attendee_capacity", "maximumAttendeeCapacity", _COUNT),
        ("remaining_attendee_capacity", "remainingAttendeeCapacity", _REMAINING),
    ),
    (
        ("maximum_uses", "maximumUses", _COUNT),
        ("remaining_uses", "remainingUses", _REMAINING),
    ),
)


def _judged(given: Any, decoder: msgspec.json.Decoder[T], name: str) -> T:  # noqa: ANN401 - JSON, or made here
    """Return the value of a property that came as JSON; one that was made here is right.

    Raises:
        ValueError: It is not of its type.

    """
    if not isinstance(given, Raw):
        return cast("T", given)
    try:
        return decoder.decode(given)
    except msgspec.ValidationError as error:
        raise ValueError(f"{error} - at `$.{name}`") from error


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
