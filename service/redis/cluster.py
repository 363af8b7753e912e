"""Knows which node of a Redis or Valkey Cluster has which slot, and sends each call there.

Every node has a `Batcher`: the calls of all partitions on it share its pipelines. A node that
refuses says who has the slot (MOVED, ASK) or that it is a matter of moments; one that does not
answer may have been replaced. In either case the call is sent again, within its deadline, and the
map of the slots is asked for anew (`docs/decisions/0015-where-calls-go.md`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from redis.asyncio.connection import AbstractConnection
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, MovedError, NoPermissionError, RedisError

from service.redis.address import Address
from service.redis.batcher import (
    CONNECT_SECONDS,
    DEADLINE_SECONDS,
    Batcher,
    CheckServer,
    accept,
)
from service.redis.call import NO_SLOT, Call, OnExchange, Part, Reply, Script, ignore_exchange
from service.redis.durability import Confirmation
from service.redis.errors import (
    AGAIN_SECONDS,
    PASSING_CODES,
    MisuseError,
    NothingSentError,
    StoreError,
    refusal,
    reply_code,
)
from service.redis.nodes import CLOCK_MARGIN_MICROSECONDS, Node
from service.redis.question import ask, cancel

ASKED_NODES: Final = 4
"""How many nodes are asked for the map at once: the first answer will do."""

_QUICK_MOVES: Final = 2
"""After so many, nodes are still agreeing with each other who has the slot: better to wait."""


class _Server(NamedTuple):
    """A node, and the ways to it; they are one where nothing needs confirmation."""

    address: Address
    plain: Batcher
    confirming: Batcher

    def way(self, call: Call) -> Batcher:
        return self.confirming if call.is_confirming else self.plain

    async def close(self) -> None:
        await self.plain.close()
        await self.confirming.close()


class _Map(NamedTuple):
    """What a node says of the cluster."""

    ranges: list[tuple[int, int, Address]]
    """First and last slot, and whose they are."""
    known: set[Address]
    """Every node, replicas included."""


class _Way:
    """The way to one slot, wherever that is."""

    __slots__ = ("_cluster", "_is_confirming", "_slot")

    def __init__(self, cluster: Cluster, slot: int, *, is_confirming: bool) -> None:
        self._cluster = cluster
        self._slot = slot
        self._is_confirming = is_confirming

    def call(
        self, script: Script, keys: Sequence[Part], args: Sequence[Part]
    ) -> asyncio.Future[Reply]:
        return self._send(("EVALSHA", script.sha, len(keys), *keys, *args), script)

    def command(self, *parts: Part) -> asyncio.Future[Reply]:
        return self._send(parts, None)

    def _send(self, parts: tuple[Part, ...], script: Script | None) -> asyncio.Future[Reply]:
        call = Call(
            parts,
            script,
            self._cluster.loop,
            self._cluster.deadline_seconds,
            slot=self._slot,
            is_confirming=self._is_confirming,
        )
        self._cluster.send(call)
        return call.future


class Cluster:
    """The nodes of a cluster that take writes, found by the slot of a key."""

    clock_margin_microseconds = CLOCK_MARGIN_MICROSECONDS

    def __init__(
        self,
        seeds: Sequence[Address],
        connect: Callable[[Address], AbstractConnection],
        *,
        confirmation: Confirmation | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        on_exchange: OnExchange = ignore_exchange,
        check_server: CheckServer = accept,
    ) -> None:
        """Prepare to find the nodes; the first call asks for the map.

        Args:
            seeds: Some nodes, by which the others are found.
            connect: Makes unconnected connections.
            confirmation: What the confirming way waits for.
            deadline_seconds: As for `Batcher`.
            on_exchange: As for `Batcher`.
            check_server: As for `Batcher`.

        """
        self._on_exchange = on_exchange
        self._check_server = check_server
        self.deadline_seconds = deadline_seconds
        self._connect = connect
        self._confirmation = confirmation
        self._seeds = frozenset(seeds)
        self._known = self._seeds
        self._servers: dict[Address, _Server] = {}
        self._owners: list[_Server | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        # Calls for slots that no node is known to have.
        self._homeless: list[Call] = []
        self._learning: asyncio.Task[None] | None = None
        self._next_question = 0.0
        self._retiring: set[asyncio.Task[None]] = set()
        self._last_failure = "it was not asked yet"
        self._is_cluster = True
        self._denial: StoreError | None = None
        self._closed = False

    @cached_property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that its calls come from."""
        return asyncio.get_running_loop()

    def of(self, key: str) -> Node:
        """Return the way to a key, and to all keys with the same hash tag."""
        return _Way(self, key_slot(key.encode()), is_confirming=False)

    def confirming(self, key: str) -> Node:
        """Return the way to a key that answers once what was changed is safe (rule 21)."""
        return _Way(self, key_slot(key.encode()), is_confirming=True)

    async def every(self) -> Sequence[Node]:
        """Return each node that takes writes.

        Raises:
            MisuseError: The servers are no cluster.
            NothingSentError: No node answers.
            UnusableServerError: They deny a right.

        """
        if not self._servers:
            await asyncio.wait((self._learn(),), timeout=self.deadline_seconds)
        if not self._is_cluster:
            raise MisuseError(self._last_failure)
        if not self._servers:
            if self._denial is not None:
                raise self._denial
            raise NothingSentError(f"Redis Cluster is out of reach: {self._last_failure}")
        return [server.plain for server in self._servers.values()]

    def send(self, call: Call) -> None:
        """Send a new call to the node that has its slot, as soon as that is known."""
        owner = self._owners[call.slot]
        if owner is None:
            self._keep(call)
        else:
            owner.way(call).send(call)

    async def close(self) -> None:
        """Finish what was asked for, within its deadlines, then close the connections."""
        self._closed = True
        if self._learning is not None:
            await cancel((self._learning,))
        homeless, self._homeless = self._homeless, []
        for call in homeless:
            call.fail(NothingSentError("The service is stopping."))
        await asyncio.gather(
            *(server.close() for server in self._servers.values()), *self._retiring
        )

    def take(self, batcher: Batcher, call: Call, error: RedisError) -> bool:
        """Send a call that was refused to where it belongs, or again soon; else return False."""
        if call.slot == NO_SLOT:
            return False
        if isinstance(error, MovedError):
            self._owners[call.slot] = self._server(self._place(batcher, error))
            self._learn()
            call.moves += 1
            self._send_again(call, at_once=call.moves <= _QUICK_MOVES)
        elif isinstance(error, AskError):
            call.ask(asking=True)
            self._server(self._place(batcher, error)).way(call).send_again(call)
        elif reply_code(error) in PASSING_CODES and _has_time(call):
            self._learn()
            self._send_again(call, at_once=False)
        else:
            return False
        return True

    def server_is_away(self, batcher: Batcher) -> None:
        """Look whether another has taken over, and send there what waits."""
        self._send_misplaced(batcher)
        self._learn()

    def _keep(self, call: Call) -> None:
        if self._closed:
            call.fail(NothingSentError("The service is stopping."))
        elif _has_time(call):
            self._homeless.append(call)
            self._learn()
        else:
            text = f"No node of the Redis Cluster has the keys at present: {self._last_failure}"
            call.fail(NothingSentError(text))

    def _send_again(self, call: Call, *, at_once: bool = True) -> None:
        """Send a call that was sent or kept before by what the map says now, or soon."""
        if not at_once:
            loop = asyncio.get_running_loop()
            loop.call_later(AGAIN_SECONDS, self._send_again, call)
            return
        if call.is_asking:
            call.ask(asking=False)
        owner = self._owners[call.slot]
        if owner is None:
            self._keep(call)
        else:
            owner.way(call).send_again(call)

    def _send_misplaced(self, batcher: Batcher) -> None:
        """Send what waits for a node, and belongs to another by now, there."""

        def is_misplaced(call: Call) -> bool:
            owner = None if call.slot == NO_SLOT else self._owners[call.slot]
            return owner is not None and owner.way(call) is not batcher and not call.is_asking

        for call in batcher.withdraw(is_misplaced):
            self._send_again(call)

    def _place(self, batcher: Batcher, error: AskError) -> Address:
        """Return where a redirection leads; without a host, it is that of who says so."""
        if error.host:
            return Address(error.host, error.port)
        [host] = [
            server.address.host
            for server in self._servers.values()
            if batcher in (server.plain, server.confirming)
        ]
        return Address(host, error.port)

    def _server(self, address: Address) -> _Server:
        server = self._servers.get(address)
        if server is None:
            plain = self._batcher(address, None)
            confirming = plain
            if self._confirmation is not None:
                confirming = self._batcher(address, self._confirmation)
            self._servers[address] = server = _Server(address, plain, confirming)
        return server

    def _batcher(self, address: Address, confirmation: Confirmation | None) -> Batcher:
        return Batcher(
            lambda: self._connect(address),
            deadline_seconds=self.deadline_seconds,
            confirmation=confirmation,
            detours=self,
            on_exchange=self._on_exchange,
            check_server=self._check_server,
        )

    def _learn(self) -> asyncio.Task[None]:
        """Ask for the map, unless that is under way."""
        if self._learning is None or (self._learning.done() and not self._closed):
            self._learning = asyncio.get_running_loop().create_task(self._learn_map())
        return self._learning

    async def _learn_map(self) -> None:
        """Ask for the map until every call that waits for it has gone, or has no time any more."""
        loop = asyncio.get_running_loop()
        is_over = False
        while not is_over:
            # Nobody learns anything new from asking without a pause.
            await asyncio.sleep(self._next_question - loop.time())
            found = await self._ask_for_map()
            self._next_question = loop.time() + AGAIN_SECONDS
            if found is not None:
                self._follow(found)
            homeless, self._homeless = self._homeless, []
            for call in homeless:
                self._send_again(call)
            is_over = not self._homeless

    async def _ask_for_map(self) -> _Map | None:
        """Return what the first of some nodes says; None: nobody knows."""
        places = random.sample(sorted(self._known), min(ASKED_NODES, len(self._known)))
        questions = [asyncio.create_task(self._map_of(place)) for place in places]
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                for question in asyncio.as_completed(questions):
                    try:
                        return await question
                    except Exception as error:  # noqa: BLE001 - whatever broke, others may know
                        self._last_failure = str(error) or "Redis does not answer."
                        self._denial = (
                            refusal(error) if isinstance(error, NoPermissionError) else None
                        )
                        self._is_cluster = "cluster support disabled" not in self._last_failure
        except TimeoutError:
            self._last_failure = "Redis does not answer."
        finally:
            await cancel(questions)
        return None

    async def _map_of(self, place: Address) -> _Map:
        ranges, known = [], {place}
        for first, last, *nodes in await ask(self._connect(place), "CLUSTER", "SLOTS"):
            # A node that does not know its own name is reached as this one was.
            addresses = [
                Address(host.decode() if host else place.host, port) for host, port, *_ in nodes
            ]
            ranges.append((first, last, addresses[0]))
            known.update(addresses)
        if not ranges:
            raise NothingSentError(f"{place} is a cluster node without slots.")
        return _Map(ranges, known)

    def _follow(self, found: _Map) -> None:
        """Send calls by this map from now on, those that wait as well."""
        owners: list[_Server | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, address in found.ranges:
            owners[first : last + 1] = [self._server(address)] * (last - first + 1)
        self._owners = owners
        self._known = self._seeds | found.known
        current = {address for _, _, address in found.ranges}
        for server in list(self._servers.values()):
            self._send_misplaced(server.plain)
            self._send_misplaced(server.confirming)
            if server.address not in current:
                del self._servers[server.address]
                task = asyncio.create_task(server.close())
                self._retiring.add(task)
                task.add_done_callback(self._retiring.discard)


def _has_time(call: Call) -> bool:
    soon = asyncio.get_running_loop().time() + AGAIN_SECONDS
    return soon < call.deadline and not call.future.done()
