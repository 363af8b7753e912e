"""The scenario of a run: how many Customers arrive, what they want, and how they behave."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

_SLACK_SECONDS: Final = 10.0
_THINKS: Final = 10
_CALL_SECONDS: Final = 5.0
_FAR_TOO_MANY: Final = 1e9

Share = Annotated[float, Meta(ge=0, le=1)]


class ScenarioError(ValueError):
    """The numbers do not make a scenario; the message names the option."""


class Scenario(Struct, frozen=True, kw_only=True):
    """A run that is bounded in Customers, spaces and time.

    Attributes:
        customers: How many arrive.
        duration_seconds: Within which they arrive.
        rush: The share of them that arrives in the first tenth of that time, on top of the others.
        opportunities: How many there are to choose among.
        spaces: Of each Opportunity.
        skew: Zipf's exponent: the k-th Opportunity is wanted 1 / k^skew as much as the first.
        items: The most spaces that a Customer wants; each number from 1 on is as likely.
        think_seconds: The mean time that a Customer thinks between two calls.
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
        """Customers per second."""
        return self.customers / self.duration_seconds

    @property
    def cutoff_seconds(self) -> float:
        """When whoever still waits or thinks is cut off, in seconds after the start."""
        return self.duration_seconds + _SLACK_SECONDS + _THINKS * self.think_seconds

    @property
    def ending_seconds(self) -> float:
        """The most that passes from the last arrival until the last call has ended."""
        return self.cutoff_seconds - self.duration_seconds + _CALL_SECONDS


_FLASH_SALE: Final = Scenario(
    customers=10_000, duration_seconds=60, rush=0.25, items=2, think_seconds=2, abandon=0.3,
    opportunities=1, spaces=100, lease_seconds=8,
)  # fmt: skip
_STEADY_DAY: Final = Scenario(
    customers=6_000, duration_seconds=300, items=3, think_seconds=5, abandon=0.4,
    opportunities=200, spaces=30, skew=0.8, lease_seconds=30,
)  # fmt: skip
PRESETS: Final[Mapping[str, Scenario]] = MappingProxyType(
    {"flash-sale": _FLASH_SALE, "steady-day": _STEADY_DAY}
)


def scenario(
    preset: str, changes: Mapping[str, float | int | None], *, rate: float | None = None
) -> Scenario:
    """Return a preset with some of its numbers changed.

    Args:
        preset: Its name.
        changes: By attribute of `Scenario`.
        rate: Customers per second. With `customers` it decides how long they arrive, otherwise
            how many.

    Raises:
        ScenarioError: A number is out of bounds, or they contradict each other.

    """
    for name, number in {**changes, "rate": rate}.items():
        if number is not None and not isfinite(number):
            raise ScenarioError(f"{_option(name)}: expected a finite number")
    wanted = {**msgspec.structs.asdict(PRESETS[preset]), **changes}
    customers, duration = changes.get("customers"), changes.get("duration_seconds")
    if rate is not None and customers is not None and duration is not None:
        raise ScenarioError("give two of --rate, --customers and --duration: they make the third")
    if rate is not None and rate <= 0:
        raise ScenarioError("--rate is in Customers per second, and more than 0")
    if rate is not None and customers is not None:
        wanted["duration_seconds"] = customers / rate
    elif rate is not None:
        wanted["customers"] = _count(rate * wanted["duration_seconds"])
    elif customers is None and duration is not None:
        wanted["customers"] = _count(PRESETS[preset].rate * duration)
    try:
        return msgspec.convert(wanted, Scenario)
    except msgspec.ValidationError as error:
        expected, _, name = str(error).replace("`", "").partition(" - at $.")
        raise ScenarioError(f"{_option(name)}: {expected[0].lower()}{expected[1:]}") from error


def _option(name: str) -> str:
    return "--duration" if name == "duration_seconds" else f"--{name.replace('_', '-')}"


def _count(number: float) -> int:
    return max(1, round(min(number, _FAR_TOO_MANY)))
