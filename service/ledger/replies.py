"""What the scripts answer, as values with names."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

from service.redis.errors import MisuseError

_ORDER_FIELDS: Final = ("state", "status", "digest", "at", "gross")


class Item(NamedTuple):
    """One OrderItem as a script is asked for it."""

    position: int
    offer: str
    id: str = ""


class Reason(IntEnum):
    """Why an OrderItem cannot be held: the codes of `lua/shared/availability.lua`."""

    RESERVED = 1
    INSUFFICIENT = 2
    FULL = 3
    CONFLICT = 4
    UNKNOWN_OFFER = 5
    OTHERS_OFFER = 6
    OTHER_CURRENCY = 7


class Shortage(NamedTuple):
    """What keeps an OrderItem from being held."""

    reason: Reason
    others: int
    """Spaces that live leases of others hold of what is short: *L* of rule 1."""
    until: int
    """Seconds since 1970: when enough of these leases will have expired; 0 where none stands
    against it."""
    limit: str
    """The `@id` of the pool that is short, `""` for the Opportunity itself; or the Order's
    currency."""


class Availability(NamedTuple):
    """What an Order may have of one Opportunity; `describe` in `lua/shared/availability.lua`."""

    type: str
    remaining: int
    """Spaces that the Order may have, its own lease included: *A* of rule 1."""
    shortages: Sequence[Shortage | None]
    """Per OrderItem; empty where none has an error."""
    prices: Sequence[str]
    """Per OrderItem `"<price> <currency>"`, `""` where none is known."""

    @classmethod
    def parse(cls, raw: Sequence[Any]) -> Availability | None:
        """Return what `describe` said, or None for an Opportunity that is not registered."""
        if not raw[0]:
            return None
        shortages = [
            Shortage(Reason(entry[0]), entry[1], entry[2], entry[3].decode()) if entry else None
            for entry in raw[2] or ()
        ]
        return cls(raw[0].decode(), raw[1], shortages, [price.decode() for price in raw[3:]])


class Quotation(NamedTuple):
    """The answer of `quote`."""

    now: int
    """Redis's clock, in seconds since 1970."""
    expires: int
    """Seconds since 1970 when the lease expires; 0: nothing is held."""
    is_gross: bool
    """Whether the prices are what is paid, taxes and all (rule 18)."""
    availabilities: list[Availability | None]


class BookedItem(NamedTuple):
    """One OrderItem of an Order or OrderProposal."""

    type: str
    opportunity: str
    position: int
    offer: str
    price: str
    id: str
    status: str
    """`CustomerCancelled` or the like; `""`: confirmed."""


class OrderRecord(NamedTuple):
    """An Order or OrderProposal, as its hash has it."""

    state: str
    """`proposed`, `booked` or `deleted`; `""`: there is none."""
    status: str
    """Of a proposal: `AwaitingSellerConfirmation` or what was decided."""
    is_gross: bool
    """Whether prices were what is paid when it was made: its answer stays the same (rule 17)."""
    items: list[BookedItem]


class Booking(NamedTuple):
    """The answer of `book` and `propose`: done now, done before, or refused."""

    record: OrderRecord | None = None
    """What was booked or proposed; None: it was refused."""
    before: bool = False
    """Whether an earlier call did it."""
    expires: int = 0
    """Of a proposal: when its lease expires, in seconds since 1970; 0: nothing is held."""
    availabilities: Sequence[Availability | None] = ()
    """Of a refusal: what may be had, in the basket's order."""
    is_lacking: bool = False
    """Of a refusal: whether spaces are lacking for any OrderItem (rule 16)."""
    now: int = 0
    """Of a refusal: Redis's clock, in seconds since 1970."""


class HeldItem(NamedTuple):
    """One OrderItem of a live lease."""

    type: str
    opportunity: str
    position: int
    offer: str
    price: str


class HeldLease(NamedTuple):
    """The answer of `look`."""

    expires: int
    """Seconds since 1970."""
    step: int
    is_gross: bool
    """As of a `Quotation`."""
    items: list[HeldItem]


class Ledgered(NamedTuple):
    """The answer of `inspect`: spaces of one Opportunity."""

    type: str
    capacity: int
    booked: int
    leased: int
    remaining: int
    """Spaces that nobody has, here and in the pools that it draws on."""


def availabilities(groups: Sequence[Any], basket: Collection[str]) -> list[Availability | None]:
    """Return what was said of the basket's Opportunities, which come before all others."""
    return [Availability.parse(group) for group in groups[: len(basket)]]


def held_items(groups: Sequence[Any]) -> list[HeldItem]:
    """Return the OrderItems of a lease in order of position."""
    items = [
        HeldItem(kind.decode(), id_.decode(), int(position), offer.decode(), price.decode())
        for kind, id_, *rows in groups
        for position, offer, price in rows
    ]
    return sorted(items, key=lambda item: item.position)


def order_record(flat: Sequence[bytes]) -> OrderRecord:
    """Return an Order's hash (names and values in turn), its OrderItems in order of position."""
    pairs = zip(flat[::2], flat[1::2], strict=True)
    fields = {name.decode(): value.decode() for name, value in pairs}
    items = []
    for text in (text for name, text in fields.items() if name not in _ORDER_FIELDS):
        head, *rows = text.split("\n")
        kind, opportunity, _ = head.split("\t")
        for row in rows:
            position, offer, price, id_, status = row.split("\t")
            items.append(BookedItem(kind, opportunity, int(position), offer, price, id_, status))
    items.sort(key=lambda item: item.position)
    is_gross = fields.get("gross") == "1"
    return OrderRecord(fields.get("state", ""), fields.get("status", ""), is_gross, items)


UNREADABLE: Final = (MisuseError, ValueError, ArithmeticError, LookupError)
"""What is raised where a key has another type than it should, or a text that nobody wrote."""

_NUMBER: Final = re.compile(rb"-?\d{1,15}")


def whole_number(stored: bytes | None) -> int:
    """Return a number as the scripts store it; ValueError: it is none."""
    if stored is None or not _NUMBER.fullmatch(stored):
        raise ValueError(stored)
    return int(stored)


def stored_text(stored: bytes | None) -> str:
    """Return a text as the scripts store it; ValueError: there is none, or in another encoding."""
    if stored is None:
        raise ValueError(stored)
    return stored.decode()
