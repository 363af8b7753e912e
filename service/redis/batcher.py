"""Sends what many callers ask of one Redis node together: one pipeline in flight, the next fills.

Nothing waits for a timer. A call that finds the node idle leaves at once, with some of the same
turn of the event loop; the others leave when the pipeline before them has come back. That is
several times as fast as a connection per caller, and one place knows what was sent and answered.

redis-py's own retries are off (`address.py`): they repeat a call silently, and afterwards nobody
can tell "nothing was sent" from "sent, answer lost". What is sent again is decided in
`Batcher._sendable_again`.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from bisect import insort
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Final, Protocol, Self, TypeAlias

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoPermissionError, ReadOnlyError, RedisError

from service.redis.call import Call, OnExchange, Part, Reply, Script, ignore_exchange
from service.redis.deadline import Deadline
from service.redis.durability import Confirmation
from service.redis.errors import (
    ERROR_REPLIES,
    NothingSentError,
    OutcomeUnknownError,
    StoreError,
    UnusableServerError,
    is_denial,
    refusal,
)
from service.redis.receiving import receiver

__all__ = ["Batcher", "Detours", "Part", "Reply", "Script"]

ConnectionFactory: TypeAlias = Callable[[], AbstractConnection | Awaitable[AbstractConnection]]
"""Makes a connection to one server, connected or not, perhaps after asking where that is."""

CheckServer: TypeAlias = Callable[[AbstractConnection], Awaitable[None]]
"""Looks at the server behind a new connection; what it raises keeps calls from it."""

MAXIMUM_BATCH: Final = 512
"""Calls per pipeline: enough to fill it, few enough that nobody waits long behind the others."""

# A pipeline takes half of the calls that wait. With all of them Redis and this process would take
# turns: one idle while the other works on everything.
_SHARES: Final = 2
_LEAST_BATCH: Final = 4

CONNECT_SECONDS: Final = 1.0
"""How long one attempt to connect may take, handshake included."""

FIRST_PAUSE_SECONDS: Final = 0.01
LONGEST_PAUSE_SECONDS: Final = 0.25
MAXIMUM_SENDINGS: Final = 2
"""How often a call is sent at most, if its connection breaks before the reply."""

DEADLINE_SECONDS: Final = 2.0
"""How long a call may take in all, reconnecting included."""


class Detours(Protocol):
    """Knows where else a call may go, or when, if its server is one of several."""

    def take(self, batcher: Batcher, call: Call, error: RedisError) -> bool:
        """Take over a call that was refused, to send it again; tell whether that makes sense."""

    def server_is_away(self, batcher: Batcher) -> None:
        """Hear that a server does not answer: what waits for it may have to go elsewhere."""


class _NoDetours:
    """Of a server that is the only one."""

    def take(self, _batcher: Batcher, _call: Call, _error: RedisError) -> bool:
        return False

    def server_is_away(self, _batcher: Batcher) -> None:
        """Wait for it."""


async def accept(_connection: AbstractConnection) -> None:
    """Take any server, for `Batcher`."""


class Batcher:
    """The only thing that talks to one Redis node; by itself it is the `Nodes` of one server."""

    clock_margin_microseconds = 0

    def __init__(
        self,
        make_connection: ConnectionFactory,
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
        confirmation: Confirmation | None = None,
        detours: Detours | None = None,
        on_exchange: OnExchange = ignore_exchange,
        check_server: CheckServer = accept,
    ) -> None:
        """Make a batcher; it connects when the first call comes.

        Args:
            make_connection: Makes a connection that answers in bytes, speaks RESP2 (which has no
                message that nobody asked for) and never retries; see `address.py`.
            deadline_seconds: How long a call may take in all, reconnecting included.
            confirmation: What each pipeline waits for before its calls are answered.
            detours: Where calls go that the server refuses, if it is not the only one.
            on_exchange: Is called after every pipeline that was answered.
            check_server: Is awaited on every new connection before anything is sent: the server
                behind it may be another one, or set otherwise than before.

        """
        self._make_connection = make_connection
        self._check_server = check_server
        self._on_exchange = on_exchange
        self._deadline_seconds = deadline_seconds
        self._confirmation = confirmation
        self._detours = detours or _NoDetours()
        self._connection: AbstractConnection | None = None
        self._waiting: list[Call] = []
        self._sender: asyncio.Task[None] | None = None
        self._deadline = Deadline()
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
            UnusableServerError: The operator has to change something first.
            MisuseError: Redis rejects the script or the call.

        """
        parts = ("EVALSHA", script.sha, len(keys), *keys, *args)
        return self.send(Call(parts, script, self._loop, self._deadline_seconds))

    def command(self, *parts: Part) -> asyncio.Future[Reply]:
        """Send a command, which must be idempotent and mean the same on another connection.

        Args:
            parts: The words of the command, one by one.

        Returns:
            A future of the reply, which fails as `call` does.

        """
        return self.send(Call(parts, None, self._loop, self._deadline_seconds))

    async def close(self) -> None:
        """Finish what was asked for, within its deadlines, then close the connection."""
        self._closed = True
        if self._sender is not None:
            await self._sender
        await self._disconnect()

    def send(self, call: Call) -> asyncio.Future[Reply]:
        """Send a new call; return the future of its reply."""
        if self._closed:
            call.fail(NothingSentError("The service is stopping."))
            return call.future
        self._waiting.append(call)
        self._wake()
        return call.future

    def send_again(self, call: Call) -> None:
        """Send a call that was sent elsewhere before, or earlier: it is older than others."""
        if self._closed:
            call.fail(NothingSentError("The service is stopping."))
            return
        insort(self._waiting, call, key=attrgetter("deadline"))
        self._wake()

    def withdraw(self, is_unwanted: Callable[[Call], bool]) -> list[Call]:
        """Return the calls that wait here and are unwanted, and forget them."""
        wanted: list[Call] = []
        unwanted: list[Call] = []
        for call in self._waiting:
            (unwanted if is_unwanted(call) else wanted).append(call)
        self._waiting = wanted
        return unwanted

    def of(self, _key: str) -> Self:
        """Return the way to every key."""
        return self

    def confirming(self, _key: str) -> Self:
        """Return the way to every key: it is the same for all."""
        return self

    async def every(self) -> Sequence[Self]:
        """Return the way to the server."""
        return (self,)

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """The loop that its calls come from: CPython 3.11 asks the kernel for it, each time."""
        return asyncio.get_running_loop()

    def _wake(self) -> None:
        if self._sender is None or self._sender.done():
            self._sender = self._loop.create_task(self._send_waiting())

    async def _send_waiting(self) -> None:
        """Send pipeline after pipeline until nothing waits."""
        while self._waiting:
            connection = await self._live_connection()
            if connection is None:
                await self._attempt_to_connect()
            elif batch := self._take_batch():
                await self._exchange(connection, batch)

    def _take_batch(self) -> list[Call]:
        """Take the calls of the next pipeline, without those whose callers have gone."""
        self._expire_waiting()
        count = min(MAXIMUM_BATCH, max(_LEAST_BATCH, len(self._waiting) // _SHARES))
        batch = [call for call in self._waiting[:count] if not call.future.done()]
        del self._waiting[:count]
        return batch

    async def _exchange(self, connection: AbstractConnection, batch: list[Call]) -> None:
        """Send one pipeline and give each caller its reply.

        The oldest call's deadline ends it; whoever waits behind this pipeline has a later one.
        """
        assert self._sender is not None  # noqa: S101 - it runs this
        for call in batch:
            call.unanswered += 1
        began = self._loop.time()
        answered = 0
        repeated: list[Call] = []
        unconfirmed: list[tuple[Call, Reply]] = []
        try:
            with self._deadline.of(self._sender, batch[0].deadline):
                await connection.send_packed_command(self._pipeline(batch), check_health=False)
                receive = receiver(connection)
                for call in batch:
                    try:
                        if call.is_asking:
                            await _skip_reply(connection)
                        reply = await receive()
                        if self._confirmation is None:
                            call.succeed(reply)
                        else:
                            unconfirmed.append((call, reply))
                    except ERROR_REPLIES as error:
                        if self._refuse(connection, call, error):
                            repeated.append(call)
                    answered += 1
                if self._confirmation is not None:
                    # Unlike a call's, an error instead of this answer leaves everything open.
                    answer = await connection.read_response(disconnect_on_error=False)
                    _settle(unconfirmed, self._confirmation, answer)
            self._on_exchange(len(batch), self._loop.time() - began)
        except Exception as error:  # noqa: BLE001 - whatever broke, nobody may wait for ever
            self._last_failure = str(error) or "Redis does not answer."
            # With replies missing, the next ones could not be told apart on this connection.
            await self._disconnect()
            lost = [call for call, _ in unconfirmed] + batch[answered:]
            repeated += self._sendable_again(lost)
        self._waiting[:0] = repeated
        if self._connection is None:
            self._detours.server_is_away(self)

    def _pipeline(self, batch: list[Call]) -> bytes:
        """Return the calls as they are sent, and behind them the question for confirmation."""
        packed = [call.packed for call in batch]
        if self._confirmation is not None:
            seconds = batch[0].deadline - self._loop.time()
            packed.append(self._confirmation.question(seconds))
        return b"".join(packed)

    def _refuse(self, connection: AbstractConnection, call: Call, error: RedisError) -> bool:
        """Give a call its error reply; tell whether it is to be sent here again instead."""
        if isinstance(error, ReadOnlyError) or is_denial(error):
            # After a fail-over the name may already lead to the new primary; and the check of a
            # new connection names every right that is missing.
            connection.mark_for_reconnect()
        if is_denial(error) and call.unanswered < MAXIMUM_SENDINGS:
            # It stays unanswered: its script may have come as far as the command that is denied.
            return True
        call.unanswered -= 1
        if call.takes_its_script_along(error):
            return True
        if not self._detours.take(self, call, error):
            call.fail(refusal(error))
        return False

    def _sendable_again(self, lost: list[Call]) -> list[Call]:
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
        now = self._loop.time()
        expired = 0
        for call in self._waiting:
            if call.deadline > now:
                break
            call.fail(self._is_away())
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
        attempt = self._loop.create_task(self._connect())
        while not attempt.done():
            seconds = self._waiting[0].deadline - self._loop.time() if self._waiting else None
            await asyncio.wait((attempt,), timeout=seconds)
            self._expire_waiting()

    async def _connect(self) -> None:
        """Connect, or pause a little; after a whole deadline without Redis nobody waits longer."""
        try:
            self._connection = await self._open()
        except Exception as error:  # noqa: BLE001 - whatever broke, nobody may wait for ever
            self._last_failure = str(error) or "Redis does not answer."
            self._detours.server_is_away(self)
            now = self._loop.time()
            if self._away_since is None:
                self._away_since = now
            if isinstance(error, NoPermissionError):
                self._refuse_waiting(refusal(error))
            elif isinstance(error, UnusableServerError):
                self._refuse_waiting(error)
            elif now - self._away_since >= self._deadline_seconds:
                self._refuse_waiting(self._is_away())
            await asyncio.sleep(self._pause_seconds)
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
        else:
            self._last_failure = "Redis answers too slowly."
            self._away_since = None
            self._pause_seconds = FIRST_PAUSE_SECONDS

    async def _open(self) -> AbstractConnection:
        async with asyncio.timeout(CONNECT_SECONDS):
            made = self._make_connection()
            connection = await made if inspect.isawaitable(made) else made
            try:
                await connection.connect()
                await self._check_server(connection)
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
        return connection

    def _is_away(self) -> NothingSentError:
        return NothingSentError(f"Redis is out of reach: {self._last_failure}")

    def _refuse_waiting(self, error: StoreError) -> None:
        """Fail all that waits here; the caller's errors are objects of their own, with a trace."""
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call.fail(type(error)(*error.args))

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(RedisError):
                await connection.disconnect(nowait=True)


async def _skip_reply(connection: AbstractConnection) -> None:
    """Read the reply to ASKING; the one behind it says what counts."""
    with contextlib.suppress(*ERROR_REPLIES):
        await connection.read_response(disconnect_on_error=False)


def _settle(
    unconfirmed: Sequence[tuple[Call, Reply]], confirmation: Confirmation, answer: Reply
) -> None:
    """Give callers their replies if what they changed is safe; if not, nobody knows (rule 21)."""
    is_confirmed = confirmation.is_given(answer)
    for call, reply in unconfirmed:
        if is_confirmed:
            call.succeed(reply)
        else:
            call.fail(OutcomeUnknownError(f"Redis had no confirmation from {confirmation}."))
