"""The contract as plain Python: slow, obvious, one Seller in memory, and no script in sight.

It is what the scripts are judged by: it follows the contract and, where that leaves something
open, docs/protocol.md. Of an answer it knows what matters: no wire, no texts. Instants are whole
seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.model.capacity import Capacity
from tests.model.words import (
    INSUFFICIENT,
    Answer,
    Due,
    Holding,
    Item,
    Key,
    Lease,
    Order,
    Refused,
    total,
)

TAX_GROSS = "https://openactive.io/TaxGross"


class Seller(Capacity):
    """The contract, for one Seller."""

    def __init__(self, clock: Callable[[], int], **settings: int) -> None:
        """Begin with nothing; `clock` gives microseconds, `settings` what a policy leaves out."""
        super().__init__(clock, **settings)
        self.orders: dict[Key, Order] = {}
        self.ages: dict[Key, tuple[int, int]] = {}

    # Leases

    def quote(self, key: Key, step: int, basket: list[Item], *, strict: bool = False) -> Answer:
        """C1 (step 1) and C2 (step 2): rules 5 and 9 to 14."""
        if key in self.orders:
            raise Refused("OrderAlreadyExistsError")
        length = self.terms("anonymous" if step == 1 else "named")
        judged = self.judge(key, basket, only_held=not length or (None if strict else False))
        if length:
            self._refuse_one_too_many(key, judged.keep)
            cap = self._first(key) + self.terms("maximum_hold")
            self._hold(key, step, judged.keep, min(self.later(length), cap))
        else:
            self._hold(key, 0, judged.keep, 0)
        lease = self.lease(key)
        expires = lease.expires if lease else 0
        due = total(judged.items, is_gross=self.is_gross)
        return Answer(judged.items, due, expires, retry_after=judged.retry_after)

    def release(self, key: Key) -> int:
        """Release: return how many spaces came back."""
        lease = None if key in self.orders else self._end(key)
        return len(lease.items()) if lease else 0

    def pay(self, key: Key, seconds: int) -> int:
        """Open a payment window: rule 27."""
        lease = self._holding(key)
        if lease.paid is None:
            window = min(seconds, self.terms("payment_window"))
            lease.paid = lease.expires = max(lease.expires, self.later(window))
        return lease.paid

    def look_at_quote(self, key: Key) -> Answer:
        """Return what the Order holds."""
        self._existing(key)
        lease = self._holding(key)
        items = [
            item._replace(id="", remaining=None, error="", others=None)
            for item in sorted(lease.items(), key=lambda item: item.position)
        ]
        return Answer(items, total(items, is_gross=self.is_gross), lease.expires)

    # Orders

    def propose(self, key: Key, basket: list[Item], customer: str, due: Due) -> Answer:
        """P: rule 19."""
        order = self.orders.get(key)
        if not basket:
            raise Refused("OpenBookingError")
        digest = (sorted(basket), customer)
        if order and not (order.state == "proposed" and order.digest == digest):
            raise Refused("OrderAlreadyExistsError")
        if not order:
            holdings = self._bookable(key, basket, due)
            length = self.terms("proposal")
            if length:
                self._refuse_one_too_many(key, holdings)
                items = {id_: holding.items for id_, holding in holdings.items()}
                self._hold(key, 3, items, self.later(length))
            status = "AwaitingSellerConfirmation"
            self.orders[key] = Order("proposed", digest, status, self.is_gross, holdings)
        return self.look_at_proposal(key)._replace(replayed=order is not None)

    def decide(self, key: Key, status: str, grace: int) -> None:
        """Say what the Seller or the Customer decided: rule 19."""
        order = self.orders.get(key)
        if not order or order.state != "proposed":
            raise Refused("UnknownOrderError")
        if order.status == status:
            return
        if "Rejected" in order.status:
            raise Refused("PatchNotAllowedOnPropertyError")
        order.status = status
        lease = self.leases.get(key)
        if lease and "Rejected" in status:
            has_grace = grace and (lease.holdings or any(lease.left.values()))
            lease.expires = min(lease.expires, self.later(grace)) if has_grace else 0

    def book(self, key: Key, basket: list[Item] | None, customer: str, due: Due) -> Answer:
        """B: rules 15 to 19; without a basket it books what was proposed."""
        order = self.orders.get(key)
        if basket == []:
            raise Refused("OpenBookingError")
        if order and order.state == "deleted":
            raise Refused("OrderAlreadyExistsError")
        if basket is None and not order:
            raise Refused("OpenBookingError")
        digest = order.digest if basket is None and order else (sorted(basket or []), customer)
        if order and order.state == "booked":
            if order.digest != digest or (basket is None and not order.status):
                raise Refused("OrderAlreadyExistsError")
            return order.confirmed()._replace(replayed=True)
        if order and "Rejected" in order.status:
            raise Refused("OrderCreationFailedError")
        if basket is None and order:
            basket = [item._replace(price=None) for item in order.items()]
        holdings = self._bookable(key, basket or [], due)
        self.leases.pop(key, None)
        for id_, holding in holdings.items():
            self._count_booked(id_, holding, len(holding.items))
        status = order.status if order else ""
        self.orders[key] = Order("booked", digest, status, self.is_gross, holdings)
        return self.orders[key].confirmed()

    def cancel(self, key: Key, named: list[tuple[str, str | int, str]]) -> None:
        """Cancel OrderItems, named by «position» or «id»: rule 20."""
        order = self.orders.get(key)
        if not order or order.state != "booked":
            raise Refused("UnknownOrderError")
        found = []
        for by, name, status in named:
            matching = [item for item in order.items() if getattr(item, by) == name]
            if not matching:
                raise Refused("OrderItemNotWithinOrderError")
            found.append((matching[0], status))
        for item, status in found:
            if item.position not in order.cancelled:
                order.cancelled[item.position] = status
                self._count_booked(item.opportunity, order.holdings[item.opportunity], -1)

    def delete(self, key: Key) -> None:
        """Delete an Order: rule 20."""
        order = self.orders.get(key)
        if not order or order.state == "proposed":
            raise Refused("UnknownOrderError")
        for item in order.items():
            if item.position not in order.cancelled:
                self._count_booked(item.opportunity, order.holdings[item.opportunity], -1)
        self.orders[key] = Order("deleted")

    def look_at_proposal(self, key: Key) -> Answer:
        """Return a proposal as it stands."""
        order = self._existing(key)
        if not order or order.state != "proposed":
            raise Refused("UnknownOrderError")
        lease = self.lease(key)
        expires = lease.expires if lease else 0
        items = [item._replace(status="OrderItemProposed") for item in order.items()]
        return Answer(items, total(items, is_gross=order.is_gross), expires, order.status)

    def look_at_order(self, key: Key) -> Answer:
        """Return an Order as it stands."""
        order = self._existing(key)
        if not order or order.state != "booked":
            raise Refused("UnknownOrderError")
        items = order.confirmed().items
        items = [
            item._replace(status=order.cancelled.get(item.position, item.status)) for item in items
        ]
        confirmed = [item for item in items if "Cancelled" not in item.status]
        return Answer(items, total(confirmed, is_gross=order.is_gross))

    # What several calls need

    def later(self, seconds: int) -> int:
        """Return the first whole second that is at least so long from now."""
        return -(-self.clock() // 1_000_000) + seconds

    @property
    def is_gross(self) -> bool:
        """Whether the prices are what is paid, by the policy of today (rule 18)."""
        return self.policy.get("tax_mode") == TAX_GROSS

    def _existing(self, key: Key) -> Order | None:
        """Return an Order, unless it is gone."""
        order = self.orders.get(key)
        if order and order.state == "deleted":
            raise Refused("GoneError")
        return order

    def _holding(self, key: Key) -> Lease:
        lease = self.lease(key)
        if not lease:
            raise Refused("UnknownOrderError")
        return lease

    def _refuse_one_too_many(self, key: Key, keep: object) -> None:
        """Refuse a new lease beyond the policy's maximum (rule 14)."""
        expiries = [
            lease.expires
            for other, lease in self.live_leases()
            if other[0] == key[0] and other != key
        ]
        if keep and not self.lease(key) and len(expiries) >= self.terms("maximum_leases"):
            raise Refused("TooManyRequestsError", retry_after=min(expiries) - self.now)

    def _first(self, key: Key) -> int:
        """Return when the UUID was first leased: remembered until its lease expires (rule 11)."""
        if lease := self.lease(key):
            return lease.first
        withdrawn = dict(self.live_leases()).get(key)
        first, until = (
            (withdrawn.first, withdrawn.expires) if withdrawn else self.ages.get(key, (0, 0))
        )
        until = min(until, first + self.terms("maximum_hold"))
        return first if until > self.now else self.now

    def _hold(self, key: Key, step: int, keep: dict[str, list[Item]], expires: int) -> None:
        """Make the lease what is kept: rules 9 to 11."""
        lease, first = self.lease(key), self._first(key)
        if not keep:
            self._end(key)
            return
        lease = lease or Lease(step, first, expires, {})
        step, expires = max(lease.step, step), max(lease.expires, expires)
        self.leases[key] = Lease(step, lease.first, expires, self._holdings(keep), lease.paid)

    def _end(self, key: Key) -> Lease | None:
        """End what is a lease now; that it was one is remembered until it would have expired."""
        lease = self.leases.pop(key, None)
        if not lease or lease.expires <= self.now:
            return None
        self.ages[key] = (lease.first, lease.expires)
        return lease

    def _holdings(self, keep: dict[str, list[Item]]) -> dict[str, Holding]:
        return {
            id_: Holding(
                items,
                {
                    pool: n
                    for pool, n in self.things[id_].pools.items()
                    if self.is_registered(pool)
                },
            )
            for id_, items in keep.items()
        }

    def _bookable(self, key: Key, basket: list[Item], due: Due) -> dict[str, Holding]:
        """Return the whole basket, or refuse it (rules 16 and 18)."""
        judged = self.judge(key, basket)
        if judged.refused:
            kind = INSUFFICIENT if judged.is_lacking else "UnableToProcessOrderItemError"
            raise Refused(kind, judged.items, judged.retry_after)
        right, told = total(judged.items, is_gross=self.is_gross), due or (None, "")
        if right and (told[0] not in {None, right[0]} or told[1] not in {"", right[1] or told[1]}):
            raise Refused("TotalPaymentDueMismatchError")
        return self._holdings(judged.keep)

    def _count_booked(self, id_: str, holding: Holding, spaces: int) -> None:
        self.things[id_].booked += spaces
        for pool, each in holding.draws.items():
            self.things[pool].booked += spaces * each
