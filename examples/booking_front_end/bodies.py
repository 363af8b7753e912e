"""What a Broker sends, and the checks that need nothing else (Open Booking API, «Error Model»)."""

from __future__ import annotations

import hashlib
import json
from decimal import Context, Decimal
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import Raw, Struct, field

from examples.booking_front_end.errors import (
    IncompleteBrokerDetailsError,
    IncompleteCustomerDetailsError,
    PatchContainsExcessivePropertiesError,
)
from examples.booking_front_end.storage import to_json
from service.errors import OpenBookingError, UnexpectedOrderTypeError
from service.model import Id, OrderItemPart, Reference, TotalRequest, identity, type_of

T = TypeVar("T")

NO_BROKER: Final = "https://openactive.io/NoBroker"
RESELLER: Final = "https://openactive.io/ResellerBroker"

Thing = dict[str, Any]

_ORDER_TYPES: Final = {"OrderQuote", "OrderProposal", "Order"}
_AGENT: Final = "https://openactive.io/AgentBroker"
_DEEPEST: Final = 200
_LONGEST_NUMBER: Final = 1_000
_DIGITS: Final = 19

_exact: Final = Context(prec=_LONGEST_NUMBER)
_in_order: Final = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode


class ItemBody(Struct, frozen=True, rename="camel"):
    """One space of one Opportunity, as the Broker asks for it."""

    position: int | None = None
    ordered_item: OrderItemPart | Id | None = None
    accepted_offer: OrderItemPart | Id | None = None
    attendee: Thing | None = None
    order_item_intake_form_response: list[Thing] | None = None


class OrderBody(Struct, frozen=True, rename="camel"):
    """The body of P and B."""

    type: Any = field(name="@type", default=None)
    seller: Reference | None = None
    broker_role: str | None = None
    broker: Thing | None = None
    customer: Thing | None = None
    ordered_item: list[ItemBody] | None = None
    total_payment_due: TotalRequest | None = None
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
        role = self.broker_role
        if role == NO_BROKER:
            if self.broker is not None:
                raise IncompleteBrokerDetailsError("There is a broker, and the role is NoBroker.")
        elif not (self.broker or {}).get("name"):
            raise IncompleteBrokerDetailsError("$.broker.name is missing.")
        # A Reseller answers for the Customer itself.
        if customer and role != RESELLER and not (self.customer or {}).get("email"):
            raise IncompleteCustomerDetailsError("$.customer.email is missing.")

    def parties(self) -> Thing:
        """Return what an answer repeats of the request, but for the Customer."""
        role = self.broker_role or _AGENT
        said = {"brokerRole": role, "broker": self.broker, "payment": self.payment}
        return {name: value for name, value in said.items() if value is not None}


class QuoteBody(OrderBody, frozen=True):
    """The body of C1 and C2, at which nothing is paid: the Broker may believe what it likes."""

    total_payment_due: Any = None


class ItemPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """An OrderItem to cancel."""

    id: str = field(name="@id")
    type: Any = field(name="@type", default=None)
    order_item_status: str = field(name="orderItemStatus", default="")


class OrderPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """What a Customer may change of an Order."""

    ordered_item: list[ItemPatch] | None = field(name="orderedItem", default=None)
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


OrderT = TypeVar("OrderT", OrderBody, QuoteBody, OrderPatch, ProposalPatch)


async def read(request: web.Request, shape: type[OrderT], kind: str) -> OrderT:
    """Return the body of a call of one Order.

    Args:
        request: The call.
        shape: What the body should be.
        kind: `OrderQuote`, `OrderProposal` or `Order`.

    Raises:
        PatchContainsExcessivePropertiesError: It would change what may not be changed.
        UnexpectedOrderTypeError: It says that it is another kind of Order.
        OpenBookingError: It is not what it should be; the description names the place.

    """
    body = shaped(_understood(parse(await request.read())), shape)
    named = body.type if isinstance(body.type, list) else [body.type]
    said = _ORDER_TYPES & {type_of(Raw(to_json(name).encode())) for name in named}
    if said and kind not in said:
        raise UnexpectedOrderTypeError(f"$.@type: here is {kind} right, and this is {min(said)}.")
    if isinstance(body, OrderPatch | ProposalPatch) and body.id is not None:
        uuid = request.path.rpartition("/")[2]
        if not str(body.id).lower().endswith(f"/{uuid.lower()}"):
            raise PatchContainsExcessivePropertiesError("$.@id: the Order has another one.")
    return body


def parse(body: bytes) -> Any:  # noqa: ANN401 - JSON has no type
    """Return what JSON says, every number exact and in one normal form, and no half characters.

    Raises:
        OpenBookingError: It is none, or not UTF-8, or nested too deeply.

    """
    try:
        said = json.loads(
            body.decode("utf-8-sig"),
            parse_float=_number,
            parse_int=_number,
            parse_constant=_no_number,
        )
        return _plain(said, 0)
    except (RecursionError, ValueError) as error:
        raise OpenBookingError(f"The body is not the JSON that it should be: {error}.") from error


def shaped(said: object, shape: type[T]) -> T:
    """Return what was said in the shape that it should have.

    Raises:
        PatchContainsExcessivePropertiesError: It has more than the shape allows.
        OpenBookingError: It is not what it should be; the description names the place.

    """
    try:
        return msgspec.json.Decoder(shape, float_hook=Decimal).decode(to_json(said))
    except msgspec.ValidationError as error:
        problem = f"{error}."
        if "unknown field" in problem:
            raise PatchContainsExcessivePropertiesError(problem) from error
        raise OpenBookingError(problem) from error


def _number(text: str) -> int | Decimal | str:
    try:
        if len(text) <= _LONGEST_NUMBER:
            number = _exact.normalize(_exact.create_decimal(text))
            whole = number.adjusted() < _DIGITS and number == int(number)
            return int(number) if whole else number
    except ArithmeticError:
        pass
    # Nobody can reckon with it, and nobody here has to: it stays as it was written.
    return text


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _plain(said: Any, depth: int) -> Any:  # noqa: ANN401 - JSON has no type
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    match said:
        case dict():
            return {_plain(name, depth): _plain(each, depth + 1) for name, each in said.items()}
        case list():
            return [_plain(each, depth + 1) for each in said]
        case str():
            # Half a surrogate pair is a character nowhere.
            return said.encode(errors="replace").decode()
    return said


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
    return hashlib.sha256(_in_order(parse(await request.read()))).hexdigest()
