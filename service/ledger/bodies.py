"""Whole answers: OrderQuote, OrderProposal, Order and Opportunity, from what the store knows."""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET

from service.ledger import answers
from service.ledger.basket import Basket, Row
from service.ledger.keys import OrderKey
from service.ledger.replies import BookedItem, HeldItem, HeldLease, Ledgered, OrderRecord
from service.model import Opportunity, Order, OrderItem, OrderProposal, OrderQuote

_NAMESPACE: Final = re.compile(r"\A(?:https?://openactive\.io/|(?:oa|openactive):)")


def without_namespace(status: str) -> str:
    """Return a status without the standard's namespace."""
    return _NAMESPACE.sub("", status, 1)


def quote(key: OrderKey, held: HeldLease) -> OrderQuote:
    """Return the OrderQuote of a live lease."""
    items = [_item(item) for item in held.items]
    return OrderQuote(
        identifier=key.uuid,
        seller=key.seller,
        lease=answers.lease(held.expires),
        ordered_item=items,
        total_payment_due=answers.total_payment_due(items, is_gross=held.is_gross),
    )


def proposal(key: OrderKey, record: OrderRecord, expires: int) -> OrderProposal:
    """Return an OrderProposal; `expires` is when its lease does (seconds), 0 without one."""
    items = [_item(item, item.id, "OrderItemProposed") for item in record.items]
    return OrderProposal(
        identifier=key.uuid,
        seller=key.seller,
        order_proposal_status=answers.OPENACTIVE + record.status,
        lease=answers.lease(expires),
        ordered_item=items,
        total_payment_due=answers.total_payment_due(items, is_gross=record.is_gross),
    )


def order(key: OrderKey, record: OrderRecord, *, as_it_stands: bool = False) -> Order:
    """Return an Order: as B answered it, or as it stands, cancellations and all."""
    items = [
        _item(item, item.id, (item.status if as_it_stands else "") or "OrderItemConfirmed")
        for item in record.items
    ]
    confirmed = [
        item
        for item in items
        if item.order_item_status == f"{answers.OPENACTIVE}OrderItemConfirmed"
    ]
    return Order(
        identifier=key.uuid,
        seller=key.seller,
        ordered_item=items,
        total_payment_due=answers.total_payment_due(confirmed, is_gross=record.is_gross),
    )


def ledgered(seller: str, opportunity: str, said: Ledgered) -> Opportunity:
    """Return the ledger of an Opportunity."""
    return Opportunity(
        id=opportunity,
        type=said.type,
        seller=seller,
        booked=said.booked,
        leased=said.leased,
        **answers.counts(said.type, said.capacity, said.remaining),
    )


def basket_of(record: OrderRecord) -> Basket:
    """Return what was proposed as if B had asked for it."""
    rows = [
        Row(item.position, item.opportunity, item.type, item.offer, item.id)
        for item in record.items
    ]
    return Basket.of(rows)


def _item(item: BookedItem | HeldItem, id_: str = "", status: str = "") -> OrderItem:
    return OrderItem(
        position=item.position,
        id=id_ or UNSET,
        order_item_status=answers.OPENACTIVE + status if status else UNSET,
        accepted_offer=answers.offer(item.offer, item.price),
        ordered_item=answers.opportunity(item.opportunity, item.type),
    )
