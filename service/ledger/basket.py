"""What an Order asks for: its OrderItems, in order of position and by Opportunity."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from service.errors import OpenBookingError
from service.ledger.keys import OrderKey, digest
from service.ledger.replies import Item
from service.model import OrderItemPart, OrderRequest, QuoteRequest, identity, type_of


class Row(NamedTuple):
    """One OrderItem, with its position settled; an id is `""` where the Broker gave none."""

    position: int
    opportunity: str
    type: str
    offer: str
    id: str

    @property
    def complete(self) -> bool:
        """Tell whether it names an Opportunity and an Offer (rule 4)."""
        return bool(self.opportunity and self.offer)


class Basket(NamedTuple):
    """The OrderItems of a request, in order of position."""

    rows: list[Row]
    groups: dict[str, list[Item]]
    """The complete ones, by the `@id` of their Opportunity."""
    incomplete: int
    """How many OrderItems lack their Opportunity or Offer."""

    @classmethod
    def of(cls, rows: list[Row]) -> Basket:
        """Return the basket of these OrderItems, which are in order of position."""
        groups: dict[str, list[Item]] = {}
        incomplete = 0
        for row in rows:
            if row.complete:
                item = Item(row.position, row.offer, row.id)
                groups.setdefault(row.opportunity, []).append(item)
            else:
                incomplete += 1
        return cls(rows, groups, incomplete)

    def not_empty(self) -> Basket:
        """Return the basket itself.

        Raises:
            OpenBookingError: There is nothing in it.

        """
        if not self.rows:
            raise OpenBookingError("$.orderedItem: an Order has at least one OrderItem.")
        return self


def read_basket(request: QuoteRequest) -> Basket:
    """Return the OrderItems of a request as the ledger works with them.

    Args:
        request: As decoded; a missing `position` is the item's index (contract, rule 24).

    Raises:
        OpenBookingError: There is no `orderedItem`, or two OrderItems have the same position.

    """
    if request.ordered_item is None:
        raise OpenBookingError("$.orderedItem: the list of OrderItems is missing.")
    rows: dict[int, Row] = {}
    ids: set[str | None] = set()
    for index, item in enumerate(request.ordered_item):
        position = index if item.position is None else item.position
        if position in rows:
            message = f"$.orderedItem[{index}].position: another OrderItem has position {position}"
            raise OpenBookingError(message)
        if item.id is not None and item.id in ids:
            raise OpenBookingError(f"$.orderedItem[{index}].@id: another OrderItem has this @id")
        ids.add(item.id)
        part = item.ordered_item
        rows[position] = Row(
            position,
            identity(part),
            type_of(part.type) if isinstance(part, OrderItemPart) else "",
            identity(item.accepted_offer),
            item.id or "",
        )
    return Basket.of([rows[position] for position in sorted(rows)])


def booking_digest(order: OrderKey, basket: Basket, request: OrderRequest) -> str:
    """Return what makes two calls of B the same: OrderItems and customer (contract, rule 17).

    The Order's own name goes in too, so that equal customers have different digests.

    Args:
        order: The Order's name.
        basket: Its OrderItems.
        request: The body; of `customer` nothing but this digest is kept.

    """
    try:
        # The same customer may come with other white space or in another order of names.
        customer = msgspec.json.decode(request.customer or b"null")
        details = msgspec.json.encode(customer, order="deterministic").decode()
    except (msgspec.MsgspecError, RecursionError):
        # It has a number beyond all floats, or the like: it is compared as it came.
        details = bytes(request.customer or b"").decode()
    items = [f"{row.position}\t{row.opportunity}\t{row.offer}\t{row.id}" for row in basket.rows]
    return digest(*order, *items, details)


def total_due(request: OrderRequest) -> str:
    """Return the sum that the Broker expects: `"<amount> <currency>"`, or what it says of both."""
    total = request.total_payment_due
    said = () if total is None else (total.price, total.price_currency)
    return " ".join(f"{part}" for part in said if part is not None)
