"""The scripts against the contract: a game of all calls, on a clock that moves as it likes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from service.ledger import OrderKey, Step
from service.model import ProposalPatch
from tests.model import strategies as given
from tests.model.game import Game
from tests.model.player import answer_of, instant_of
from tests.model.strategies import KINDS, OFFERS, OPENACTIVE, order_patch, order_request
from tests.model.words import POOL, Due, Item, Thing


class Contract(Game):
    """Every call of the contract, as a front-end and its Brokers may make it."""

    # The Seller's side

    @precondition(Game.is_under_way)
    @rule(
        seller=given.sellers,
        id_=given.things,
        capacity=st.integers(0, 6),
        remaining=st.none() | st.integers(0, 4),
        offers=st.none() | given.offers_on_sale,
        pools=st.none() | given.wrong_pools,
        modified=st.none() | st.integers(0, 3),
    )
    def register(self, *, seller, id_, capacity, remaining, offers, pools, modified):
        """Register an Opportunity or a pool, new or otherwise than before."""
        known = self.models[seller].things.get(id_)
        pools = known.pools if known and pools is None else pools or {}
        booked = 0 if remaining is None else max(0, capacity - remaining)
        offers = known.offers if known and offers is None else offers or {}
        offers = {} if KINDS[id_] == POOL else offers
        thing = Thing(KINDS[id_], capacity, booked, offers, pools, modified)
        self.make_known(seller, id_, thing, remaining)

    @precondition(Game.is_under_way)
    @rule(
        seller=given.sellers,
        id_=given.opportunities,
        capacity=st.none() | st.integers(0, 3),
        price=given.prices,
    )
    def change(self, *, seller, id_, capacity, price):
        """Register an Opportunity as it is, but smaller or at another price."""
        known = self.models[seller].things[id_]
        capacity = known.capacity if capacity is None else capacity
        thing = Thing(KINDS[id_], capacity, 0, known.offers | {OFFERS[0]: price}, known.pools)
        self.make_known(seller, id_, thing)

    @precondition(Game.is_under_way)
    @rule(seller=given.sellers, id_=given.opportunities, pools=given.drawn_pools)
    def draw_on(self, *, seller, id_, pools):
        """Let an Opportunity draw on pools."""
        known = self.models[seller].things[id_]
        thing = Thing(KINDS[id_], known.capacity, 0, known.offers, pools)
        self.make_known(seller, id_, thing)

    @precondition(Game.is_under_way)
    @rule(seller=given.sellers, id_=given.things, returns=st.booleans())
    def withdraw(self, *, seller, id_, returns):
        """Withdraw an Opportunity or a pool, and maybe register it again."""
        self.same(
            lambda ledger, player: player.run(ledger.withdraw(seller, [id_])),
            lambda: self.models[seller].withdraw(id_),
        )
        if returns:
            known = self.models[seller].things[id_]
            self.make_known(seller, id_, replace(known, registered=True))

    @precondition(Game.is_under_way)
    @rule(seller=given.sellers, steps=given.step_lengths, others=given.other_terms)
    def set_policy(self, *, seller, steps, others):
        """Replace a Seller's policy."""
        self.say(seller, steps | others)

    def _inspect(self, seller: str) -> None:
        model = self.models[seller]
        self.same(
            lambda _, player: player.inspect(seller, [*KINDS]),
            lambda: {id_: model.ledger(id_) for id_ in KINDS if model.is_registered(id_)},
        )

    # The Broker's side

    @precondition(lambda game: bool(game.orders("proposed", "booked", "deleted")))
    @rule()
    def begin_other_orders(self):
        """Choose other UUIDs for what comes next, where one is used up."""
        used = self.orders("proposed", "booked", "deleted")
        for customer in range(len(self.generations)):
            if any(self.key(seller, customer) in used for seller in given.SELLERS):
                self.generations[customer] += 1

    @rule(
        seller=given.sellers,
        customer=given.customers,
        step=st.sampled_from(Step),
        basket=given.baskets(),
        strict=st.booleans(),
    )
    def quote(self, *, seller, customer, step, basket, strict):
        """C1 or C2 of anything."""
        self._quote(self.key(seller, customer), step, basket, strict=strict)

    @rule(
        seller=given.sellers,
        customer=given.customers,
        step=st.sampled_from(Step),
        id_=given.opportunities,
        spaces=st.integers(1, 3),
    )
    def quote_a_few(self, *, seller, customer, step, id_, spaces):
        """C1 or C2 of so few spaces that they often fit."""
        basket = [Item(index, id_, OFFERS[0]) for index in range(spaces)]
        self._quote(self.key(seller, customer), step, basket)

    @precondition(lambda game: bool(game.leases()))
    @rule(
        number=given.numbers,
        step=st.sampled_from(Step),
        fewer=st.integers(0, 2),
        more=given.baskets() | st.just([]),
        strict=st.booleans(),
    )
    def quote_again(self, *, number, step, fewer, more, strict):
        """C1 or C2 of what is held, without some of it or with more."""
        key = self.pick(self.leases(), number)
        basket = self._held(key)[fewer:] + more
        basket = [item._replace(position=index) for index, item in enumerate(basket)]
        self._quote(key, step, basket, strict=strict)

    @precondition(lambda game: bool(game.leases()))
    @rule(
        number=given.numbers,
        step=st.sampled_from(Step),
        id_=given.opportunities,
        price=given.prices,
        after=given.baskets() | st.just([]),
        strict=st.booleans(),
    )
    def quote_something_before_it(self, *, number, step, id_, price, after, strict):
        """C1 or C2 of what is held behind something at a new price, maybe of another currency."""
        key = self.pick(self.leases(), number)
        if self.models[key.seller].is_registered(id_):
            self.change(seller=key.seller, id_=id_, capacity=None, price=price)
        basket = [Item(0, id_, OFFERS[0]), *self._held(key), *after]
        basket = [item._replace(position=index) for index, item in enumerate(basket)]
        self._quote(key, step, basket, strict=strict)

    def _held(self, key: OrderKey) -> list[Item]:
        lease = self.models[key.seller].lease(key[1:])
        held = enumerate(lease.items() if lease else ())
        return [Item(index, item.opportunity, item.offer) for index, item in held]

    def _quote(
        self, key: OrderKey, step: Step, basket: list[Item], *, strict: bool = False
    ) -> None:
        request = order_request(basket, "", None)

        def real(ledger: Any, player: Any) -> Any:
            quoted = player.run(ledger.quote(key, step, request, strict=strict))
            answer = answer_of(quoted.body, retry_after=quoted.retry_after)
            assert quoted.refused == any(item.error for item in answer.items)
            return answer

        model = self.models[key.seller]
        self.same(real, lambda: model.quote(key[1:], step, basket, strict=strict))

    @precondition(lambda game: bool(game.leases()))
    @rule(
        number=given.numbers,
        step=st.sampled_from(Step),
        pause=st.none() | given.moments,
    )
    def release_and_lease_again(self, *, number, step, pause):
        """C1 or C2 of what the same UUID has just given back."""
        key = self.pick(self.leases(), number)
        basket = self._held(key)
        self._release(key)
        if pause:
            self.let_time_pass(until=pause, redis_removes=True, sweeps=True)
        self._quote(key, step, basket)

    @precondition(lambda game: bool(game.leases()))
    @rule(number=given.numbers)
    def release(self, *, number):
        """Give back what is held."""
        self._release(self.pick(self.leases(), number))

    def _release(self, key: OrderKey) -> None:
        self.same(
            lambda ledger, player: player.run(ledger.release(key)),
            lambda: self.models[key.seller].release(key[1:]),
        )

    @precondition(lambda game: bool(game.leases()))
    @rule(
        number=given.numbers,
        seconds=st.sampled_from([10, 100, 1000]),
        pause=st.none() | given.moments,
    )
    def pay(self, *, number, seconds, pause):
        """Open a payment window, and maybe again a little later."""
        key = self.pick(self.leases(), number)
        self._pay(key, seconds)
        if pause:
            self.let_time_pass(until=pause, redis_removes=True, sweeps=True)
            self._pay(key, seconds)

    def _pay(self, key: OrderKey, seconds: int) -> None:
        def real(ledger: Any, player: Any) -> int:
            return instant_of(player.run(ledger.open_payment_window(key, seconds)))

        self.same(real, lambda: self.models[key.seller].pay(key[1:], seconds))

    @rule(
        seller=given.sellers,
        customer=given.customers,
        verb=st.sampled_from(["propose", "book"]),
        basket=given.baskets(),
        person=st.sampled_from(["", "one", "another"]),
        due=given.dues,
    )
    def order(self, *, seller, customer, verb, basket, person, due):
        """P or B of anything."""
        self._order(verb, self.key(seller, customer), basket, person, due)

    @precondition(lambda game: bool(game.leases()))
    @rule(
        number=given.numbers,
        verb=st.sampled_from(["propose", "book"]),
        more=given.baskets() | st.just([]),
        due=given.dues,
    )
    def order_what_is_held(self, *, number, verb, more, due):
        """P or B of what is leased, maybe with more, now and then at a wrong price."""
        key = self.pick(self.leases(), number)
        basket = self._held(key) + more
        basket = [item._replace(position=index) for index, item in enumerate(basket)]
        self._order(verb, key, basket, due=due)

    @precondition(lambda game: bool(game.orders("proposed", "booked")))
    @rule(
        number=given.numbers,
        verb=st.sampled_from(["propose", "book"]),
        has_items=st.booleans(),
        due=given.dues,
    )
    def order_again(self, *, number, verb, has_items, due):
        """P or B again, or B of what was proposed."""
        key = self.pick(self.orders("proposed", "booked"), number)
        order = self.models[key.seller].orders.get(key[1:])
        if order and order.digest and has_items:
            items, person = order.digest
            self._order(verb, key, [*items], person, due)
        else:
            self._order("book", key, None, due=due)

    def _order(
        self,
        verb: str,
        key: OrderKey,
        basket: list[Item] | None,
        person: str = "",
        due: str = "",
    ) -> None:
        model = self.models[key.seller]
        told = self._due(key, basket, due)
        request = order_request(basket, person, told)

        def real(ledger: Any, player: Any) -> Any:
            done = player.run(getattr(ledger, verb)(key, request))
            return answer_of(done.body, replayed=done.replayed)

        self.same(real, lambda: getattr(model, verb)(key[1:], basket, person, told))

    def _due(self, key: OrderKey, basket: list[Item] | None, said: str) -> Due:
        """Return what the Broker says that is due: a sum, a currency, both or nothing."""
        model = self.models[key.seller]
        order = model.orders.get(key[1:])
        items = basket or [item._replace(price=None) for item in (order.items() if order else [])]
        prices = [item.price for item in model.judge(key[1:], items).items]
        right = sum((price[0] for price in prices if price), Decimal(0))
        sums = {"right": right, "wrong": right + Decimal("0.000001")}
        amount, _, currency = said.rpartition(" ") if said[-1:].isupper() else (said, "", "")
        return (sums.get(amount), currency) if said else None

    @precondition(lambda game: bool(game.orders("proposed")))
    @rule(
        number=given.numbers,
        status=st.sampled_from(["SellerAccepted", "SellerRejected", "CustomerRejected"]),
    )
    def decide(self, *, number, status):
        """Say what the Seller or the Customer decided."""
        key = self.pick(self.orders("proposed"), number)
        patch = ProposalPatch(order_proposal_status=OPENACTIVE + status)
        self.same(
            lambda ledger, player: player.run(ledger.decide(key, patch)),
            lambda: self.models[key.seller].decide(key[1:], status, self.grace_seconds),
        )

    @precondition(lambda game: bool(game.orders("booked")))
    @rule(
        number=given.numbers,
        cancellations=given.cancellations,
        has_another=st.sampled_from([False, False, True]),
    )
    def cancel(self, *, number, cancellations, has_another):
        """Cancel OrderItems, now and then with one that the Order has not."""
        key = self.pick(self.orders("booked"), number)
        model = self.models[key.seller]
        order = model.orders.get(key[1:])
        items = (order.items() if order else []) or [Item(7)]
        named = []
        for index, by, status in cancellations:
            item = items[index % len(items)]
            named.append(
                (by, item.id, status)
                if by == "id" and item.id
                else ("position", item.position, status)
            )
        if has_another:
            named.append(("position", 999, "CustomerCancelled"))
        self.same(
            lambda ledger, player: player.run(ledger.cancel(key, order_patch(named))),
            lambda: model.cancel(key[1:], named),
        )

    @precondition(lambda game: bool(game.orders("booked")))
    @rule(number=given.numbers)
    def delete(self, *, number):
        """Delete an Order."""
        key = self.pick(self.orders("booked"), number)
        self.same(
            lambda ledger, player: player.run(ledger.delete(key)),
            lambda: self.models[key.seller].delete(key[1:]),
        )

    @precondition(Game.is_under_way)
    @rule(number=given.numbers, what=st.sampled_from(["quote", "proposal", "order", "ledger"]))
    def look(self, *, number, what):
        """Look at what there is."""
        if what == "ledger":
            self._inspect(given.SELLERS[number % 2])
            return
        states = {"proposal": "proposed", "order": "booked"}
        keys = self.leases() if what == "quote" else self.orders(states[what])
        key, verb = self.pick(keys, number), f"look_at_{what}"
        self.same(
            lambda ledger, player: _sorted(answer_of(player.run(getattr(ledger, verb)(key)))),
            lambda: _sorted(getattr(self.models[key.seller], verb)(key[1:])),
        )


def _sorted(answer: Any) -> Any:
    """Return an answer of which the order of equal positions says nothing."""
    return answer._replace(items=sorted(answer.items, key=str))


@pytest.mark.timeout(0)
def test_the_scripts_do_what_the_contract_says(valkey_server, count):
    """Rules 1 to 20, 22, 27 and 28: whatever is played, every answer is the model's."""
    is_long = settings.get_current_profile_name() == "long"

    def count_step() -> None:
        count("steps were played against the model of the contract")

    with asyncio.Runner() as runner:
        table = {
            "runner": runner,
            "server": valkey_server,
            "count_step": staticmethod(count_step),
        }
        run_state_machine_as_test(
            type("Contract", (Contract,), table),
            settings=settings.get_profile("long" if is_long else "short"),
        )
