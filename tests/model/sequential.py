"""What a few calls answer, one after the other: the contract as a function from state to state.

A checker of histories tries thousands of orders, so a state is a value that can be compared and
kept, and a call that changes nothing returns the very state that it was given. `contract.py` says
the same more slowly; a test plays both.

Time is a call too. A lease ends on a whole second of Redis's clock, and how long it lasts is
counted from the next whole second: so all that matters is when the clock comes to a second and
when it goes beyond it. `tick` is the one or the other, and a history has both for every second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from tests.model.words import FULL, INSUFFICIENT, RESERVED

SECOND = 1_000_000
EXISTS = "OrderAlreadyExistsError"
UNKNOWN = "UnknownOrderError"
NOT_WITHIN = "OrderItemNotWithinOrderError"
GONE = "GoneError"


class Call(NamedTuple):
    """One call of the contract, or the clock."""

    verb: str
    """C1, C2, B, release, cancel, delete, look, look at order, inspect, resize, or tick."""
    order: str = ""
    basket: tuple[str, ...] = ()
    """The Opportunity of each OrderItem; of `inspect` and `resize`, the one that it is about."""
    number: int = 0
    """The position to cancel, the capacity to set, or the time in microseconds since 1970."""
    strict: bool = False


class Answer(NamedTuple):
    """What matters of an answer."""

    status: int
    error: str = ""
    items: tuple[tuple[str, int | None], ...] = ()
    """Of each OrderItem its error and what remains; of an Order whether it was cancelled."""
    expires: int = 0
    retry_after: int | None = None
    replayed: bool = False
    counts: tuple[int, ...] = ()
    """Spaces that a release gave back; capacity, booked, leased and free; whether it was news."""


class Ledger(NamedTuple):
    """How many spaces an Opportunity has, and how many are booked."""

    opportunity: str
    capacity: int
    booked: int


class Lease(NamedTuple):
    """What an Order holds, until a second of Redis's clock."""

    order: str
    expires: int
    basket: tuple[str, ...]


class Order(NamedTuple):
    """What B booked, and which positions were cancelled; without a basket it was deleted."""

    order: str
    basket: tuple[str, ...]
    cancelled: frozenset[int] = frozenset()


class State(NamedTuple):
    """Everything that a call can depend on."""

    clock: int
    """Microseconds since 1970: a whole second, or one more for all that comes after it."""
    durations: tuple[int, int]
    """How long C1 and C2 lease, in seconds."""
    ledgers: frozenset[Ledger] = frozenset()
    leases: frozenset[Lease] = frozenset()
    orders: frozenset[Order] = frozenset()

    @property
    def now(self) -> int:
        """The second that it is."""
        return self.clock // SECOND

    def ledger(self, opportunity: str) -> Ledger:
        """Return the ledger of an Opportunity."""
        return next(one for one in self.ledgers if one.opportunity == opportunity)

    def lease(self, order: str) -> Lease | None:
        """Return the live lease of an Order."""
        return next((one for one in self.leases if one.order == order), None)

    def order(self, order: str) -> Order | None:
        """Return the Order, or what is left of it."""
        return next((one for one in self.orders if one.order == order), None)

    def leased(self, opportunity: str, but: str = "", after: int = 0) -> int:
        """Return what leases hold that end after this second, except for one Order's."""
        return sum(
            lease.basket.count(opportunity)
            for lease in self.leases
            if lease.order != but and lease.expires > after
        )

    def available(self, order: str, opportunity: str, after: int = 0) -> int:
        """Return rule 1's *A*, with the leases that end after this second."""
        _, capacity, booked = self.ledger(opportunity)
        lease = self.lease(order)
        held = lease.basket.count(opportunity) if lease else 0
        others = self.leased(opportunity, order, after)
        return max(0, capacity - booked - others, min(held, capacity - booked))

    def with_lease(self, order: str, basket: tuple[str, ...], expires: int = 0) -> State:
        """Let an Order hold this and nothing else."""
        before = self.lease(order)
        lease = Lease(order, expires, basket) if basket else None
        if before == lease:
            return self
        return self._replace(leases=self.leases - {before} | ({lease} if lease else set()))

    def with_order(self, order: Order, opportunities: Counter[str]) -> State:
        """Have this Order instead of what it was, with so many more spaces booked."""
        ledgers = frozenset(
            one._replace(booked=one.booked + opportunities[one.opportunity])
            for one in self.ledgers
        )
        return self._replace(
            ledgers=ledgers, orders=self.orders - {self.order(order.order)} | {order}
        )


def play(state: State, call: Call) -> tuple[State, Answer]:
    """Return what a call makes of a state, and what it answers."""
    return _VERBS[call.verb](state, call)


