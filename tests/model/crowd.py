"""Customers who want the same few spaces at the same time, hesitate, and change their minds."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from tests.model.history import History, monotonic
from tests.model.sequential import SECOND, Call

OPPORTUNITIES: Final = {"class": 6, "court": 4}
"""What they want, with how many spaces there are."""

CUSTOMERS: Final = 50
CALLS: Final = 6
_IMPATIENCE_SECONDS: Final = 0.01

_WEIGHTS: Final = {
    "C1": 34,
    "C2": 12,
    "B": 18,
    "release": 8,
    "inspect": 8,
    "look": 6,
    "look at order": 4,
    "cancel": 4,
    "delete": 4,
    "resize": 2,
}


class Customer:
    """One caller; some share an Order UUID, as a Broker does that sends a call twice."""

    def __init__(self, history: History, number: int, seed: int) -> None:
        self._history = history
        self._choose = random.Random(seed * CUSTOMERS + number)  # noqa: S311 - a game, no secret
        # Two Orders each, of which ten are another's as well.
        shared = 1 + number % (CUSTOMERS - 10)
        self._orders = [str(shared), str(CUSTOMERS + shared)]
        self._basket: tuple[str, ...] = ("class",)

    async def shop(self) -> None:
        """Make a few calls."""
        for _ in range(CALLS):
            await asyncio.sleep(self._hesitation())
            impatient = self._choose.random() < 0.02
            patience = self._choose.uniform(0, _IMPATIENCE_SECONDS) if impatient else None
            await self._history.call(self._next(), patience_seconds=patience)

    def _hesitation(self) -> float:
        """Return how many seconds to wait: often none, or until leases may just have expired."""
        way = self._choose.random()
        if way < 0.5:
            return 0
        if way < 0.8:
            return self._choose.uniform(0, 0.5)
        until_second = SECOND - (monotonic() + self._history.clock.most) % SECOND
        return max(0, until_second / SECOND + self._choose.uniform(-0.02, 0.02))

    def _next(self) -> Call:
        """Return what to ask next."""
        choose = self._choose
        [verb] = choose.choices([*_WEIGHTS], [*_WEIGHTS.values()])
        opportunity, order = choose.choice([*OPPORTUNITIES]), choose.choice(self._orders)
        match verb:
            case "inspect":
                return Call(verb, basket=(opportunity,))
            case "resize":
                return Call(verb, basket=(opportunity,), number=choose.randint(3, 7))
            case "cancel":
                return Call(verb, order, number=choose.randint(0, 2))
            case "C1" | "C2":
                self._basket = self._wish()
                return Call(verb, order, self._basket, strict=choose.random() < 0.1)
            case "B":
                # Mostly what was asked for last, which may be leased.
                self._basket = self._basket if choose.random() < 0.7 else self._wish()
                return Call(verb, order, self._basket or ("class",))
            case _:
                return Call(verb, order)

    def _wish(self) -> tuple[str, ...]:
        """Return a few OrderItems, now and then none, or of both Opportunities."""
        [spaces] = self._choose.choices([0, 1, 2, 3], [1, 6, 4, 2])
        wanted = self._choose.choices([*OPPORTUNITIES], k=spaces)
        return tuple(wanted if self._choose.random() < 0.2 else wanted[:1] * spaces)


async def rush(history: History, seed: int) -> None:
    """Let all of them in at once, and record what happens."""
    await history.begin(OPPORTUNITIES)
    customers = [Customer(history, number, seed) for number in range(CUSTOMERS)]
    await asyncio.gather(*(customer.shop() for customer in customers))
    await history.end()
