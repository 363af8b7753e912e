"""What has to confirm a change before it is answered (contract, rule 21)."""

from __future__ import annotations

from typing import Final, NamedTuple

from service.redis.call import Reply, pack

# Redis's «not confirmed» is to arrive before the caller's patience ends; an idle server notices
# that it is time a tenth of a second late.
_MARGIN_SECONDS: Final = 0.25


class Confirmation(NamedTuple):
    """How many replicas have to have a change, or that the server's own disk has to."""

    replicas: int
    """0: the append-only file, after an fsync."""

    @classmethod
    def of(cls, durability: str) -> Confirmation | None:
        """Return what a durability asks for.

        Args:
            durability: `memory`, `disk` or `replicas=N`.

        Returns:
            The confirmation; None: there is nothing to wait for.

        """
        if durability == "memory":
            return None
        return cls(int(durability.partition("=")[2] or 0))

    def question(self, seconds: float) -> bytes:
        """Return the command that waits for what this connection has written, as it is sent.

        Args:
            seconds: How long the answer may take, on its way included.

        """
        # 0 would be for ever.
        milliseconds = max(1, int((seconds - _MARGIN_SECONDS) * 1000))
        if self.replicas:
            return pack(("WAIT", self.replicas, milliseconds))
        return pack(("WAITAOF", 1, 0, milliseconds))

    def is_given(self, answer: Reply) -> bool:
        """Tell whether the answer to the question is yes."""
        if self.replicas:
            return int(answer) >= self.replicas
        return int(answer[0]) >= 1

    def __str__(self) -> str:
        """Return who was asked, for a message."""
        return f"{self.replicas} of its replicas" if self.replicas else "its disk"
