"""Sends what many callers ask of one Redis node together: one pipeline in flight, the next fills.

Nothing waits for a timer. A call that finds the node idle leaves with the calls of the same turn
of the event loop; the others leave when the pipeline before them has come back. That is several
times as fast as a connection per caller, and one place knows what was sent and what was answered.

redis-py's own retries are off (`connect.py`): they repeat a call silently, and afterwards nobody
can tell "nothing was sent" from "sent, answer lost". What is sent again is decided in
`Batcher._sendable_again`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from service.store.errors import NothingSentError, OutcomeUnknownError, StoreError, refusal
from service.store.observer import UNOBSERVED, Observer

Part: TypeAlias = str | bytes | int
"""One word of a command."""

Reply: TypeAlias = Any
"""What Redis answers: integers, bytes, None and lists of them; a script's header says which."""

MAXIMUM_BATCH: Final = 512
"""Calls per pipeline: enough to fill it, few enough that nobody waits long behind the others."""

CONNECT_SECONDS: Final = 1.0
"""How long one attempt to connect may take, handshake included."""

FIRST_PAUSE_SECONDS: Final = 0.01
LONGEST_PAUSE_SECONDS: Final = 0.25
MAXIMUM_SENDINGS: Final = 2
"""How often a call is sent at most, if its connection breaks before the reply."""

# hiredis declares a tuple of one word and no result.
_pack = cast("Callable[[tuple[Part, ...]], bytes]", hiredis.pack_command)

# redis-py makes the replies LOADING and NOAUTH connection errors; the connection is well.
_ERROR_REPLIES: Final = (ResponseError, AuthenticationError, BusyLoadingError)


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


class _Call:
    """One command on its way, and what is known about it."""

    __slots__ = ("deadline", "future", "packed", "parts", "script", "unanswered")

    def __init__(
        self,
        parts: tuple[Part, ...],
        script: Script | None,
        future: asyncio.Future[Reply],
        deadline: float,
    ) -> None:
        self.parts = parts
        self.script = script
        self.future = future
        self.deadline = deadline
        self.packed = _pack(parts)
        # How often it was sent without an answer: 0 means that Redis has not seen it.
        self.unanswered = 0

    def succeed(self, reply: Reply) -> None:
        if not self.future.done():
            self.future.set_result(reply)

    def fail(self, error: StoreError) -> None:
        """Give the caller an error, which never denies a change after an answer was lost."""
        if isinstance(error, NothingSentError) and self.unanswered:
            error = OutcomeUnknownError(f"The answer was lost, and then: {error}")
        if not self.future.done():
            self.future.set_exception(error)

    def refuse(self, error: RedisError) -> bool:
        """Take an error reply; tell whether the call is to be sent again, with its script."""
        self.unanswered -= 1
        if self.script is None or not isinstance(error, NoScriptError):
            self.fail(refusal(error))
            return False
        # EVAL runs the script and makes Redis know it in one atomic step. SCRIPT LOAD and then
        # EVALSHA would leave a moment for a SCRIPT FLUSH or a restart in between.
        self.parts = ("EVAL", self.script.source, *self.parts[2:])
        self.packed = _pack(self.parts)
        self.script = None
        return True


