"""What the Broker reads: OrderItems with errors and prices, and the quotes and Orders of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from msgspec import UNSET, UnsetType

from service.errors import (
    IncompleteOrderItemError,
    OpenBookingError,
    OpportunityCapacityIsReservedByLeaseError,
    OpportunityHasInsufficientCapacityError,
    OpportunityIsFullError,
    OpportunityIsInConflictError,
    UnableToProcessOrderItemError,
    UnknownOfferError,
    UnknownOpportunityError,
)
from service.ledger.basket import Basket
from service.ledger.keys import OrderKey
from service.ledger.records import Item, OrderRecord
from service.model import (
    Error,
    Lease,
    Offer,
    Order,
    OrderedOpportunity,
    OrderItem,
    OrderProposal,
    OrderQuote,
    PriceSpecification,
)

OPENACTIVE: Final = "https://openactive.io/"
_CONFIRMED: Final = f"{OPENACTIVE}OrderItemConfirmed"


@lru_cache(maxsize=1024)
def instant(seconds: int) -> str:
    """Return seconds since 1970 as the standard writes an instant."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def lease(expires: int) -> Lease | UnsetType:
    """Return the Lease that expires at this second since 1970; 0: there is none."""
    return Lease(lease_expires=instant(expires)) if expires else UNSET


def without_namespace(status: str) -> str:
    """Return a status without the standard's namespace."""
    return status.removeprefix(OPENACTIVE)


def error_body(error: OpenBookingError) -> Error:
    """Return an error as it stands in an OrderItem or in a registration's list."""
    return Error(
        type=type(error).__name__,
        status_code=error.status_code,
        name=error.title(),
        description=error.description,
    )


def counts(kind: str, capacity: int, remaining: int) -> Mapping[str, int]:
    """Return maximum and remaining under the names that the type of Opportunity gives them."""
    if kind == "Slot":
        return {"maximum_uses": capacity, "remaining_uses": remaining}
    return {"maximum_attendee_capacity": capacity, "remaining_attendee_capacity": remaining}


# Quotes, proposals and Orders


def quote(key: OrderKey, items: list[OrderItem], expires: int) -> OrderQuote:
    """Return an OrderQuote, with the lease until then (seconds since 1970); 0: there is none."""
    return OrderQuote(
        identifier=key.uuid,
        seller=key.seller,
        lease=lease(expires),
        ordered_item=items,
        total_payment_due=_total(items),
    )


def proposal(key: OrderKey, record: OrderRecord, expires: int) -> OrderProposal:
    """Return an OrderProposal, with the lease until then (seconds), 0 for none."""
    items = [_kept(item, "OrderItemProposed") for item in record.items]
    return OrderProposal(
        identifier=key.uuid,
        seller=key.seller,
        order_proposal_status=OPENACTIVE + record.status,
        lease=lease(expires),
        ordered_item=items,
        total_payment_due=_total(items),
    )


def order(key: OrderKey, record: OrderRecord, *, as_it_stands: bool = False) -> Order:
    """Return an Order: as B answered it, or as it stands, cancellations and all."""
    items = [
        _kept(item, (item.status if as_it_stands else "") or "OrderItemConfirmed")
        for item in record.items
    ]
    return Order(
        identifier=key.uuid,
        seller=key.seller,
        ordered_item=items,
        total_payment_due=_total([i for i in items if i.order_item_status == _CONFIRMED]),
    )


def held_items(groups: Iterable[Any]) -> list[OrderItem]:
    """Return the OrderItems of a lease, in order of position, from the reply of `look`."""
    items = [
        Item(int(position), id_.decode(), offer.decode(), "", kind.decode(), price.decode())
        for kind, id_, *rows in groups
        for position, offer, price in rows
    ]
    return [_kept(item) for item in sorted(items)]


def _kept(item: Item, status: str = "") -> OrderItem:
    return OrderItem(
        position=item.position,
        id=item.id or UNSET,
        order_item_status=OPENACTIVE + status if status else UNSET,
        accepted_offer=_offer(item.offer, item.price),
        ordered_item=_opportunity(item.opportunity, item.type),
    )


# What was asked for, and how it stands


def asked_items(basket: Basket, groups: Sequence[Any]) -> list[OrderItem]:
    """Return the OrderItems of a quote, or of a booking that was refused.

    Args:
        basket: What was asked for.
        groups: What `describe` in `lua/shared/availability.lua` says of its Opportunities.

    """
    said = dict(zip(basket.groups, groups, strict=False))
    counted = dict.fromkeys(basket.groups, 0)
    items = []
    for item in basket.items:
        if item.opportunity not in said or not item.offer:
            items.append(_asked(item, _incomplete(item)))
            continue
        group = said[item.opportunity]
        if not group[0]:
            message = f"{item.opportunity} is not registered for this Seller."
            items.append(_asked(item, UnknownOpportunityError(message)))
            continue
        kind, remaining, errors, *prices = group
        index = counted[item.opportunity]
        counted[item.opportunity] = index + 1
        entry = errors and errors[index]
        items.append(
            OrderItem(
                position=item.position,
                id=item.id or UNSET,
                accepted_offer=_offer(item.offer, prices[index].decode()),
                ordered_item=_opportunity(item.opportunity, kind.decode(), remaining),
                error=[error_body(_error(item, remaining, entry))] if entry else UNSET,
            )
        )
    return items


