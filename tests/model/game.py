"""The board of the game: both sides, the clock that they share, and what must hold at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from service.ledger import Ledger, OrderKey
from service.settings import Settings
from tests.model.contract import Seller
from tests.model.player import Player
from tests.model.strategies import (
    CLASS,
    COURSE,
    COURT,
    HALL,
    KINDS,
    OFFERS,
    OPPORTUNITIES,
    PARTNERS,
    PITCH,
    POOLS,
    SELLERS,
    moments,
    other_terms,
    registration,
    seller_policy,
)
from tests.model.words import Price, Refused, Thing
from tests.servers import RedisServer

# The year 2100: what a script lets Redis remove, Redis itself will not remove meanwhile.
BEGINNING = 4_102_444_800_000_000


class Game(RuleBasedStateMachine):
    """Two Sellers, two Booking Partners and four customers, for never enough spaces."""

    runner: asyncio.Runner
    server: RedisServer
    count_step: Callable[[], None]

    def __init__(self) -> None:
        """Set the clock."""
        super().__init__()
        self.time = BEGINNING
        self.player: Player | None = None
        self.is_swept = self.was_swept = True
        self.generations = [0] * 4
        self.told: dict[tuple[str, str], Any] = {}
        self.places: dict[tuple[str, str], int] = {}

    @initialize(grace_seconds=st.sampled_from([0, 45, 120]), terms=other_terms)
    def begin(self, grace_seconds, terms):
        """Open a ledger, and a model of each Seller, with a policy and something to book."""
        self.grace_seconds = grace_seconds
        settings = Settings(
            anonymous_seconds=60,
            named_seconds=120,
            proposal_seconds=90,
            maximum_hold_seconds=300,
            rejection_grace_seconds=grace_seconds,
        )
        self.player = Player(self.runner, self.server, settings)
        self.player.set_clock(self.time)
        self.models = {
            name: Seller(
                lambda: self.time,
                anonymous=settings.anonymous_seconds,
                named=settings.named_seconds,
                proposal=settings.proposal_seconds,
                maximum_hold=settings.maximum_hold_seconds,
                payment_window=120,
            )
            for name in SELLERS
        }
        for seller in SELLERS:
            self.say(seller, terms)
            for id_, capacity in ((HALL, 6), (PITCH, 3), (CLASS, 5), (COURT, 3), (COURSE, 4)):
                offers: dict[str, Price] = {OFFERS[0]: (Decimal(10), "GBP"), OFFERS[1]: None}
                offers = {} if id_ in POOLS else offers
                pools = {HALL: 1, PITCH: 2} if id_ == COURSE else {}
                self.make_known(seller, id_, Thing(KINDS[id_], capacity, 0, offers, pools))

    def teardown(self) -> None:
        """Verify what is left, and close the ledger."""
        if self.player:
            # What happened at the very instant of a look cannot be told from what comes after it.
            self.player.set_clock(self.time + 1)
            wrong = self.player.verify()
            self.player.close()
            assert not wrong, "".join(wrong)

    @property
    def now(self) -> int:
        """The second that it is."""
        return self.time // 1_000_000

    def key(self, seller: str, customer: int) -> OrderKey:
        """Return the name of a customer's present Order; both partners choose the same UUIDs."""
        uuid = f"{self.generations[customer]:08x}-0000-4000-8000-{customer // 2:012x}"
        return OrderKey(seller, PARTNERS[customer % 2], uuid)

    def leases(self) -> list[OrderKey]:
        """Return the names of the Orders with a lease, though it may hold nothing any more."""
        return [
            OrderKey(seller, *key)
            for seller, model in self.models.items()
            for key, _ in model.live_leases()
        ]

    def orders(self, *states: str) -> list[OrderKey]:
        """Return the names of the Orders that are «proposed», «booked» or «deleted»."""
        return [
            OrderKey(seller, *key)
            for seller, model in self.models.items()
            for key, order in model.orders.items()
            if order.state in states
        ]

    def is_under_way(self) -> bool:
        """Tell whether anything is held or ordered, so that it matters what happens."""
        return bool(self.leases() or self.orders("proposed", "booked"))

    def pick(self, keys: list[OrderKey], number: int) -> OrderKey:
        """Return one of these names, or now and then that of some customer's present Order."""
        if keys and number:
            return keys[number % len(keys)]
        return self.key(SELLERS[0], number % len(self.generations))

    def same(self, real: Callable[[Ledger, Player], Any], model: Callable[[], Any]) -> None:
        """Play a step on both sides: answers, refusals and ledgers have to be the same."""
        assert self.player
        self.count_step()
        player = self.player
        found, expected = _outcome(lambda: real(player.ledger, player)), _outcome(model)
        assert found == expected, _difference(found, expected)
        self.check_ledgers()

    def say(self, seller: str, terms: dict[str, Any]) -> None:
        """Replace a Seller's policy."""
        policy = seller_policy(seller, terms)
        self.models[seller].policy = terms
        self.same(
            lambda ledger, player: player.run(ledger.set_policy(seller, policy)), lambda: policy
        )

    def make_known(
        self, seller: str, id_: str, thing: Thing, remaining: int | None = None
    ) -> None:
        """Register an Opportunity or a pool."""
        entry = registration(id_, thing, remaining)
        self.same(
            lambda _, player: player.register(seller, entry),
            lambda: self.models[seller].register(id_, thing),
        )

    @precondition(lambda game: game.is_under_way())
    @rule(until=moments, redis_removes=st.booleans(), sweeps=st.booleans())
    def let_time_pass(self, until, redis_removes, sweeps):
        """Let time pass, also exactly until a lease expires, or until a microsecond before."""
        assert self.player
        self.count_step()
        leases = [lease for model in self.models.values() for lease in model.leases.values()]
        expiries = [lease.expires for lease in leases if lease.expires > self.now]
        expiry = min(expiries, default=self.now + 1) * 1_000_000
        self.time = {
            "soon": self.time + 400_000,
            "next second": self.time + 1_000_000,
            "expiry": expiry,
            "before": max(self.time, expiry - 1),
            "half": self.time + 30_000_000,
            "long": self.time + 400_000_000,
        }[until]
        self.player.set_clock(self.time)
        self.is_swept = self.was_swept = False
        if redis_removes:
            self.player.remove_expired(self.now)
        if sweeps:
            self.player.sweep()
            self.is_swept = True
        self.check_ledgers()

    @precondition(lambda game: game.is_under_way())
    @rule(forgets_scripts=st.booleans())
    def crash(self, forgets_scripts):
        """Let the replica die between two calls; another goes on."""
        assert self.player
        self.count_step()
        self.player.restart(forgets_scripts=forgets_scripts)

    def check_ledgers(self) -> None:
        """Check that what is booked and leased is the model's, and that the feed tells it."""
        assert self.player
        for seller, model in self.models.items():
            ledgers = {id_: model.ledger(id_) for id_ in KINDS}
            inside = self.player.look_inside(seller, [*KINDS], self.now)
            expected = [ledger and ledger[:3] for ledger in ledgers.values()]
            assert inside == expected, _difference(inside, expected)
            self._check_feed(seller, ledgers)
        self.was_swept = self.is_swept

    def _check_feed(self, seller: str, ledgers: dict[str, Any]) -> None:
        """Check that what is free moved an Opportunity in the feed, and that nothing else did.

        What expired is told by the next call that meets it or by the sweeper: rule 22 gives it a
        second.
        """
        assert self.player
        places = self.player.places_in_feed(seller, OPPORTUNITIES)
        for id_, place in zip(OPPORTUNITIES, places, strict=True):
            thing = self.models[seller].things.get(id_)
            pools = [*thing.pools.items()] if thing else []
            state = (ledgers[id_], pools, [ledgers[pool] for pool, _ in pools])
            told = self.told.get((seller, id_), (None, []))
            if place != self.places.get((seller, id_), 0):
                assert state != told or not self.was_swept, f"{id_} moved in the feed for nothing"
                self.places[seller, id_], self.told[seller, id_] = place, state
            elif self.is_swept:
                free, free_then = (ledger and ledger[3] for ledger in (state[0], told[0]))
                assert free == free_then, f"{id_} did not move in the feed"


def _outcome(call: Callable[[], Any]) -> Any:
    """Return what a call answers, or how it is refused."""
    try:
        return call()
    except Refused as refused:
        return refused.args


def _difference(found: Any, expected: Any) -> str:
    """Return what differs, the scripts' side first."""
    is_pair = isinstance(found, tuple | list) and isinstance(expected, tuple | list)
    if is_pair and len(found) == len(expected):
        pairs = zip(found, expected, strict=True)
        return "\n".join(_difference(one, other) for one, other in pairs if one != other)
    return f"{found} is not {expected}"
