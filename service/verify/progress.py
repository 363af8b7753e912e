"""How far `verify` is."""

from __future__ import annotations

from service.status_line import StatusLine

LOG_SECONDS = 5.0
"""How often a log is told."""


class Progress:
    """The stage of a look at everything, and about how much of it is done."""

    def __init__(self, line: StatusLine | None = None) -> None:
        """Show it as `line`; None: nowhere."""
        self._line = line
        self._stage, self._total, self._done = "", 0, 0

    def begin(self, stage: str, total: int) -> None:
        """Begin a stage of about `total` keys."""
        self._stage, self._total, self._done = stage, total, 0
        if self._line:
            self._line.show(f"{stage} …", at_once=True)

    def step(self, keys: int) -> None:
        """Count keys that were read."""
        self._done = min(self._done + keys, self._total)
        if self._line:
            self._line.show(f"{self._stage}: {self._done:,} of about {self._total:,} keys")
