"""Whose turn it is to send the webhooks, and how far they were delivered."""

from __future__ import annotations

import uuid
from typing import Final

from service.ledger.feed_reads import START, Cursor
from service.ledger.scripts import ClaimArguments, ClaimKeys, load_scripts
from service.redis.nodes import Nodes

HOLD_SECONDS: Final = 20.0
"""How long after a claim nobody else gets the turn, at least; twice that at most."""


class Turn:
    """One of several who want to send; Redis knows which of them may.

    The hash `<key_prefix>:webhook` outlives every sender. It belongs to no Seller, and is the only
    key of its script: in a cluster it may be on any node.
    """

    def __init__(
        self, nodes: Nodes, *, key_prefix: str, hold_seconds: float = HOLD_SECONDS
    ) -> None:
        """Want to send, under a name that nobody else has.

        Args:
            nodes: The way to Redis.
            key_prefix: As for `Store`.
            hold_seconds: For how long a claim keeps the turn at least; whoever has it claims it
                again before.

        """
        self._keys = ClaimKeys(f"{key_prefix}:webhook")
        self._node = nodes.of(self._keys.webhook)
        self._script = load_scripts()["claim"]
        self._holder = uuid.uuid4().hex
        self._hold_milliseconds = int(hold_seconds * 1000)

    async def claim(self, delivered: Cursor | None = None) -> Cursor | None:
        """Take or keep the turn, if nobody else has it.

        Args:
            delivered: The place up to which everything has been delivered now, which only whoever
                has the turn may say; None: that has not changed.

        Returns:
            The place up to which everything was delivered; None: it is another's turn.

        Raises:
            StoreError: Redis does not answer.

        """
        return await self._claim(self._hold_milliseconds, delivered)

    async def resign(self, delivered: Cursor | None = None) -> None:
        """Let another have the turn at once.

        Args:
            delivered: As for `claim`.

        Raises:
            StoreError: Redis does not answer; the turn passes on by itself later.

        """
        await self._claim(0, delivered)

    async def _claim(self, hold_milliseconds: int, delivered: Cursor | None) -> Cursor | None:
        modified, id_ = ("", "") if delivered is None else delivered
        reply = await self._node.call(
            self._script,
            self._keys,
            ClaimArguments(self._holder, hold_milliseconds, modified, id_),
        )
        if not reply[0]:
            return None
        return Cursor(int(reply[1]), reply[2].decode()) if reply[1] else START
