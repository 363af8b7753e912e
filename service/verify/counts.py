"""The counts of Booking Partners' live leases, held against the leases (rule 14).

Leases say nothing of their past, so that a count is judged second by second: what many leases
that expire in one second are off is the same however they come and go. A second whose count
changed while the leases were read tells nothing. What is wrong is wrong in several rounds; that
leases come and go unseen within a round, in one second of expiry and as many of each, is possible
once but not in each of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from service.ledger.scanner import Lease, Name

ROUNDS: Final = 3
"""In so many rounds a difference must be the same."""

MOST_ROUNDS: Final = 8

Surpluses: TypeAlias = dict[int, int | None]
"""How many leases are counted too many, by the second at which they expire; None: it changed."""


class Tally:
    """Live leases by Booking Partner and by the second at which they expire.

    It keeps a number for each such second of each Booking Partner.
    """

    def __init__(self) -> None:
        self._leases: defaultdict[Name, Counter[int]] = defaultdict(Counter)
        self._before: dict[Name, dict[str, int]] = {}

    def begin(self, counts: Mapping[Name, dict[str, int]]) -> None:
        """Say what was counted before the leases are read."""
        self._before.update(counts)

    def enter(self, leases: Iterable[Lease], now: int) -> None:
        """Add leases; those that have expired by `now` (seconds) are not counted any more."""
        for lease in leases:
            if lease.expires > now:
                self._leases[lease.partner][lease.expires] += 1

    def partners(self) -> list[Name]:
        """Return everybody who has leases, or had."""
        return [*(self._before.keys() | self._leases.keys())]

    def surpluses(self, counts: Mapping[Name, dict[str, int]], now: int) -> dict[Name, Surpluses]:
        """Return where the counts are not those of the leases.

        Args:
            counts: What is counted after the leases were read.
            now: The second that it is.

        """
        wrong = {
            name: self._of(name, after, now)
            for name, after in counts.items()
            if self._knows_all(name)
        }
        return {name: surpluses for name, surpluses in wrong.items() if surpluses}

    def _knows_all(self, name: Name) -> bool:
        """Tell whether no lease may be this one's besides: not where its Opportunity is lost."""
        return Name(name.keys, f"|{name.partner}") not in self._leases

    def _of(self, name: Name, after: Mapping[str, int], now: int) -> Surpluses:
        leases, before = self._leases[name], self._before.get(name, {})
        seconds = {*leases, *(int(s) for s in {*before, *after} if s.isdigit())}
        found: Surpluses = {}
        for second in seconds:
            counted = before.get(str(second), 0)
            surplus = counted - leases[second]
            if second > now and surplus:
                found[second] = surplus if after.get(str(second), 0) == counted else None
        return found


class Doubts:
    """Seconds in which the counts of Booking Partners seem wrong, until each of them is clear."""

    def __init__(self, found: Mapping[Name, Surpluses]) -> None:
        """Begin with what the first round found."""
        self._looks = {
            (name, second): (surplus, int(surplus is not None))
            for name, surpluses in found.items()
            for second, surplus in surpluses.items()
        }

    def __bool__(self) -> bool:
        """Tell whether anything is not clear yet."""
        return bool(self._looks)

    def partners(self) -> list[Name]:
        """Return whose counts are not clear yet."""
        return [*{name for name, _ in self._looks}]

    def look_again(self, found: Mapping[Name, Surpluses]) -> None:
        """Take what another round found; what is right, or over, is no doubt any more."""
        looks = {}
        for (name, second), (before, times) in self._looks.items():
            surplus = found.get(name, {}).get(second, 0)
            if surplus != 0:
                is_same = surplus is not None and surplus == before
                looks[name, second] = (surplus, times + 1 if is_same else int(surplus is not None))
        self._looks = looks

    def confirmed(self) -> dict[Name, dict[int, int]]:
        """Return what was found the same in every one of the rounds, and doubt it no more."""
        confirmed: defaultdict[Name, dict[int, int]] = defaultdict(dict)
        for (name, second), (surplus, times) in [*self._looks.items()]:
            if surplus is not None and times >= ROUNDS:
                confirmed[name][second] = surplus
                del self._looks[name, second]
        return confirmed


def is_consistent(counts: Mapping[str, int]) -> bool:
    """Tell whether a hash of counts agrees with itself."""
    return counts.get("total", 0) == sum(count for name, count in counts.items() if name.isdigit())
