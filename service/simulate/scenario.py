"""What is to happen: how many Customers come, what for, and how they behave."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

_SLACK_SECONDS: Final = 10.0
_THINKS: Final = 10

Share = Annotated[float, Meta(ge=0, le=1)]


class ScenarioError(ValueError):
    """The numbers do not make a scenario; the message says which, and what would."""


class Scenario(Struct, frozen=True, kw_only=True):
    """A run that is bounded in Customers, spaces and time.

    Attributes:
        customers: How many come.
        duration_seconds: Within which they come.
        rush: The share of them that comes in the first tenth of that time, on top of the others.
        opportunities: How many there are to choose among.
        spaces: Of each Opportunity.
        skew: Zipf's exponent: the k-th Opportunity is wanted 1 / k^skew as much as the first.
        items: The most spaces that a Customer wants; from 1 on each number is as likely.
        think_seconds: How long a Customer thinks between two calls, on average.
        abandon: The share of those with a lease who do not book: they release it, or fall silent.
        lease_seconds: How long C1 leases; C2 twice as long. None: as the Seller's policy says.
        seed: Of the randomness: the same seed, the same Customers.

    """

    customers: Annotated[int, Meta(ge=1, le=1_000_000)]
    duration_seconds: Annotated[float, Meta(gt=0, le=86_400)]
    rush: Share = 0.0
    opportunities: Annotated[int, Meta(ge=1, le=10_000)] = 1
    spaces: Annotated[int, Meta(ge=1, le=1_000_000)] = 100
    skew: Annotated[float, Meta(ge=0, le=10)] = 0.0
    items: Annotated[int, Meta(ge=1, le=100)] = 1
    think_seconds: Annotated[float, Meta(ge=0, le=3600)] = 1.0
    abandon: Share = 0.0
    lease_seconds: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    seed: int = 1

    @property
    def rate(self) -> float:
        """Customers per second, over the whole time."""
        return self.customers / self.duration_seconds

    @property
    def longest_seconds(self) -> float:
        """When the last Customer is sent home, counted from the beginning."""
        return self.duration_seconds + _SLACK_SECONDS + _THINKS * self.think_seconds


PRESETS: Final[Mapping[str, Scenario]] = MappingProxyType(
    {
        "flash-sale": Scenario(
            customers=10_000,
            duration_seconds=60,
            rush=0.25,
            opportunities=1,
            spaces=100,
            items=2,
            think_seconds=2,
            abandon=0.3,
            lease_seconds=8,
        ),
        "steady-day": Scenario(
            customers=6_000,
            duration_seconds=300,
            opportunities=200,
            spaces=30,
            skew=0.8,
            items=3,
            think_seconds=5,
            abandon=0.4,
            lease_seconds=30,
        ),
    }
)


def scenario(
    preset: str,
    changes: Mapping[str, float | int | None],
    *,
    rate: float | None = None,
) -> Scenario:
    """Return a preset with some of its numbers changed.

    Args:
        preset: Its name.
        changes: By attribute of `Scenario`.
        rate: Customers per second. With `customers` it decides how long they come, otherwise how
            many.

    Raises:
        ScenarioError: A number is out of bounds, or they contradict each other.

    """
    wanted = {**msgspec.structs.asdict(PRESETS[preset]), **changes}
    customers, duration = changes.get("customers"), changes.get("duration_seconds")
    if rate is not None and customers is not None and duration is not None:
        raise ScenarioError("give two of --rate, --customers and --duration: they make the third")
    if rate is not None and rate <= 0:
        raise ScenarioError("--rate is in Customers per second, and more than 0")
    if rate is not None and customers is not None:
        wanted["duration_seconds"] = customers / rate
    elif rate is not None:
        wanted["customers"] = max(1, round(rate * wanted["duration_seconds"]))
    elif customers is None and duration is not None:
        wanted["customers"] = max(1, round(PRESETS[preset].rate * duration))
    try:
        return msgspec.convert(wanted, Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioError(_problem(error)) from error


def _problem(error: msgspec.ValidationError) -> str:
    """Say it in the words of the command line."""
    expected, _, name = str(error).replace("`", "").partition(" - at $.")
    option = "--duration" if name == "duration_seconds" else f"--{name.replace('_', '-')}"
    return f"{option}: {expected[0].lower()}{expected[1:]}"
