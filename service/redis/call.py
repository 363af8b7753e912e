"""One call to Redis on its way: what is sent, who waits for the answer, and what is known."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias, cast

import hiredis
from redis.exceptions import NoScriptError, RedisError

from service.redis.errors import NothingSentError, OutcomeUnknownError, StoreError

Part: TypeAlias = str | bytes | int
"""One word of a command."""

Reply: TypeAlias = Any
"""What Redis answers: integers, bytes, None and lists of them; a script's header says which."""

OnExchange: TypeAlias = Callable[[int, float], None]
"""Is given how many calls went to Redis together, and in how many seconds they were answered."""

NO_SLOT: Final = -1
"""Of a call that is meant for one server, whatever keys that has."""

# hiredis declares a tuple of one word and no result.
pack = cast("Callable[[tuple[Part, ...]], bytes]", hiredis.pack_command)

_ASKING: Final = pack(("ASKING",))


def ignore_exchange(_calls: int, _seconds: float) -> None:
    """Be nobody who is told of pipelines."""


class Script(NamedTuple):
    """A Lua script and the digest that Redis knows it by."""

    name: str
    source: str
    sha: str

    @classmethod
    def of(cls, name: str, source: str) -> Script:
        """Make a script of its source.

        Args:
            name: The verb, as in the file's name.
            source: The whole Lua text.

        """
        return cls(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


class Call:
    """One command on its way, and what is known about it."""

    __slots__ = (
        *("deadline", "future", "is_asking", "is_confirming", "moves"),
        *("packed", "parts", "script", "slot", "unanswered"),
    )

    def __init__(
        self,
        parts: tuple[Part, ...],
        script: Script | None,
        loop: asyncio.AbstractEventLoop,
        deadline_seconds: float,
        *,
        slot: int = NO_SLOT,
        is_confirming: bool = False,
    ) -> None:
        """Make a call that nobody has sent yet.

        Args:
            parts: The words of the command.
            script: The script that it runs; None: it is a plain command.
            loop: The one that runs.
            deadline_seconds: How long it may take in all, from now on.
            slot: The cluster slot of its keys, or `NO_SLOT`.
            is_confirming: Whether its answer waits for confirmation, wherever it goes.

        """
        self.parts = parts
        self.script = script
        self.future: asyncio.Future[Reply] = loop.create_future()
        self.deadline = loop.time() + deadline_seconds
        self.slot = slot
        self.is_confirming = is_confirming
        self.packed = pack(parts)
        # Whether ASKING goes in front of it, with a reply of its own.
        self.is_asking = False
        # How often a cluster node said that the slot is another's.
        self.moves = 0
        # How often it was sent without an answer: 0 means that Redis has not seen it.
        self.unanswered = 0

    def succeed(self, reply: Reply) -> None:
        """Give the caller the answer."""
        if not self.future.done():
            self.future.set_result(reply)

    def fail(self, error: StoreError) -> None:
        """Give the caller an error, which never denies a change after an answer was lost."""
        if isinstance(error, NothingSentError) and self.unanswered:
            error = OutcomeUnknownError(f"The answer was lost, and then: {error}")
        if not self.future.done():
            self.future.set_exception(error)

    def takes_its_script_along(self, error: RedisError) -> bool:
        """Tell whether an error reply asks for the script; if so, the call has it from now on."""
        if self.script is None or not isinstance(error, NoScriptError):
            return False
        # EVAL runs the script and makes Redis know it in one atomic step. SCRIPT LOAD and then
        # EVALSHA would leave a moment for a SCRIPT FLUSH or a restart in between.
        self.parts = ("EVAL", self.script.source, *self.parts[2:])
        self.script = None
        self.ask(asking=self.is_asking)
        return True

    def ask(self, *, asking: bool) -> None:
        """Go with ASKING, to a cluster node that is about to get the slot; or without."""
        self.is_asking = asking
        self.packed = (_ASKING if asking else b"") + pack(self.parts)