def retry_after(now: int, groups: Iterable[Any]) -> int | None:
    """Return the seconds until competing leases have made room (`docs/protocol.md`, rule 6)."""
    untils = [
        entry[2] for _, _, errors, *_ in filter(_has_errors, groups) for entry in errors if entry
    ]
    latest = max(untils, default=0)
    return max(1, latest - now) if latest else None


def booking_refusal(basket: Basket, now: int, groups: Sequence[Any]) -> OpenBookingError:
    """Return why B or P cannot have what it asks for, with every OrderItem and its error.

    Args:
        basket: What was asked for.
        now: Redis's clock, in seconds since 1970.
        groups: As for `asked_items`.

    Returns:
        `OpportunityHasInsufficientCapacityError` where spaces are lacking, else
        `UnableToProcessOrderItemError` (`docs/protocol.md`, rule 16).

    """
    kind: type[OpenBookingError] = UnableToProcessOrderItemError
    message = "At least one OrderItem has an error; nothing was booked."
    if any(len(group) > 1 and group[1] == 0 for group in groups):
        kind = OpportunityHasInsufficientCapacityError
        message = "No space remains for at least one OrderItem; nothing was booked."
    return kind(
        message, retry_after=retry_after(now, groups), ordered_item=asked_items(basket, groups)
    )


def _has_errors(group: Any) -> bool:  # noqa: ANN401 - a part of a reply
    return len(group) > 1 and bool(group[2])


def _asked(item: Item, error: OpenBookingError) -> OrderItem:
    return OrderItem(
        position=item.position,
        id=item.id or UNSET,
        accepted_offer=_offer(item.offer, "") if item.offer else UNSET,
        ordered_item=_opportunity(item.opportunity, item.type) if item.opportunity else UNSET,
        error=[error_body(error)],
    )


def _incomplete(item: Item) -> OpenBookingError:
    missing = "acceptedOffer" if item.opportunity else "orderedItem"
    return IncompleteOrderItemError(f"The OrderItem at position {item.position} has no {missing}.")


def _error(item: Item, remaining: int, entry: Sequence[Any]) -> OpenBookingError:
    """Return the error of an OrderItem that cannot be held, from an entry of `errors_of`."""
    code, others, until, pool = entry
    what = f"the capacity pool {pool.decode()}" if pool else "this Opportunity"
    return _ERRORS[code](item, what, remaining, others, until)


_ERRORS: Final[Mapping[int, Callable[[Item, str, int, int, int], OpenBookingError]]] = {
    1: lambda _item, what, _remaining, others, until: OpportunityCapacityIsReservedByLeaseError(
        f"Other Customers' leases hold {_spaces(others)} of {what}; enough of them expire at"
        f" {instant(until)}, unless extended or booked."
    ),
    2: lambda _item, what, remaining, _others, _until: OpportunityHasInsufficientCapacityError(
        f"Not enough spaces of {what}: this Order can have {remaining}."
    ),
    3: lambda _item, what, _remaining, _others, _until: OpportunityIsFullError(
        f"Every space of {what} is booked."
    ),
    4: lambda _item, _what, _remaining, _others, _until: OpportunityIsInConflictError(
        "One Order may not have so many spaces of one Opportunity of this Seller."
    ),
    5: lambda item, _what, _remaining, _others, _until: UnknownOfferError(
        f"{item.offer} is not an Offer of {item.opportunity}."
    ),
}
"""The codes of `lua/shared/availability.lua` in the standard's words (`docs/protocol.md`, rules 3
to 5, 14 and 28)."""


def _spaces(number: int) -> str:
    return "1 space" if number == 1 else f"{number} spaces"


def _offer(offer_id: str, price: str) -> Offer:
    amount, currency = _money(price)
    return Offer(id=offer_id, price=amount, price_currency=currency)


@lru_cache(maxsize=1024)
def _money(price: str) -> tuple[Decimal | UnsetType, str | UnsetType]:
    amount, _, currency = price.partition(" ")
    return Decimal(amount) if amount else UNSET, currency or UNSET


def _opportunity(id_: str, kind: str, remaining: int | None = None) -> OrderedOpportunity:
    known = UNSET if remaining is None else remaining
    return OrderedOpportunity(
        id=id_,
        type=kind or UNSET,
        remaining_attendee_capacity=UNSET if kind == "Slot" else known,
        remaining_uses=known if kind == "Slot" else UNSET,
    )


def _total(items: Sequence[OrderItem]) -> PriceSpecification | UnsetType:
    """Return the exact sum of the OrderItems without error, if all their prices are known.

    It is 0 where every item has an error, and UNSET where currencies are mixed, or there is no
    item.
    """
    bookable = [item for item in items if item.error is UNSET]
    offers = [item.accepted_offer for item in bookable or items if item.accepted_offer]
    currencies = {offer.price_currency for offer in offers} - {UNSET}
    prices = [offer.price for offer in offers if offer.price is not UNSET] if bookable else []
    if not items or len(prices) < len(bookable) or len(currencies) > 1:
        return UNSET
    return PriceSpecification(
        price=sum(prices, start=Decimal(0)), price_currency=next(iter(currencies), UNSET)
    )
