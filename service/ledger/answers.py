"""From what the store says to what the Broker reads: OrderItems with their errors and prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import count

from msgspec import UNSET, UnsetType

from service.errors import (
    IncompleteOrderItemError,
    OpenBookingError,
    OpportunityCapacityIsReservedByLeaseError,
    OpportunityHasInsufficientCapacityError,
    OpportunityIsFullError,
    OpportunityIsInConflictError,
    UnacceptableOfferError,
    UnknownOfferError,
    UnknownOpportunityError,
)
from service.ledger.basket import Basket, Row
from service.ledger.replies import Availability, Reason, Shortage
from service.model import (
    Error,
    Lease,
    Offer,
    OrderedOpportunity,
    OrderItem,
    PriceSpecification,
)
from service.money import normal

OPENACTIVE = "https://openactive.io/"


@lru_cache(maxsize=1024)
def instant(seconds: int) -> str:
    """Return seconds since 1970 as the standard writes an instant."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def lease(expires: int) -> Lease | UnsetType:
    """Return the Lease that expires at so many seconds since 1970; 0: there is none."""
    return Lease(lease_expires=instant(expires)) if expires else UNSET


def offer(offer_id: str, price: str) -> Offer:
    """Return an Offer with the price that the ledger knows: `"<price> <currency>"` or `""`."""
    amount, currency = _money(price)
    return Offer(id=offer_id, price=amount, price_currency=currency)


@lru_cache(maxsize=1024)
def _money(price: str) -> tuple[Decimal | UnsetType, str | UnsetType]:
    amount, _, currency = price.partition(" ")
    return normal(Decimal(amount)) if amount else UNSET, currency or UNSET


def opportunity(
    opportunity_id: str, kind: str, remaining: int | None = None
) -> OrderedOpportunity:
    """Return an Opportunity; what remains is called «uses» for a `Slot`."""
    known = UNSET if remaining is None else remaining
    return OrderedOpportunity(
        id=opportunity_id,
        type=kind or UNSET,
        remaining_attendee_capacity=UNSET if kind == "Slot" else known,
        remaining_uses=known if kind == "Slot" else UNSET,
    )


def error_body(error: OpenBookingError) -> Error:
    """Return an error as it stands in an OrderItem or in a registration's list."""
    return Error(
        type=type(error).__name__,
        status_code=error.status_code,
        name=error.title(),
        description=error.description,
    )


def quoted_items(basket: Basket, availabilities: Iterable[Availability | None]) -> list[OrderItem]:
    """Return the OrderItems of a quote, or of a booking that was refused.

    Args:
        basket: What was asked for.
        availabilities: What the store said of each of its Opportunities, in the same order.

    """
    said = dict(zip(basket.groups, availabilities, strict=True))
    nth = {opportunity: count() for opportunity in basket.groups}
    items = []
    for row in basket.rows:
        if not row.complete:
            items.append(_item(row, None, "", _incomplete(row)))
            continue
        availability = said[row.opportunity]
        if availability is None:
            message = f"{row.opportunity} is not registered for this Seller."
            items.append(_item(row, None, "", UnknownOpportunityError(message)))
            continue
        index = next(nth[row.opportunity])
        shortage = availability.shortages[index] if availability.shortages else None
        error = _error(row, availability, shortage) if shortage else None
        items.append(_item(row, availability, availability.prices[index], error))
    return items


def retry_after(now: int, availabilities: Sequence[Availability | None]) -> int | None:
    """Return the seconds until nothing is reserved by competing leases any more (rule 6)."""
    untils = [
        shortage.until
        for said in availabilities
        if said
        for shortage in said.shortages
        if shortage and shortage.until
    ]
    return max(1, max(untils) - now) if untils else None


def total_payment_due(
    items: Sequence[OrderItem], *, is_gross: bool
) -> PriceSpecification | UnsetType:
    """Return the sum of the OrderItems without error, if it is what is paid (rule 18).

    Args:
        items: The OrderItems of a quote, a proposal or an Order.
        is_gross: Whether the prices are; otherwise nobody knows the tax here.

    Returns:
        The exact sum, 0 where every item has an error; UNSET where the prices are not gross, one
        is unknown, currencies are mixed, or there is no item.

    """
    if not is_gross:
        return UNSET
    bookable = [item for item in items if item.error is UNSET]
    offers = [item.accepted_offer for item in bookable or items if item.accepted_offer]
    currencies = {offer.price_currency for offer in offers} - {UNSET}
    prices = [offer.price for offer in offers if offer.price is not UNSET] if bookable else []
    if not items or len(prices) < len(bookable) or len(currencies) > 1:
        return UNSET
    return PriceSpecification(
        price=normal(sum(prices, start=Decimal(0))),
        price_currency=next(iter(currencies), UNSET),
    )


def counts(kind: str, capacity: int, remaining: int) -> Mapping[str, int]:
    """Return maximum and remaining under the names that the type of Opportunity gives them."""
    if kind == "Slot":
        return {"maximum_uses": capacity, "remaining_uses": remaining}
    return {"maximum_attendee_capacity": capacity, "remaining_attendee_capacity": remaining}


def _item(
    row: Row, availability: Availability | None, price: str, error: OpenBookingError | None
) -> OrderItem:
    kind = availability.type if availability else row.type
    remaining = availability.remaining if availability else None
    return OrderItem(
        position=row.position,
        id=row.id or UNSET,
        accepted_offer=offer(row.offer, price) if row.offer else UNSET,
        ordered_item=opportunity(row.opportunity, kind, remaining) if row.opportunity else UNSET,
        error=[error_body(error)] if error else UNSET,
    )


def _incomplete(row: Row) -> IncompleteOrderItemError:
    missing = "acceptedOffer" if row.opportunity else "orderedItem"
    return IncompleteOrderItemError(f"The OrderItem at position {row.position} has no {missing}.")


def _error(row: Row, said: Availability, shortage: Shortage) -> OpenBookingError:
    """Return the error of an OrderItem that cannot be held (rules 3, 4, 14, 18 and 28)."""
    what = f"the capacity pool {shortage.limit}" if shortage.limit else "this Opportunity"
    match shortage.reason:
        case Reason.RESERVED:
            return OpportunityCapacityIsReservedByLeaseError(
                f"Other Customers' leases hold {_spaces(shortage.others)} of {what}; enough of"
                f" them expire at {instant(shortage.until)}, unless extended or booked."
            )
        case Reason.INSUFFICIENT:
            return OpportunityHasInsufficientCapacityError(
                f"Not enough spaces of {what}: this Order can have {said.remaining}."
            )
        case Reason.FULL:
            return OpportunityIsFullError(f"Every space of {what} is booked.")
        case Reason.CONFLICT:
            return OpportunityIsInConflictError(
                "One Order may not have so many spaces of one Opportunity of this Seller."
            )
        case Reason.UNKNOWN_OFFER:
            return UnknownOfferError(f"{row.offer} is not an Offer of {row.opportunity}.")
        case Reason.OTHERS_OFFER:
            message = f"{row.offer} is an Offer of another Opportunity, not of {row.opportunity}."
        case Reason.OTHER_CURRENCY:
            message = (
                "An Order has one currency, that of its first price by position, which is"
                f" {shortage.limit}: order this apart."
            )
    return UnacceptableOfferError(message)


def _spaces(number: int) -> str:
    return "1 space" if number == 1 else f"{number} spaces"
