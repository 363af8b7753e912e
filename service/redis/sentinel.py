"""Finds the primary that the Sentinels agree upon, and waits where a fail-over is under way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoPermissionError, RedisError

from service.redis.address import Address
from service.redis.batcher import Batcher
from service.redis.call import Call
from service.redis.errors import AGAIN_SECONDS, PASSING_CODES, NothingSentError, reply_code
from service.redis.question import ask, cancel

ASK_SECONDS: Final = 0.5
"""How long the Sentinels have to answer; a majority that agrees is not waited for any longer."""


class Primary:
    """The server that takes writes, wherever it is at present."""

    def __init__(
        self,
        sentinels: Sequence[Address],
        name: str,
        *,
        connect_sentinel: Callable[[Address], AbstractConnection],
        connect: Callable[[Address], AbstractConnection],
    ) -> None:
        """Look for it whenever a connection is needed.

        Args:
            sentinels: Where the Sentinels are.
            name: What they call the primary and its replicas.
            connect_sentinel: Makes connections to Sentinels.
            connect: Makes connections to the servers.

        """
        self._sentinels = sentinels
        self._name = name
        self._connect_sentinel = connect_sentinel
        self._connect = connect

    async def connection(self) -> AbstractConnection:
        """Return a connection to the primary, for `Batcher`.

        Raises:
            NothingSentError: No Sentinel knows it, or it is none yet.
            NoPermissionError: A right is missing.

        """
        address = await self._find()
        connection = self._connect(address)
        # A Sentinel may be behind: the server itself knows what it is (Redis's client guide).
        role, *_ = await ask(connection, "ROLE", keep=True)
        if role != b"master":
            await connection.disconnect(nowait=True)
            raise NothingSentError(f"{address} is not the primary yet.")
        return connection

    async def _find(self) -> Address:
        """Return the address that most Sentinels name."""
        questions = [asyncio.create_task(self._said_by(place)) for place in self._sentinels]
        votes: Counter[Address] = Counter()
        failure: Exception = TimeoutError("they do not answer")
        try:
            async with asyncio.timeout(ASK_SECONDS):
                for question in asyncio.as_completed(questions):
                    try:
                        votes[await question] += 1
                    except (NothingSentError, OSError, RedisError) as error:
                        failure = error
                    if votes and 2 * max(votes.values()) > len(questions):
                        break
        except TimeoutError:
            pass
        finally:
            await cancel(questions)
        if not votes:
            if isinstance(failure, NoPermissionError):
                raise failure
            raise NothingSentError(f"No Sentinel knows the primary of {self._name}: {failure}")
        return votes.most_common(1)[0][0]

    async def _said_by(self, sentinel: Address) -> Address:
        question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)
        found = await ask(self._connect_sentinel(sentinel), *question)
        if found is None:
            raise NothingSentError(f"{sentinel} knows nothing of that name.")
        host, port = found
        return Address(host.decode(), int(port))


class Patience:
    """Sends again what a server refuses while it is becoming the primary, or ceases to be it."""

    def take(self, batcher: Batcher, call: Call, error: RedisError) -> bool:
        """Take over a call that was refused, if there is time; tell whether there is."""
        loop = asyncio.get_running_loop()
        soon = loop.time() + AGAIN_SECONDS
        if reply_code(error) not in PASSING_CODES or soon >= call.deadline:
            return False
        loop.call_at(soon, batcher.send_again, call)
        return True

    def server_is_away(self, _batcher: Batcher) -> None:
        """Wait: the next connection asks the Sentinels."""
