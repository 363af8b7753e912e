"""What a Broker sends, and the checks that need nothing else (Open Booking API, «Error Model»)."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct, field

from examples.booking_front_end.errors import (
    IncompleteBrokerDetailsError,
    IncompleteCustomerDetailsError,
    PatchContainsExcessivePropertiesError,
)
from service.errors import OpenBookingError
from service.model import Reference, identity

T = TypeVar("T")

NO_BROKER: Final = "https://openactive.io/NoBroker"
RESELLER: Final = "https://openactive.io/ResellerBroker"

Thing = dict[str, Any]

_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode


class Total(Struct, frozen=True):
    """What the Broker believes that is to be paid."""

    price: Decimal | None = None


class ItemBody(Struct, frozen=True, rename="camel"):
    """One space of one Opportunity, as the Broker asks for it."""

    position: int | None = None
    ordered_item: Reference | None = None
    accepted_offer: Reference | None = None
    attendee: Thing | None = None
    order_item_intake_form_response: list[Thing] | None = None


class OrderBody(Struct, frozen=True, rename="camel"):
    """The body of C1, C2, P and B."""

    seller: Reference | None = None
    broker_role: str = "https://openactive.io/AgentBroker"
    broker: Thing | None = None
    customer: Thing | None = None
    ordered_item: list[ItemBody] = []
    total_payment_due: Total = Total()
    payment: Thing | None = None
    order_proposal_version: str | None = None

    @property
    def seller_id(self) -> str:
        """The Seller's `@id`, `""` where there is none."""
        return identity(self.seller) if self.seller else ""

    def check_parties(self, *, customer: bool) -> None:
        """Refuse an Order whose Broker or Customer is incomplete.

        Args:
            customer: Whether this step needs one: C1 does not.

        Raises:
            IncompleteBrokerDetailsError: The Broker has no name, or there should be none.
            IncompleteCustomerDetailsError: There is no Customer, or no email address.

        """
        if self.broker_role == NO_BROKER:
            if self.broker is not None:
                raise IncompleteBrokerDetailsError("There is a broker, and the role is NoBroker.")
        elif not (self.broker or {}).get("name"):
            raise IncompleteBrokerDetailsError("$.broker.name is missing.")
        # A Reseller answers for the Customer itself.
        if customer and self.broker_role != RESELLER and not (self.customer or {}).get("email"):
            raise IncompleteCustomerDetailsError("$.customer.email is missing.")

    def parties(self) -> Thing:
        """Return what an answer repeats of the request, but for the Customer."""
        said = {"brokerRole": self.broker_role, "broker": self.broker, "payment": self.payment}
        return {name: value for name, value in said.items() if value is not None}


class ItemPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """An OrderItem to cancel."""

    id: str = field(name="@id")
    type: Any = field(name="@type", default=None)
    order_item_status: str = field(name="orderItemStatus", default="")


class OrderPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """What a Customer may change of an Order."""

    ordered_item: list[ItemPatch] = field(name="orderedItem", default=[])
    context: Any = field(name="@context", default=None)
    type: Any = field(name="@type", default=None)
    id: Any = field(name="@id", default=None)


class ProposalPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """What a Customer may change of an OrderProposal."""

    order_proposal_status: str | None = field(name="orderProposalStatus", default=None)
    order_customer_note: str | None = field(name="orderCustomerNote", default=None)
    context: Any = field(name="@context", default=None)
    type: Any = field(name="@type", default=None)
    id: Any = field(name="@id", default=None)


async def read(request: web.Request, kind: type[T]) -> T:
    """Return the body of a request.

    Raises:
        PatchContainsExcessivePropertiesError: It would change what may not be changed.
        OpenBookingError: It is not what it should be; the description names the place.

    """
    try:
        return msgspec.convert(_understood(_decode(await request.read())), kind)
    except msgspec.ValidationError as error:
        problem = f"{error}."
        if "unknown field" in problem:
            raise PatchContainsExcessivePropertiesError(problem) from error
    except (msgspec.DecodeError, RecursionError) as error:
        problem = f"{error}."
    raise OpenBookingError(problem)


def _understood(said: Any) -> Any:  # noqa: ANN401 - JSON has no type
    """Return what was said, without the properties of custom namespaces (`acme:x`)."""
    match said:
        case dict():
            return {name: _understood(value) for name, value in said.items() if ":" not in name}
        case list():
            return [_understood(each) for each in said]
    return said


async def digest(request: web.Request) -> str:
    """Return what makes two requests the same: all of their body, however it is laid out."""
    said = msgspec.json.decode(await request.read())
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()
