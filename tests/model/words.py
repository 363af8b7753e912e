"""What the model speaks of: OrderItems, Opportunities, leases and Orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

POOL = "CapacityPool"
RESERVED = "OpportunityCapacityIsReservedByLeaseError"
INSUFFICIENT = "OpportunityHasInsufficientCapacityError"
FULL = "OpportunityIsFullError"
CONFLICT = "OpportunityIsInConflictError"
UNKNOWN_OPPORTUNITY = "UnknownOpportunityError"
UNKNOWN_OFFER = "UnknownOfferError"
UNACCEPTABLE_OFFER = "UnacceptableOfferError"
INCOMPLETE = "IncompleteOrderItemError"
SEVERITY = {RESERVED: 1, INSUFFICIENT: 2, FULL: 3}

Key = tuple[str, str]
"""A Booking Partner and an Order UUID."""

Price = tuple[Decimal, str] | None
"""An amount and its currency, where they are known."""

Due = tuple[Decimal | None, str] | None
"""What the Broker expects to be paid: an amount, a currency, both or neither."""


class Item(NamedTuple):
    """An OrderItem, as it is asked for and as it is answered."""

    position: int
    opportunity: str = ""
    offer: str = ""
    id: str = ""
    kind: str = ""
    price: Price = None
    remaining: int | None = None
    status: str = ""
    error: str = ""
    others: int | None = None
    """Of a reserved one: what others' leases hold of what is short."""


class Answer(NamedTuple):
    """What a call answers."""

    items: list[Item]
    total: Price = None
    expires: int = 0
    status: str = ""
    replayed: bool = False
    retry_after: int | None = None


class Refused(Exception):  # noqa: N818 - the standard's errors are called Error; this carries them
    """A call is refused."""

    def __init__(
        self, kind: str, items: Sequence[Item] = (), retry_after: int | None = None
    ) -> None:
        """Name the error's `@type`, with the OrderItems and the Retry-After that it carries."""
        super().__init__(kind, [*items], retry_after)


@dataclass
class Thing:
    """An Opportunity or a capacity pool."""

    kind: str
    capacity: int
    booked: int
    offers: dict[str, Price] = field(default_factory=dict)
    pools: dict[str, int] = field(default_factory=dict)
    modified: int | None = None
    registered: bool = True


@dataclass
class Holding:
    """What is held or booked of one Opportunity, and what each space takes of its pools."""

    items: list[Item]
    draws: dict[str, int]


@dataclass
class Lease:
    """What an Order holds, until when."""

    step: int
    first: int
    expires: int
    holdings: dict[str, Holding]
    paid: int | None = None
    left: Counter[str] = field(default_factory=Counter)
    """What withdrawn Opportunities leave held of their pools, until the lease changes."""

    def items(self) -> list[Item]:
        """Return the OrderItems that it holds."""
        return [item for holding in self.holdings.values() for item in holding.items]

    def held(self, thing: str) -> int:
        """Return how many spaces it holds of an Opportunity or a pool."""
        return self.left[thing] + sum(
            len(holding.items) * (1 if thing == name else holding.draws.get(thing, 0))
            for name, holding in self.holdings.items()
        )


@dataclass
class Order:
    """A proposal, an Order, or the stub of a deleted one."""

    state: str
    digest: tuple[list[Item], str] | None = None
    """What makes two calls the same: the OrderItems and the customer."""
    status: str = ""
    """Of a proposal, also once it was booked."""
    is_gross: bool = False
    holdings: dict[str, Holding] = field(default_factory=dict)
    cancelled: dict[int, str] = field(default_factory=dict)

    def items(self) -> list[Item]:
        """Return its OrderItems in order of position."""
        items = [item for holding in self.holdings.values() for item in holding.items]
        return [item._replace(remaining=None) for item in sorted(items)]

    def confirmed(self) -> Answer:
        """Return what B answered."""
        items = [item._replace(status="OrderItemConfirmed") for item in self.items()]
        return Answer(items, total(items, is_gross=self.is_gross))


def total(items: Sequence[Item], *, is_gross: bool) -> Price:
    """Return the sum of the OrderItems without error, if it is known and what is paid."""
    if not is_gross:
        return None
    bookable = [item for item in items if not item.error]
    currencies = {item.price[1] for item in bookable or items if item.price} - {""}
    prices = [item.price[0] for item in bookable if item.price]
    if not items or len(prices) < len(bookable) or len(currencies) > 1:
        return None
    return sum(prices, Decimal(0)), next(iter(currencies), "")
