"""Which of several processes does what one alone may do, and how far it has come."""

from __future__ import annotations

import uuid
from typing import Final

from service.ledger.feed import START, Cursor
from service.ledger.scripts import ClaimArguments, Scripts

HOLD_SECONDS: Final = 20.0
"""How long after a claim nobody else gets the lock, at least; twice that at most."""


class LeaderLock:
    """The lock of those who send webhooks, with the place up to which they were delivered.

    The hash `<key_prefix>:webhook` outlives every sender. It belongs to no Seller, and is the only
    key of its script: in a cluster it may be on any node. Every method raises `NothingSentError`
    or `OutcomeUnknownError` when Redis does not answer.
    """

    def __init__(self, scripts: Scripts, *, hold_seconds: float = HOLD_SECONDS) -> None:
        """Claim it under a name that nobody else has.

        Args:
            scripts: The way to Redis.
            hold_seconds: For how long a claim keeps the lock at least.

        """
        self._key = f"{scripts.keys.prefix}:webhook"
        self._node = scripts.nodes.of(self._key)
        self._script = scripts.script("claim")
        self._holder = uuid.uuid4().hex
        self._hold_milliseconds = int(hold_seconds * 1000)

    async def claim(self, delivered: Cursor | None = None) -> Cursor | None:
        """Take or keep the lock, if nobody else has it.

        Args:
            delivered: The place up to which everything has been delivered now, which only the
                leader may say; None: that has not changed.

        Returns:
            The place up to which everything was delivered; None: another has the lock.

        """
        return await self._claim(self._hold_milliseconds, delivered)

    async def resign(self, delivered: Cursor | None = None) -> None:
        """Let another have the lock at once; where Redis is away it passes on by itself, later.

        Args:
            delivered: As for `claim`.

        """
        await self._claim(0, delivered)

    async def _claim(self, hold_milliseconds: int, delivered: Cursor | None) -> Cursor | None:
        modified, id_ = ("", "") if delivered is None else delivered
        arguments = ClaimArguments(self._holder, hold_milliseconds, modified, id_)
        reply = await self._node.call(self._script, (self._key,), arguments)
        if not reply[0]:
            return None
        return Cursor(int(reply[1]), reply[2].decode()) if reply[1] else START
