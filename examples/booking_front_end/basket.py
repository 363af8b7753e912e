"""The OrderItems of an Order, from what the Broker asks for to what it is answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from examples.booking_front_end import pricing
from examples.booking_front_end.answers import error_body
from examples.booking_front_end.bodies import ItemBody
from examples.booking_front_end.catalogue import Opportunity, remaining_name
from examples.booking_front_end.errors import (
    OpportunityOfferPairNotBookableError,
    SellerMismatchError,
)
from examples.booking_front_end.listings import APPROVAL
from examples.booking_front_end.sellers import Seller
from service.errors import (
    IncompleteOrderItemError,
    OpenBookingError,
    OpportunityIsInConflictError,
    UnknownOfferError,
    UnknownOpportunityError,
)
from service.model import OrderItem, OrderItemPart, OrderItemRequest, identity

_NOT_IN_AN_ORDER: Final = {
    "@context",
    "individualFacilityUse",
    "offers",
    "organizer",
    "provider",
    "subEvent",
}


class Line(Struct):
    """One OrderItem on its way through the front-end."""

    position: int
    asked: ItemBody
    opportunity: Opportunity | None = None
    offer: dict[str, Any] = {}
    remaining: int = 0
    error: dict[str, Any] | None = None

    @property
    def price(self) -> Decimal:
        """What it costs, without tax that comes on top."""
        return Decimal(self.offer.get("price", 0))

    def request(self) -> OrderItemRequest:
        """Return what the service is asked for."""
        return OrderItemRequest(
            position=self.position,
            ordered_item=identity(self.asked.ordered_item) or None,
            accepted_offer=identity(self.asked.accepted_offer) or None,
        )


def lines_of(
    asked: Sequence[ItemBody], opportunities: dict[str, Opportunity], seller: str
) -> list[Line]:
    """Return the OrderItems, each with its Opportunity, its Offer, and what is wrong with it.

    Args:
        asked: What the Broker sent.
        opportunities: Those of the catalogue that it names.
        seller: The Order's Seller.

    Raises:
        SellerMismatchError: An Opportunity is another Seller's.

    """
    lines = []
    for index, item in enumerate(asked):
        line = Line(index if item.position is None else item.position, item)
        try:
            _look_up(line, opportunities, seller)
        except SellerMismatchError:
            raise
        except OpenBookingError as error:
            line.error = error_body(error)
        lines.append(line)
    _refuse_conflicts(lines)
    return lines


def heed(lines: Iterable[Line], said: Iterable[OrderItem]) -> None:
    """Take over what the service said: what remains, what is held at which price, what is not.

    Args:
        lines: The OrderItems.
        said: The service's, of those that it was asked for.

    """
    by_position = {item.position: item for item in said}
    for line in lines:
        item = by_position.get(line.position)
        if item is None:
            continue
        if item.error is not UNSET:
            line.error = {
                name: value
                for name, value in msgspec.to_builtins(item.error[0]).items()
                if name in {"@type", "statusCode", "name", "description"}
            }
        if item.ordered_item is not UNSET:
            counted = item.ordered_item
            for remaining in (counted.remaining_attendee_capacity, counted.remaining_uses):
                line.remaining = line.remaining if remaining is UNSET else remaining
        # The price of the day on which it was leased, whatever the catalogue says now (rule 13).
        if item.accepted_offer is not UNSET and item.accepted_offer.price is not UNSET:
            line.offer = {**line.offer, "price": item.accepted_offer.price}


def order_item(line: Line, seller: Seller) -> dict[str, Any]:
    """Return an OrderItem as the Broker reads it."""
    item: dict[str, Any] = {"@type": "OrderItem", "position": line.position}
    item["acceptedOffer"] = line.offer or _stub("Offer", line.asked.accepted_offer)
    if line.opportunity is None:
        item["orderedItem"] = _stub("Event", line.asked.ordered_item)
    else:
        item["orderedItem"] = _in_an_order(line.opportunity, line.remaining)
    if tax := pricing.unit_tax(line.price, seller["taxMode"]):
        item["unitTaxSpecification"] = tax
    if line.asked.attendee is not None:
        item["attendee"] = line.asked.attendee
    if line.asked.order_item_intake_form_response is not None:
        item["orderItemIntakeFormResponse"] = line.asked.order_item_intake_form_response
    if line.error is not None:
        item["error"] = [line.error]
    return {name: value for name, value in item.items() if value is not None}


def needs_approval(lines: Iterable[Line]) -> bool:
    """Say whether the Seller has to approve of any of the OrderItems first."""
    return any(APPROVAL in line.offer.get("openBookingFlowRequirement", ()) for line in lines)


def _look_up(line: Line, opportunities: dict[str, Opportunity], seller: str) -> None:
    asked = line.asked
    ordered, accepted = identity(asked.ordered_item), identity(asked.accepted_offer)
    if not (ordered and accepted):
        raise IncompleteOrderItemError(
            "The OrderItem lacks its orderedItem or acceptedOffer, or that its @id."
        )
    line.opportunity = opportunities.get(ordered)
    if line.opportunity is None or line.opportunity.deleted:
        raise UnknownOpportunityError("There is no such Opportunity.")
    if line.opportunity.seller != seller:
        raise SellerMismatchError("An OrderItem is another Seller's than the Order.")
    line.remaining = line.opportunity.remaining
    offer = line.opportunity.offers.get(accepted)
    if offer is None:
        raise UnknownOfferError("The Opportunity has no such Offer.")
    line.offer = offer
    _check_sale(line.opportunity, offer)


def _check_sale(opportunity: Opportunity, offer: dict[str, Any]) -> None:
    child = opportunity.child
    status = child.get("eventStatus") or opportunity.parent.get("eventStatus") or ""
    window = offer.get("validFromBeforeStartDate")
    if status.endswith(("EventCancelled", "EventPostponed")):
        raise OpportunityOfferPairNotBookableError("It is cancelled or postponed.")
    if _end(child) < datetime.now(UTC):
        raise OpportunityOfferPairNotBookableError("It is over.")
    if offer.get("openBookingInAdvance") == pricing.UNAVAILABLE:
        raise OpportunityOfferPairNotBookableError("This Offer cannot be booked in advance.")
    if window is not None and time_until(child) > duration(window):
        raise OpportunityOfferPairNotBookableError(f"It can be booked from {window} before it.")


def time_until(child: dict[str, Any]) -> timedelta:
    """Return how long it is until an Opportunity begins."""
    return datetime.fromisoformat(child["startDate"]) - datetime.now(UTC)


def _end(child: dict[str, Any]) -> datetime:
    if "endDate" in child:
        return datetime.fromisoformat(child["endDate"])
    return datetime.fromisoformat(child["startDate"]) + duration(child.get("duration", "PT0S"))


def duration(text: str) -> timedelta:
    """Return an ISO 8601 duration."""
    return msgspec.convert(text, timedelta)


def _refuse_conflicts(lines: Iterable[Line]) -> None:
    """Refuse to mix what has to be paid in advance with what cannot be."""
    paid = [line for line in lines if line.error is None and line.price]
    asked = {pricing.prepayment(line.offer) for line in paid}
    if {pricing.REQUIRED, pricing.UNAVAILABLE} <= asked:
        error = OpportunityIsInConflictError("Some are paid in advance, and some cannot be.")
        for line in paid:
            line.error = error_body(error)


def _stub(type_: str, reference: OrderItemPart | str | None) -> dict[str, Any] | None:
    return {"@type": type_, "@id": id_} if (id_ := identity(reference)) else None


def _in_an_order(opportunity: Opportunity, remaining: int) -> dict[str, Any]:
    """Return an Opportunity as an Order has it: with what it belongs to, without its Offers."""
    child = _without(opportunity.child)
    child[remaining_name(child)] = remaining
    parent = _without(opportunity.parent)
    if child["@type"] != "Slot":
        return child | {"superEvent": parent}
    belongs_to = child["facilityUse"]
    for individual in opportunity.parent.get("individualFacilityUse", ()):
        if individual["@id"] == belongs_to:
            parent = {**individual, "aggregateFacilityUse": parent}
    return child | {"facilityUse": parent}


def _without(thing: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in thing.items() if name not in _NOT_IN_AN_ORDER}
