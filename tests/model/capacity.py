"""How much there is and who may have how much: rules 1 to 7, 12 to 14 and 28 of the contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from tests.model.words import (
    CONFLICT,
    FULL,
    INCOMPLETE,
    INSUFFICIENT,
    POOL,
    RESERVED,
    SEVERITY,
    UNACCEPTABLE_OFFER,
    UNKNOWN_OFFER,
    UNKNOWN_OPPORTUNITY,
    Holding,
    Item,
    Key,
    Lease,
    Thing,
)


class Judgement(NamedTuple):
    """What a basket may have."""

    items: list[Item]
    keep: dict[str, list[Item]]
    """What the Order holds of each Opportunity, if the call leases."""
    retry_after: int | None
    is_lacking: bool
    """Whether spaces are lacking for any OrderItem by rule 1."""

    @property
    def refused(self) -> bool:
        """Tell whether any OrderItem has an error."""
        return any(item.error for item in self.items)


class Shortage(NamedTuple):
    """What keeps an OrderItem from being held: of what, with how many wanted up to this one."""

    error: str
    name: str
    wanted: int
    others: int


NO_SHORTAGE = Shortage("", "", 0, 0)


class Capacity:
    """One Seller's Opportunities and pools, and what Orders may have of them."""

    def __init__(self, clock: Callable[[], int], **settings: int) -> None:
        """Begin with nothing; `clock` gives microseconds, `settings` what a policy leaves out."""
        self.clock = clock
        self.settings = settings
        self.policy: dict[str, Any] = {}
        self.things: dict[str, Thing] = {}
        self.leases: dict[Key, Lease] = {}

    # The catalogue

    def register(self, id_: str, entry: Thing) -> str:
        """Register an Opportunity or a pool; return how it is counted."""
        known = self.things.get(id_)
        if entry.kind == POOL and entry.pools:
            return "failed"
        if known and entry.modified is not None and entry.modified < (known.modified or 0):
            return "unchanged"
        if not all(self.is_registered(pool, POOL) for pool in entry.pools):
            return "failed"
        modified = known.modified if known and entry.modified is None else entry.modified
        booked = known.booked if known else entry.booked
        self.things[id_] = replace(entry, booked=booked, modified=modified)
        if not known or not known.registered:
            return "registered"
        same = replace(known, modified=modified) == self.things[id_]
        return "unchanged" if same else "updated"

    def withdraw(self, id_: str) -> None:
        """Make it unknown, and end its leases; what is booked stays."""
        if not self.is_registered(id_):
            return
        self.things[id_].registered = False
        for lease in self.leases.values():
            del lease.left[id_]
            for holding in lease.holdings.values():
                holding.draws.pop(id_, None)
            over = lease.holdings.pop(id_, Holding([], {}))
            lease.left.update({pool: len(over.items) * n for pool, n in over.draws.items()})

    def is_registered(self, id_: str, kind: str = "") -> bool:
        """Tell whether it is known, as a thing of this kind if one is given."""
        thing = self.things.get(id_)
        return thing is not None and thing.registered and kind in {"", thing.kind}

    def ledger(self, id_: str) -> tuple[int, int, int, int] | None:
        """Return capacity, booked, leased and free (rule 1's last sentence; rule 28)."""
        if not self.is_registered(id_):
            return None
        thing = self.things[id_]
        free = [
            max(0, self._room(name) - self._leased(name)) // spaces
            for name, spaces in self._draws(id_).items()
        ]
        return thing.capacity, thing.booked, self._leased(id_), min(free)

    # What an Order may have: rules 1 to 6, 13, 14 and 28

    def judge(self, key: Key, basket: list[Item], *, only_held: bool | None = False) -> Judgement:
        """Return what an Order may have of a basket.

        `only_held`: it gets nothing new; None: nothing new where anything is refused.
        """
        asked = self._read(key, basket)
        foreign = self._foreign(key, asked)
        judged, shortages, is_lacking = self._judged(key, asked, foreign)
        items = [
            item._replace(error=UNACCEPTABLE_OFFER) if item.position in foreign else item
            for item in judged
        ]
        lease = self.lease(key)
        if only_held is None:
            only_held = any(item.error for item in items)
        keep = {}
        for id_ in dict.fromkeys(item.opportunity for item in asked if not item.error):
            mine = [
                now
                for now, before in zip(judged, asked, strict=True)
                if before.opportunity == id_ and not before.error
            ]
            held = lease.holdings[id_].items if lease and id_ in lease.holdings else []
            is_short = any(item.error for item in mine)
            fits = not is_short and (len(mine) <= len(held) or not only_held)
            keep[id_] = mine if fits else held[: len(mine)]
        return Judgement(
            items,
            {id_: rows for id_, rows in keep.items() if rows},
            self._retry_after(key, shortages),
            is_lacking,
        )

    def _read(self, key: Key, basket: list[Item]) -> list[Item]:
        """Return a basket in order of position, with prices and the errors of rule 4.

        What the Order holds already is guaranteed, first come first served, even after its offer
        was taken off sale (rule 13). What is in another currency than the first price has an
        error too, unless it is held: that is kept, see `_foreign`.
        """
        items = []
        for item, held in zip(sorted(basket), self.guarantees(key, sorted(basket)), strict=True):
            thing = self.things.get(item.opportunity)
            if not item.opportunity or not item.offer:
                items.append(item._replace(error=INCOMPLETE))
            elif not thing or not thing.registered or thing.kind == POOL:
                items.append(item._replace(error=UNKNOWN_OPPORTUNITY))
            else:
                price = (held.price if held else None) or thing.offers.get(item.offer)
                is_known = held or not thing.offers or item.offer in thing.offers
                error = "" if is_known else UNKNOWN_OFFER
                if error and any(self._sells(other, item.offer) for other in basket):
                    error = UNACCEPTABLE_OFFER
                items.append(item._replace(kind=thing.kind, price=price, error=error))
        return [
            item._replace(error=UNACCEPTABLE_OFFER)
            if not item.error and not is_held and _is_foreign(item, items)
            else item
            for item, is_held in zip(items, self.guarantees(key, items), strict=True)
        ]

    def _foreign(self, key: Key, items: list[Item]) -> set[int]:
        """Return the positions of what is held in another currency than the first (rule 18)."""
        return {
            item.position
            for item, held in zip(items, self.guarantees(key, items), strict=True)
            if held and not item.error and _is_foreign(item, items)
        }

    def _sells(self, item: Item, offer: str) -> bool:
        """Tell whether an OrderItem is of an Opportunity that has this offer, and says so."""
        is_known = self.is_registered(item.opportunity)
        return item.offer == offer and is_known and offer in self.things[item.opportunity].offers

    def guarantees(self, key: Key, items: list[Item]) -> list[Item | None]:
        """Return for every OrderItem the one of the lease that it repeats."""
        lease = self.lease(key)
        queues: dict[tuple[str, str], list[Item]] = {}
        for held in lease.items() if lease else ():
            queues.setdefault((held.opportunity, held.offer), []).append(held)
        found = [queues.get((item.opportunity, item.offer)) for item in items]
        return [queue.pop(0) if queue else None for queue in found]

    def _judged(
        self, key: Key, asked: list[Item], foreign: set[int]
    ) -> tuple[list[Item], list[Shortage], bool]:
        """Return every OrderItem with its error, what the reserved lack, and whether any does.

        What the Order holds and asks for again is counted first; then what is new, in order of
        position, over the whole basket.
        """
        lease = self.lease(key)
        wanted = Counter(item.opportunity for item in asked if not item.error)
        kept = {id_: min(n, lease.held(id_) if lease else 0) for id_, n in wanted.items()}
        given, taken = Counter(kept), Counter[str]()
        for id_, spaces in kept.items():
            taken.update({name: spaces * n for name, n in self._draws(id_).items()})
        demand, rank, repeated = taken.copy(), Counter[str](), Counter[str]()
        judged, reserved, is_lacking = [], [], False
        for item in asked:
            if item.error:
                judged.append(item)
                continue
            id_, draws = item.opportunity, self._draws(item.opportunity)
            rank[id_] += 1
            is_kept = rank[id_] <= kept[id_]
            (repeated if is_kept else demand).update(draws)
            shortages = []
            for name, n in draws.items():
                available, others = self._available(key, name), self._leased(name, but=key)
                so_far = (repeated if is_kept else demand)[name]
                is_lacking = is_lacking or so_far > available
                if (repeated[name] if is_kept else taken[name] + n) > available:
                    error = RESERVED if so_far <= available + others else INSUFFICIENT
                    error = FULL if self._room(name) <= 0 else error
                    shortages.append(Shortage(error, name, so_far, others))
            worst = max(shortages, key=lambda short: SEVERITY[short.error], default=NO_SHORTAGE)
            error = worst.error
            if rank[id_] > self.terms("maximum_spaces") and error != FULL:
                error = CONFLICT
            if not error and not is_kept:
                given[id_] += 1
                taken.update(draws)
            is_reserved = error == RESERVED and item.position not in foreign
            reserved += shortages if is_reserved else []
            others_hold = worst.others if is_reserved else None
            judged.append(item._replace(error=error, others=others_hold))
        fitting = Counter(item.opportunity for item in judged if not item.error)
        return (
            [
                self._with_remaining(key, item, taken, given, fitting[item.opportunity])
                for item in judged
            ],
            reserved,
            is_lacking,
        )

    def _with_remaining(
        self, key: Key, item: Item, taken: Counter[str], given: Counter[str], fitting: int
    ) -> Item:
        """Give an OrderItem *A*: the least over the Opportunity and what is left of its pools.

        The first *A* have no error (rule 3): it is no less than those that have none.
        """
        if item.error in {INCOMPLETE, UNKNOWN_OPPORTUNITY}:
            return item
        id_ = item.opportunity
        least = self._available(key, id_)
        for pool, each in self.things[id_].pools.items():
            rest = taken[pool] - given[id_] * each
            least = min(least, (self._available(key, pool) - rest) // each)
        return item._replace(remaining=max(fitting, least))

    def _retry_after(self, key: Key, reserved: list[Shortage]) -> int | None:
        """Return how long until everything that is short has room, or is held no more (rule 6)."""
        for at in sorted(lease.expires for _, lease in self.live_leases()) if reserved else []:
            if all(
                short.wanted <= self._available(key, short.name, at)
                or not self._leased(short.name, at, key)
                for short in reserved
            ):
                return at - self.now
        return None

    def _available(self, key: Key, name: str, at: int = 0) -> int:
        """Return rule 1's *A*, of an Opportunity or a pool."""
        lease = dict(self.live_leases()).get(key)
        room, held = self._room(name), lease.held(name) if lease else 0
        return max(0, room - self._leased(name, at, key), min(held, room))

    def _room(self, name: str) -> int:
        thing = self.things[name]
        return thing.capacity - thing.booked if thing.registered else 0

    def _leased(self, name: str, at: int = 0, but: Key | None = None) -> int:
        """Return what leases hold that do not end by `at`, except for one Order's."""
        leases = [lease for key, lease in self.live_leases() if key != but and lease.expires > at]
        return sum(lease.held(name) for lease in leases) if self.is_registered(name) else 0

    def _draws(self, id_: str) -> dict[str, int]:
        """Return the Opportunity and its pools, with what one space takes of each."""
        return {id_: 1, **self.things[id_].pools}

    # Time and terms

    @property
    def now(self) -> int:
        """The second that it is."""
        return self.clock() // 1_000_000

    def terms(self, name: str) -> Any:
        """Return what the policy says, else the settings."""
        return self.policy.get(name, self.settings.get(name, float("inf")))

    def lease(self, key: Key) -> Lease | None:
        """Return the lease of an Order, if it holds anything now."""
        lease = dict(self.live_leases()).get(key)
        return lease if lease and lease.holdings else None

    def live_leases(self) -> Iterator[tuple[Key, Lease]]:
        """Yield the leases that have not expired, also those that hold nothing any more."""
        return ((key, lease) for key, lease in self.leases.items() if lease.expires > self.now)


def _is_foreign(item: Item, basket: list[Item]) -> bool:
    """Tell whether a price is in another currency than the first of a basket, by position."""
    currencies = [other.price[1] for other in basket if other.price and other.price[1]]
    return item.price is not None and item.price[1] not in {"", *currencies[:1]}