def _quote(state: State, call: Call) -> tuple[State, Answer]:
    """C1 and C2: rules 1 to 12."""
    if state.order(call.order):
        return state, Answer(500, EXISTS)
    items, retry_after = _judged(state, call)
    lease = state.lease(call.order)
    short = {one for one, (error, _) in zip(call.basket, items, strict=True) if error}
    keep = []
    for opportunity, wanted in sorted(Counter(call.basket).items()):
        held = lease.basket.count(opportunity) if lease else 0
        gets_new = opportunity not in short and not (call.strict and short)
        keep += [opportunity] * (wanted if gets_new else min(held, wanted))
    duration = state.durations[call.verb == "C2"]
    until = -(-state.clock // SECOND) + duration
    expires = (max(lease.expires, until) if lease else until) if keep else 0
    state = state.with_lease(call.order, tuple(keep), expires)
    return state, Answer(409 if short else 200, "", items, expires, retry_after)


def _judged(state: State, call: Call) -> tuple[tuple[tuple[str, int | None], ...], int | None]:
    """Return each OrderItem's error and *A*, and when to ask again (rules 3 and 6)."""
    items: list[tuple[str, int | None]] = []
    rank, reserved = Counter[str](), dict[str, int]()
    available = {one: state.available(call.order, one) for one in {*call.basket}}
    for opportunity in call.basket:
        rank[opportunity] += 1
        free, error = available[opportunity], ""
        if rank[opportunity] > free:
            _, capacity, booked = state.ledger(opportunity)
            others = state.leased(opportunity, call.order)
            error = RESERVED if rank[opportunity] <= free + others else INSUFFICIENT
            error = FULL if capacity <= booked else error
        if error == RESERVED:
            reserved[opportunity] = rank[opportunity]
        items.append((error, free))
    for expires in sorted({lease.expires for lease in state.leases}) if reserved else ():
        if all(
            wanted <= state.available(call.order, one, expires)
            or not state.leased(one, call.order, expires)
            for one, wanted in reserved.items()
        ):
            return tuple(items), expires - state.now
    return tuple(items), None


def _book(state: State, call: Call) -> tuple[State, Answer]:
    """B: rules 15 to 17."""
    order = state.order(call.order)
    if order:
        replayed = order.basket == call.basket
        return state, _booked(order, replayed=True) if replayed else Answer(500, EXISTS)
    items, retry_after = _judged(state, call)
    if any(error for error, _ in items):
        return state, Answer(409, INSUFFICIENT, items, retry_after=retry_after)
    order = Order(call.order, call.basket)
    state = state.with_lease(call.order, ())
    return state.with_order(order, Counter(call.basket)), _booked(order)


def _booked(order: Order, *, replayed: bool = False) -> Answer:
    return Answer(201, items=(("", None),) * len(order.basket), replayed=replayed)


def _look_at_order(state: State, call: Call) -> tuple[State, Answer]:
    order = state.order(call.order)
    if not order:
        return state, Answer(404, UNKNOWN)
    if not order.basket:
        return state, Answer(410, GONE)
    said = ("x" if n in order.cancelled else "" for n in range(len(order.basket)))
    return state, Answer(200, items=tuple((one, None) for one in said))


def _cancel(state: State, call: Call) -> tuple[State, Answer]:
    """Cancel one OrderItem: rule 20."""
    order, position = state.order(call.order), call.number
    if not order or not order.basket:
        return state, Answer(404, UNKNOWN)
    if position >= len(order.basket):
        return state, Answer(500, NOT_WITHIN)
    if position not in order.cancelled:
        order = order._replace(cancelled=order.cancelled | {position})
        state = state.with_order(order, Counter({order.basket[position]: -1}))
    return state, Answer(204)


def _delete(state: State, call: Call) -> tuple[State, Answer]:
    """Delete an Order: rule 20."""
    order = state.order(call.order)
    if not order:
        return state, Answer(404, UNKNOWN)
    if order.basket:
        kept = [one for n, one in enumerate(order.basket) if n not in order.cancelled]
        state = state.with_order(
            Order(call.order, ()), Counter({one: -kept.count(one) for one in kept})
        )
    return state, Answer(204)


def _release(state: State, call: Call) -> tuple[State, Answer]:
    lease = state.lease(call.order)
    spaces = len(lease.basket) if lease else 0
    return state.with_lease(call.order, ()), Answer(204, counts=(spaces,))


def _look(state: State, call: Call) -> tuple[State, Answer]:
    lease, order = state.lease(call.order), state.order(call.order)
    if order and not order.basket:
        return state, Answer(410, GONE)
    if not lease:
        return state, Answer(404, UNKNOWN)
    return state, Answer(
        200, items=tuple((one, None) for one in lease.basket), expires=lease.expires
    )


def _inspect(state: State, call: Call) -> tuple[State, Answer]:
    """Look at the ledger of an Opportunity: rule 1, last sentence."""
    opportunity, capacity, booked = state.ledger(call.basket[0])
    leased = state.leased(opportunity)
    free = max(0, capacity - booked - leased)
    return state, Answer(200, counts=(capacity, booked, leased, free))


def _resize(state: State, call: Call) -> tuple[State, Answer]:
    """Register an Opportunity with another capacity: rule 7."""
    ledger = state.ledger(call.basket[0])
    if ledger.capacity == call.number:
        return state, Answer(200, counts=(0,))
    resized = ledger._replace(capacity=call.number)
    return state._replace(ledgers=state.ledgers - {ledger} | {resized}), Answer(200, counts=(1,))


def ticks(first: int, last: int) -> list[int]:
    """Return the instants at which the clock comes to each second, and goes beyond it."""
    return [
        instant
        for second in range(first, last + 1)
        for instant in (second * SECOND, second * SECOND + 1)
    ]


def _tick(state: State, call: Call) -> tuple[State, Answer]:
    """Let the clock go on by one tick; what ends at that second is gone (rule 12)."""
    is_on_second = state.clock == state.now * SECOND
    if call.number != (state.clock + 1 if is_on_second else (state.now + 1) * SECOND):
        return state, Answer(400)
    live = frozenset(lease for lease in state.leases if lease.expires * SECOND > call.number)
    return state._replace(clock=call.number, leases=live), Answer(200)


_VERBS: Final[dict[str, Callable[[State, Call], tuple[State, Answer]]]] = {
    "C1": _quote,
    "C2": _quote,
    "B": _book,
    "release": _release,
    "cancel": _cancel,
    "delete": _delete,
    "look": _look,
    "look at order": _look_at_order,
    "inspect": _inspect,
    "resize": _resize,
    "tick": _tick,
}
