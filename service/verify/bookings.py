"""What the Orders have booked of every Opportunity, at the instant when its total was read.

Orders change while they are read. But each says when what it books last changed, so that it can be
told afterwards what it had booked at an instant before, whenever it is read. Only what was
cancelled or deleted since then cannot be told: of that, nothing is said, and neither of what a
Seller has booked of whom an Order cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from service.ledger.auditor import Audit, Bookings
from service.ledger.scanner import Name, Order

_BOOKED: Final = "booked"
_DELETED: Final = "deleted"


class _Account:
    """One Opportunity's bookings."""

    # There may be many.
    __slots__ = ("at", "before", "booked", "is_unsure", "name", "ordered", "seller")

    def __init__(self, name: Name, seller: str, audit: Audit) -> None:
        self.name = name
        self.seller = seller
        self.at = audit.at
        self.booked = audit.booked
        self.before = audit.before
        self.ordered = 0
        self.is_unsure = False


class Accounts:
    """Adds up what Orders have booked, for many Opportunities at once."""

    def __init__(self) -> None:
        """Begin with none."""
        self._accounts: dict[str, _Account] = {}
        self._last_deletion: dict[str, int] = {}
        self._unreadable = set[str]()
        self.strangers: dict[str, tuple[Name, str]] = {}
        """What Orders have booked though it was not opened: where it is, and its Seller."""

    def open(self, name: Name, audit: Audit, seller: str = "") -> None:
        """Begin with what an Opportunity itself says; its Orders must be read after that."""
        self._accounts[name.rest] = _Account(name, audit.seller or seller, audit)

    def enter(self, orders: Iterable[Order], now: int) -> None:
        """Add Orders.

        Args:
            orders: As they were read.
            now: An instant after that, in microseconds since 1970, by Redis's clock.

        """
        for order in orders:
            if not order.is_readable:
                self._unreadable.add(order.name.seller)
            elif order.state == _DELETED:
                last = self._last_deletion.get(order.name.seller, 0)
                self._last_deletion[order.name.seller] = max(last, order.last)
            elif order.state == _BOOKED:
                self._enter(order, now)

    def _enter(self, order: Order, now: int) -> None:
        # As long as nothing was cancelled, what it books changed once: when it was booked. It
        # cannot have been booked later than now, unless the clock was set back.
        is_whole = all(share.booked == share.ordered for share in order.shares)
        is_sure = is_whole and order.last <= now
        for ref, booked, _ in order.shares:
            account = self._accounts.get(ref)
            if account is None:
                self.strangers[ref] = (order.name._replace(rest=ref), order.name.seller)
            elif order.last < account.at:
                account.ordered += booked
            elif not is_sure or order.first <= account.at:
                account.is_unsure = True

    def cannot_tell(self, seller: str) -> bool:
        """Tell whether a Seller has an Order that does not say what it has booked."""
        return seller in self._unreadable

    def has_any_of(self, order: Order) -> bool:
        """Tell whether an Order has anything of what was opened."""
        return any(share.ref in self._accounts for share in order.shares)

    def found(self, ref: str) -> Bookings | None:
        """Return what was found out about an Opportunity; None: it changed meanwhile."""
        account = self._accounts[ref]
        surplus = account.booked - (account.before or 0) - account.ordered
        before = None
        if account.before is None:
            surplus, before = min(0, surplus), max(0, surplus)
        if self.cannot_tell(account.seller):
            # What it has booked must not be taken for nobody's.
            return Bookings(account.at, 0, None) if surplus == 0 else None
        is_unsure = account.is_unsure or self._last_deletion.get(account.seller, 0) >= account.at
        if surplus and is_unsure:
            return None
        return Bookings(account.at, surplus, None if is_unsure else before)

    def __iter__(self) -> Iterator[tuple[str, Name, str]]:
        """Yield what was opened: what names it in keys, where it is, and its Seller."""
        for ref, account in self._accounts.items():
            yield ref, account.name, account.seller


def is_doubtful(found: Bookings | None, *, notes: bool) -> bool:
    """Tell whether bookings have to be looked at again.

    Args:
        found: What was found out about them.
        notes: Whether to look also at those of which it is not noted what was booked before.

    """
    return found is None or found.surplus != 0 or (notes and found.before is not None)
