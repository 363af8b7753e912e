"""The Customers of a scenario: everything random is drawn here, before they make a call."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

from service.simulate.scenario import Scenario

_RUSH_LASTS: Final = 0.1
_LONGEST_THINK: Final = 5.0
_COMES_BACK: Final = 0.2
_GIVES_NAME: Final = 0.5
_INSISTS: Final = 0.5
_MOST_RETURNS: Final = 3


class End(Enum):
    """What a Customer with a lease does in the end."""

    BOOK = "book"
    RELEASE = "release"
    LAPSE = "lapse"


class Customer(NamedTuple):
    """One Customer, with every decision that they will take."""

    arrives: float
    """Seconds after the start."""
    opportunity: int
    """The index of the one that they want; 0 is the most popular."""
    spaces: int
    thinks: tuple[float, float, float]
    """Seconds before coming back, before C2, and before B."""
    comes_back: bool
    """Whether they repeat C1 before they go on."""
    insists: int
    """How often they try again while others' leases are in their way."""
    end: End
    gives_name: bool
    """Whether they make C2 before the end; who books does."""


def customers(scenario: Scenario) -> Iterator[Customer]:
    """Return the Customers in order of arrival; the same scenario has the same ones."""
    chance = random.Random(scenario.seed)  # noqa: S311 - a rehearsal hides nothing
    indices = range(scenario.opportunities)
    popularity = list(itertools.accumulate((k + 1) ** -scenario.skew for k in indices))
    # Drawn before the iteration: the first of them may be due at once.
    instants = _arrivals(scenario, chance)
    return (
        _customer(scenario, chance, instant, chance.choices(indices, cum_weights=popularity)[0])
        for instant in instants
    )


def _arrivals(scenario: Scenario, chance: random.Random) -> list[float]:
    """Draw a Poisson process with a given number of arrivals, and the rush on top of it."""
    whole = scenario.duration_seconds
    in_the_rush = round(scenario.customers * scenario.rush)
    early = (chance.uniform(0, whole * _RUSH_LASTS) for _ in range(in_the_rush))
    others = (chance.uniform(0, whole) for _ in range(scenario.customers - in_the_rush))
    return sorted(itertools.chain(early, others))


def _customer(
    scenario: Scenario, chance: random.Random, arrives: float, opportunity: int
) -> Customer:
    end = End.BOOK
    if chance.random() < scenario.abandon:
        end = chance.choice((End.RELEASE, End.LAPSE))
    return Customer(
        arrives=arrives,
        opportunity=opportunity,
        spaces=chance.randint(1, scenario.items),
        thinks=(_think(scenario, chance), _think(scenario, chance), _think(scenario, chance)),
        comes_back=chance.random() < _COMES_BACK,
        insists=_insistence(chance),
        end=end,
        gives_name=end is End.BOOK or chance.random() < _GIVES_NAME,
    )


def _think(scenario: Scenario, chance: random.Random) -> float:
    if not scenario.think_seconds:
        return 0.0
    longest = scenario.think_seconds * _LONGEST_THINK
    return min(chance.expovariate(1 / scenario.think_seconds), longest)


def _insistence(chance: random.Random) -> int:
    times = 0
    while times < _MOST_RETURNS and chance.random() < _INSISTS:
        times += 1
    return times
