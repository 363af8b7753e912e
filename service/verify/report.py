"""What `verify` found: each difference at once, and a table at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

CHANGING: Final = "changed all the time, not judged"
UNREADABLE_ORDER: Final = "an Order of its Seller cannot be read, not judged"
"""Why nothing can be said of something."""

CHECKS: Final = {
    "read": "what is stored can be read",
    "booked": "booked is what the Orders have booked",
    "allowed": "no more is taken than was ever allowed",
    "leased": "leased is the sum of the holds",
    "hold": "holds and leases say the same",
    "expiry": "a lease's key expires with it",
    "due": "every expiry is due",
    "feed": "the feed has every Opportunity",
    "counts": "Booking Partners' leases are counted",
}
"""What is checked, as the table says it."""

_CHECK_OF: Final = {
    "named": "leased",
    "proposed": "leased",
    "holds": "leased",
    "next": "due",
    "draws": "feed",
    "total": "counts",
}
"""The check of what the scripts call otherwise."""

_COLUMNS: Final = ("checked", "differences", "mended")


class Report:
    """Counts what was checked, and says what is wrong as soon as it is known."""

    def __init__(self, write: Callable[[str], object], *, repair: bool) -> None:
        """Begin with nothing.

        Args:
            write: Takes the text, each line with its end.
            repair: Whether what is wrong is also mended.

        """
        self._write = write
        self.repair = repair
        self.checked = Counter[str]()
        self._differences = Counter[str]()
        self._mended = Counter[str]()
        self._unsettled = 0
        self._unreadable = set[str]()

    @property
    def differences(self) -> int:
        """How many there are, mended or not."""
        return self._differences.total()

    def differs(self, check: str, where: str, found: str, right: str, *, mended: bool) -> None:
        """Say a difference.

        Args:
            check: What is wrong, as the scripts call it.
            where: The Opportunity, Order or Booking Partner.
            found: What is stored.
            right: What should be.
            mended: Whether it has been made right.

        """
        title = _CHECK_OF.get(check, check)
        self._differences[title] += 1
        self._mended[title] += mended
        end = "; mended" if mended else ""
        self._say(f"{check} of {where}: {found or 'nothing'}, should be {right or 'nothing'}{end}")

    def cannot_read(self, key: str) -> None:
        """Say, once, that nobody can read what a key of Redis has."""
        if key not in self._unreadable:
            self._unreadable.add(key)
            self._differences["read"] += 1
            self._say(f"read of {key}: it is nothing that this release stores")

    def notes(self, where: str, before: int) -> None:
        """Say that what was booked before the first registration has been noted."""
        self._say(f"before of {where}: noted as {before}, for which there is no Order")

    def leaves_open(self, where: str, why: str) -> None:
        """Say of what nothing can be said."""
        self._unsettled += 1
        self._say(f"{where}: {why}")

    def table(self) -> str:
        """Return the table, and the verdict below it."""
        width = max(map(len, CHECKS.values()))
        counts = (self.checked, self._differences, self._mended)
        rows = [
            (title, *(f"{count[check]:,}" for count in counts)) for check, title in CHECKS.items()
        ]
        lines = [
            f"{title:<{width}}" + "".join(f"{cell:>13}" for cell in cells)
            for title, *cells in (("", *_COLUMNS), *rows)
        ]
        return "\n".join(["", *lines, "", self._verdict(), ""])

    def _say(self, line: str) -> None:
        """Write a line; what is stored may say anything, and a terminal would believe it."""
        shown = line if line.isprintable() else line.encode("unicode_escape").decode()
        self._write(f"{shown}\n")

    def _verdict(self) -> str:
        open_ = f" {self._unsettled:,} could not be judged: run it again." * bool(self._unsettled)
        count = self.differences
        if not count:
            return f"No difference.{open_}"
        left = count - self._mended.total()
        end = f", {left:,} not mended" if left else ", all mended"
        if not self.repair:
            end = ": --repair mends what can be mended"
        return f"{count:,} difference{'s' * (count > 1)}{end}.{open_}"
