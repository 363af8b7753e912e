"""How fast one caller may call."""

from __future__ import annotations


class Pace:
    """At most so many calls a second, after a pause as many at once.

    The generic cell rate algorithm: a token bucket in one number, the instant at which the bucket
    will be full again.
    """

    __slots__ = ("_depth", "_full_at", "_interval", "rate")

    def __init__(self, rate: float) -> None:
        """Begin with a full bucket.

        Args:
            rate: Calls per second; what a second's rate leaves over may be used at once later.

        """
        self.rate = rate
        self._interval = 1 / rate
        self._depth = max(1.0, self._interval)
        self._full_at = float("-inf")

    def take(self, now: float) -> float:
        """Count a call; return 0, or the seconds after which it may be made.

        Args:
            now: Seconds of a clock that never goes back.

        """
        full_at = max(self._full_at, now) + self._interval
        excess = full_at - now - self._depth
        # What floating point adds up to is no excess.
        if excess > self._interval * 1e-6:
            return excess
        self._full_at = full_at
        return 0.0
