from collections import Counter
from itertools import pairwise

import pytest

from service.simulate.customers import End, customers
from service.simulate.scenario import PRESETS, Scenario, ScenarioError, scenario

MANY = 20_000


def arrivals(wanted: Scenario) -> list[float]:
    """Return when everybody comes."""
    return [customer.arrives for customer in customers(wanted)]


def test_as_many_come_as_are_to_come() -> None:
    """Arrivals are so many, in order, and within the time."""
    instants = arrivals(Scenario(customers=MANY, duration_seconds=60))
    assert len(instants) == MANY
    assert instants == sorted(instants)
    assert instants[0] >= 0
    assert instants[-1] <= 60


def test_arrivals_are_independent_of_each_other() -> None:
    """The pauses between arrivals are those of a Poisson process: their spread is their mean."""
    instants = arrivals(Scenario(customers=MANY, duration_seconds=60))
    pauses = [later - earlier for earlier, later in pairwise(instants)]
    mean = sum(pauses) / len(pauses)
    variance = sum((pause - mean) ** 2 for pause in pauses) / len(pauses)
    assert variance**0.5 == pytest.approx(mean, rel=0.05)


def test_a_rush_is_at_the_beginning() -> None:
    """A rush of 0.25 is in the first tenth of the time, beside a tenth of all others."""
    wanted = Scenario(customers=MANY, duration_seconds=60, rush=0.25)
    early = sum(instant < 6 for instant in arrivals(wanted))
    assert early / MANY == pytest.approx(0.25 + 0.75 / 10, rel=0.03)


@pytest.mark.parametrize("skew", [0.0, 0.8, 1.5])
def test_opportunities_are_chosen_with_the_skew(skew: float) -> None:
    """The k-th Opportunity is wanted 1 / k^skew as much as the first."""
    wanted = Scenario(customers=MANY, duration_seconds=1, opportunities=10, skew=skew)
    counts = Counter(customer.opportunity for customer in customers(wanted))
    whole = sum((k + 1) ** -skew for k in range(10))
    for k in range(10):
        share = (k + 1) ** -skew / whole
        assert counts[k] / MANY == pytest.approx(share, abs=0.015)


def test_the_same_seed_brings_the_same_customers() -> None:
    """A seed decides everything, and another one decides otherwise."""
    wanted = PRESETS["flash-sale"]
    assert list(customers(wanted)) == list(customers(wanted))
    assert list(customers(wanted)) != list(customers(scenario("flash-sale", {"seed": 2})))


def test_so_many_abandon() -> None:
    """Those who do not book are the share asked for; half release, half fall silent."""
    wanted = Scenario(customers=MANY, duration_seconds=1, abandon=0.4, items=3)
    crowd = list(customers(wanted))
    ends = Counter(customer.end for customer in crowd)
    assert ends[End.BOOK] / MANY == pytest.approx(0.6, abs=0.02)
    assert ends[End.RELEASE] / MANY == pytest.approx(0.2, abs=0.02)
    assert {customer.spaces for customer in crowd} == {1, 2, 3}
    assert all(customer.gives_name for customer in crowd if customer.end is End.BOOK)


def test_thinking_takes_as_long_as_asked_for() -> None:
    """The mean is the number given, nobody thinks for ever, and with 0 nobody thinks."""
    wanted = Scenario(customers=MANY, duration_seconds=1, think_seconds=2)
    thinks = [think for customer in customers(wanted) for think in customer.thinks]
    assert sum(thinks) / len(thinks) == pytest.approx(2, rel=0.03)
    assert max(thinks) <= 10
    hasty = Scenario(customers=10, duration_seconds=1, think_seconds=0)
    assert all(customer.thinks == (0, 0, 0) for customer in customers(hasty))


@pytest.mark.parametrize(
    ("changes", "rate", "expected"),
    [
        ({}, None, (10_000, 60)),
        ({"duration_seconds": 6.0}, None, (1_000, 6)),
        ({"customers": 50}, None, (50, 60)),
        ({"customers": 50, "duration_seconds": 5.0}, None, (50, 5)),
        ({}, 10.0, (600, 60)),
        ({"duration_seconds": 5.0}, 10.0, (50, 5)),
        ({"customers": 50}, 10.0, (50, 5)),
    ],
)
def test_two_numbers_make_the_third(
    changes: dict[str, float], rate: float | None, expected: tuple[int, float]
) -> None:
    """Of rate, Customers and duration any two decide, and the preset what is left open."""
    made = scenario("flash-sale", changes, rate=rate)
    assert (made.customers, made.duration_seconds) == expected


@pytest.mark.parametrize(
    ("changes", "rate", "said"),
    [
        ({"customers": 1, "duration_seconds": 1.0}, 1.0, "two of"),
        ({}, 0.0, "more than 0"),
        ({"abandon": 1.5}, None, "--abandon: expected"),
        ({"customers": 1_000_001}, None, "--customers: expected"),
        ({"customers": 1, "duration_seconds": 86_401.0}, None, "--duration: expected"),
        ({}, 1e9, "--customers: expected"),
    ],
)
def test_a_load_has_bounds(changes: dict[str, float], rate: float | None, said: str) -> None:
    """What is too much, too long or contradicts itself is refused by its name."""
    with pytest.raises(ScenarioError, match=said):
        scenario("flash-sale", changes, rate=rate)