class Batcher:
    """The only thing that talks to one Redis node."""

    def __init__(
        self,
        make_connection: Callable[[], AbstractConnection],
        *,
        deadline_seconds: float = 2.0,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """Make a batcher; it connects when the first call comes.

        Args:
            make_connection: Makes an unconnected connection that answers in bytes, speaks RESP2
                (which has no message that nobody asked for) and never retries; see `connect.py`.
            deadline_seconds: How long a call may take in all, reconnecting included.
            observer: Is told of every pipeline that was answered.

        """
        self._make_connection = make_connection
        self._observer = observer
        self._deadline_seconds = deadline_seconds
        self._connection: AbstractConnection | None = None
        self._waiting: list[_Call] = []
        self._sender: asyncio.Task[None] | None = None
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._away_since: float | None = None
        self._last_failure = "not connected yet"
        self._closed = False

    def call(
        self, script: Script, keys: Sequence[Part], args: Sequence[Part]
    ) -> asyncio.Future[Reply]:
        """Run a script; Redis is given its source when it does not know it (any more).

        Args:
            script: It must be idempotent: after a lost connection it is sent once more.
            keys: Every key that it touches.
            args: Its other arguments.

        Returns:
            A future of the reply.

        Raises:
            NothingSentError: Redis was out of reach until the deadline, or refused for now.
            OutcomeUnknownError: It was sent and no answer came.
            MisuseError: Redis rejects the script or the call.

        """
        return self._submit(("EVALSHA", script.sha, len(keys), *keys, *args), script)

    def command(self, *parts: Part) -> asyncio.Future[Reply]:
        """Send a command, which must be idempotent and mean the same on another connection.

        Args:
            parts: The words of the command, one by one.

        Returns:
            A future of the reply, which fails as `call` does.

        """
        return self._submit(parts, None)

    async def close(self) -> None:
        """Finish what was asked for, within its deadlines, then close the connection."""
        self._closed = True
        if self._sender is not None:
            await self._sender
        await self._disconnect()

    def _submit(self, parts: tuple[Part, ...], script: Script | None) -> asyncio.Future[Reply]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        call = _Call(parts, script, future, loop.time() + self._deadline_seconds)
        if self._closed:
            call.fail(NothingSentError("The service is stopping."))
            return future
        self._waiting.append(call)
        if self._sender is None or self._sender.done():
            self._sender = loop.create_task(self._send_waiting())
        return future

    async def _send_waiting(self) -> None:
        """Send pipeline after pipeline until nothing waits."""
        while self._waiting:
            connection = await self._live_connection()
            if connection is None:
                await self._attempt_to_connect()
            elif batch := self._take_batch():
                await self._exchange(connection, batch)

    def _take_batch(self) -> list[_Call]:
        """Take the calls of the next pipeline, without those whose callers have gone."""
        self._expire_waiting()
        batch = [call for call in self._waiting[:MAXIMUM_BATCH] if not call.future.done()]
        del self._waiting[:MAXIMUM_BATCH]
        return batch

    async def _exchange(self, connection: AbstractConnection, batch: list[_Call]) -> None:
        """Send one pipeline and give each caller its reply.

        The oldest call's deadline ends it; whoever waits behind this pipeline has a later one.
        """
        for call in batch:
            call.unanswered += 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        answered = 0
        repeated: list[_Call] = []
        try:
            async with asyncio.timeout_at(batch[0].deadline):
                await connection.send_packed_command(
                    b"".join([call.packed for call in batch]), check_health=False
                )
                for call in batch:
                    try:
                        call.succeed(await connection.read_response(disconnect_on_error=False))
                    except _ERROR_REPLIES as error:
                        if call.refuse(error):
                            repeated.append(call)
                        if isinstance(error, ReadOnlyError):
                            # After a fail-over the name may already lead to the new primary.
                            connection.mark_for_reconnect()
                    answered += 1
            self._observer.exchanged(len(batch), loop.time() - began)
        except Exception as error:  # noqa: BLE001 - whatever broke, nobody may wait for ever
            self._last_failure = str(error) or "Redis does not answer."
            # With replies missing, the next ones could not be told apart on this connection.
            await self._disconnect()
            repeated += self._sendable_again(batch[answered:])
        self._waiting[:0] = repeated

    def _sendable_again(self, lost: list[_Call]) -> list[_Call]:
        """Return the calls that may be sent once more, and fail the others.

        Every call is idempotent, so that repeating it does no harm. One more time is enough for a
        server that restarts, and a call that breaks its server must not do so for ever.
        """
        for call in lost:
            if call.unanswered >= MAXIMUM_SENDINGS:
                call.fail(OutcomeUnknownError(f"The answer was lost: {self._last_failure}"))
        return [call for call in lost if not call.future.done()]

    def _expire_waiting(self) -> None:
        """Give up on the calls whose deadline has passed; the oldest come first."""
        now = asyncio.get_running_loop().time()
        expired = 0
        for call in self._waiting:
            if call.deadline > now:
                break
            call.fail(NothingSentError(f"Redis is out of reach: {self._last_failure}"))
            expired += 1
        del self._waiting[:expired]

    async def _live_connection(self) -> AbstractConnection | None:
        connection = self._connection
        if connection is None:
            return None
        # Nothing is in flight: anything to read is the end of the stream, and what is sent now
        # would be lost, while a new connection can still carry it or prove that nothing was sent.
        with contextlib.suppress(RedisError):
            if (
                connection.is_connected
                and not connection.should_reconnect()
                and not await connection.can_read()
            ):
                return connection
        await self._disconnect()
        return None

    async def _attempt_to_connect(self) -> None:
        """Try to connect once for all who wait; let those go whose deadline passes meanwhile."""
        loop = asyncio.get_running_loop()
        attempt = loop.create_task(self._connect())
        while not attempt.done():
            seconds = self._waiting[0].deadline - loop.time() if self._waiting else None
            await asyncio.wait((attempt,), timeout=seconds)
            self._expire_waiting()

    async def _connect(self) -> None:
        """Connect, or pause a little; after a whole deadline without Redis nobody waits longer."""
        try:
            self._connection = await self._open()
        except Exception as error:  # noqa: BLE001 - whatever broke, nobody may wait for ever
            self._last_failure = str(error) or "Redis does not answer."
            now = asyncio.get_running_loop().time()
            if self._away_since is None:
                self._away_since = now
            elif now - self._away_since >= self._deadline_seconds:
                self._refuse_waiting()
            await asyncio.sleep(self._pause_seconds)
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
        else:
            self._last_failure = "Redis answers too slowly."
            self._away_since = None
            self._pause_seconds = FIRST_PAUSE_SECONDS

    async def _open(self) -> AbstractConnection:
        connection = self._make_connection()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    def _refuse_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call.fail(NothingSentError(f"Redis is out of reach: {self._last_failure}"))

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(RedisError):
                await connection.disconnect(nowait=True)
