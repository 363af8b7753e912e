"""What an Order asks for: its OrderItems, in order of position and by Opportunity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from service.errors import OpenBookingError
from service.ledger.keys import OrderKey, digest
from service.ledger.records import Item
from service.model import OrderRequest, Thing, identity


class Basket(NamedTuple):
    """The OrderItems of a request, in order of position."""

    items: Sequence[Item]
    groups: dict[str, list[Item]]
    """The complete ones, by the `@id` of their Opportunity."""
    incomplete: int
    """How many OrderItems lack their Opportunity or Offer (`docs/protocol.md`, rule 4)."""

    @classmethod
    def of(cls, items: Sequence[Item]) -> Basket:
        """Return the basket of these OrderItems, which are in order of position."""
        groups: dict[str, list[Item]] = {}
        incomplete = 0
        for item in items:
            if item.opportunity and item.offer:
                groups.setdefault(item.opportunity, []).append(item)
            else:
                incomplete += 1
        return cls(items, groups, incomplete)


def read_basket(request: OrderRequest, *, may_be_empty: bool = False) -> Basket:
    """Return the OrderItems of a request.

    Args:
        request: As decoded; a missing `position` is the item's index (rule 24).
        may_be_empty: Whether a list without OrderItems means something.

    Raises:
        OpenBookingError: There is no `orderedItem`, or two OrderItems have the same position.

    """
    if request.ordered_item is None:
        raise OpenBookingError("$.orderedItem: the list of OrderItems is missing.")
    items: dict[int, Item] = {}
    for index, asked in enumerate(request.ordered_item):
        position = index if asked.position is None else asked.position
        if position in items:
            message = f"$.orderedItem[{index}].position: another OrderItem has position {position}"
            raise OpenBookingError(message)
        opportunity, offer = asked.ordered_item, asked.accepted_offer
        items[position] = Item(
            position,
            identity(opportunity) if opportunity else "",
            identity(offer) if offer else "",
            asked.id or "",
            opportunity.type if isinstance(opportunity, Thing) else "",
        )
    if not items and not may_be_empty:
        raise OpenBookingError("$.orderedItem: an Order has at least one OrderItem.")
    return Basket.of([items[position] for position in sorted(items)])


def booking_digest(order: OrderKey, basket: Basket, request: OrderRequest) -> str:
    """Return what makes two calls the same: OrderItems and customer (`docs/protocol.md`, rule 17).

    The Order's own name goes in too, so that equal customers have different digests.

    Args:
        order: The Order's name.
        basket: Its OrderItems.
        request: The body; of `customer` nothing but this digest is kept.

    Raises:
        OpenBookingError: `customer` is not valid JSON.

    """
    try:
        # The same customer may come with other white space or in another order of names.
        customer = msgspec.json.decode(request.customer) if request.customer else None
    except msgspec.DecodeError as error:
        message = f"$.customer: {error}"
        raise OpenBookingError(message) from error
    items = ["\t".join((str(i.position), i.opportunity, i.offer, i.id)) for i in basket.items]
    details = msgspec.json.encode(customer, order="deterministic").decode()
    return digest(*order, *items, details)
