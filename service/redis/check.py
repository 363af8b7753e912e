"""Refuses a Redis that would lose leases, or denies what the service needs.

Each refusal is one line that says what to change: at start-up it ends the service, and on a later
connection, behind which anything may have changed, it is a 503 until that is done.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AskError, MovedError, RedisError

from service.redis.address import Address, Location
from service.redis.batcher import CONNECT_SECONDS
from service.redis.call import Part, Reply
from service.redis.connect import open_nodes
from service.redis.errors import (
    MisuseError,
    NothingSentError,
    UnusableServerError,
    is_denial,
    refusal,
)
from service.redis.nodes import Node, Nodes
from service.redis.question import ask, ask_all

OLDEST_REDIS: Final = (7, 0)
OLDEST_REDIS_WITH_WAITAOF: Final = (7, 2)
OLDEST_VALKEY: Final = (8, 0)


# The error of each command, or nothing. Rights are told by trying: ACL DRYRUN needs one that only
# an operator should have. Without KEYS every node of a cluster runs it, and looks at the rights
# before it says that the key is another's.
_TRY: Final = """
local errors = {}
for place, line in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(line, '%S+') do
    words[#words + 1] = word
  end
  local reply = redis.pcall(unpack(words))
  errors[place] = type(reply) == 'table' and reply.err or ''
end
return errors
"""
_NO_SCRIPT: Final = "0" * 40

_log = structlog.stdlib.get_logger(__name__)


class ServerInfo(NamedTuple):
    """Which server answers, for the log and the first screen."""

    name: str
    version: str
    replicas: Sequence[Address] = ()
    """Those that are connected to it and have what it has, but for a moment."""


class Commands(Protocol):
    """Whatever runs single commands on a server."""

    def command(self, *parts: Part) -> Awaitable[Reply]:
        """Return what the server answers; fail as it does."""


class _Connected:
    """A server behind a connection."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    async def command(self, *parts: Part) -> Reply:
        [reply] = await ask_all(self._connection, [parts])
        if isinstance(reply, RedisError):
            raise reply
        return reply


class ServerCheck:
    """Is awaited on every new connection, for `Batcher`: the server may be another by now."""

    def __init__(
        self,
        *,
        key_prefix: str,
        commands: Sequence[str],
        claim: Callable[[Commands], Awaitable[None]],
        durability: str = "memory",
        is_cluster: bool = False,
    ) -> None:
        """Make a check for servers that have the same work.

        Args:
            key_prefix: First part of every key.
            commands: Commands whose rights the service needs, with `{key}` for a key and such
                words that in this order nothing is changed.
            claim: Is awaited when a server is fit; it raises where its keys are another's.
            durability: `memory`, `disk` or `replicas=N`.
            is_cluster: Whether they should be the nodes of a cluster.

        """
        self.durability = durability
        self.is_cluster = is_cluster
        self.has_passed = False
        """Whether all servers were fit once, so that the service has started."""
        self._key_pattern = f"~{key_prefix}:*"
        self._commands = [line.replace("{key}", f"{key_prefix}:{{0}}:rights") for line in commands]
        self._claim = claim
        self._is_claimed = False
        self._reason = ""

    async def __call__(self, connection: AbstractConnection) -> None:
        """Look at the server behind a connection.

        Raises:
            UnusableServerError: With one line that says what to change.
            StoreError: It is not ready, or no primary.

        """
        try:
            await self._look(connection)
        except UnusableServerError as error:
            # At start-up whoever asked says it.
            if self.has_passed and str(error) != self._reason:
                _log.error("redis.unusable", reason=str(error))
            self._reason = str(error)
            raise
        if self.has_passed and self._reason:
            _log.info("redis.usable_again")
        self._reason = ""

    async def _look(self, connection: AbstractConnection) -> None:
        [info] = await ask_all(connection, [("INFO",)])
        if isinstance(info, RedisError):
            raise _lacking(["+info"]) if is_denial(info) else refusal(info)
        _check_info(info, self.durability, is_cluster=self.is_cluster)
        if parse_info(info).get("role") != "master":
            raise NothingSentError("Redis is a replica, which takes no writes.")
        await self._check_rights(connection)
        try:
            await self._claim(_Connected(connection))
        except (MovedError, AskError):
            # This node of a cluster does not have the keys that say whose all of them are.
            if not self._is_claimed:
                raise NothingSentError("The keys have not been claimed yet.") from None
        except RedisError as error:
            raise refusal(error) from None
        self._is_claimed = True

    async def _check_rights(self, connection: AbstractConnection) -> None:
        questions: dict[str, tuple[Part, ...]] = {
            "+eval": ("EVAL", _TRY, 0, *self._commands),
            "+evalsha": ("EVALSHA", _NO_SCRIPT, 0),
        }
        if self.durability == "disk":
            questions["+waitaof"] = ("WAITAOF", 0, 0, 1)
        elif self.durability != "memory":
            questions["+wait"] = ("WAIT", 0, 1)
        answers = await ask_all(connection, questions.values())
        rights = {
            right
            for right, answer in zip(questions, answers, strict=True)
            if isinstance(answer, RedisError) and is_denial(answer)
        }
        tried, *_ = answers
        if not isinstance(tried, RedisError):
            for command, error in zip(self._commands, tried, strict=True):
                if is_denial(text := error.decode()):
                    name = command.partition(" ")[0].lower()
                    rights.add(self._key_pattern if " key" in text else f"+{name}")
        if rights:
            raise _lacking(sorted(rights))
        if isinstance(tried, RedisError):
            raise refusal(tried)


def _lacking(rights: Iterable[str]) -> UnusableServerError:
    return UnusableServerError(
        "Redis's user lacks rights that the service needs: give it"
        f" {' '.join(rights)} with ACL SETUSER (docs/operations.md)."
    )


async def examine(location: Location, check: ServerCheck) -> list[ServerInfo]:
    """Look whether a Redis can be used, over connections of its own.

    Args:
        location: Where it is.
        check: What it is looked at for; afterwards it `has_passed`.

    Returns:
        What each of its nodes that take writes is.

    Raises:
        UnusableServerError: It can not, for a reason that the operator has to see to.
        StoreError: It does not answer; it may later.

    """
    nodes = open_nodes(location, check_server=check)
    try:
        servers = await check_nodes(
            nodes, durability=check.durability, is_cluster=check.is_cluster
        )
    finally:
        await nodes.close()
    if location.kind:
        replicas = [address for server in servers for address in server.replicas]
        await asyncio.gather(
            *(
                check_replica(location.servers.connect(address), address, check.durability)
                for address in replicas
            )
        )
    check.has_passed = True
    return servers


async def check_nodes(
    nodes: Nodes,
    *,
    durability: str = "memory",
    is_cluster: bool = False,
) -> list[ServerInfo]:
    """Refuse servers that would lose leases.

    Args:
        nodes: The way to the servers.
        durability: `memory`, `disk` or `replicas=N`.
        is_cluster: Whether they should be the nodes of a cluster.

    Returns:
        What each node that takes writes is.

    Raises:
        UnusableServerError: With one line that says what to change.
        StoreError: A server does not answer.

    """
    try:
        every = await nodes.every()
    except MisuseError as error:
        raise UnusableServerError(
            f"Redis is no cluster ({error}): begin LEASE_REDIS_URL with redis:// or rediss://."
        ) from None
    return await asyncio.gather(
        *(_check_node(node, durability, is_cluster=is_cluster) for node in every)
    )


async def check_replica(connection: AbstractConnection, address: Address, durability: str) -> None:
    """Refuse a replica that would lose leases if it took over; one that is away may be well.

    Args:
        connection: Unconnected.
        address: Where it leads, for the message.
        durability: As for `check_nodes`.

    Raises:
        UnusableServerError: With one line that says what to change.

    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            text = await ask(connection, "INFO")
    except (OSError, RedisError):
        return
    try:
        _check_info(text, durability, is_cluster=True)
    except UnusableServerError as error:
        raise UnusableServerError(f"The replica {address} cannot take over: {error}") from None


async def _check_node(node: Node, durability: str, *, is_cluster: bool) -> ServerInfo:
    # INFO and not CONFIG GET, which managed servers and access lists forbid.
    return _check_info(await node.command("INFO"), durability, is_cluster=is_cluster)


def _check_info(text: bytes, durability: str, *, is_cluster: bool) -> ServerInfo:
    info = parse_info(text)
    server = _check_version(info)
    if info.get("cluster_enabled") == "1" and not is_cluster:
        raise UnusableServerError(
            "Redis is a node of a cluster: begin LEASE_REDIS_URL with redis+cluster://."
        )
    policy = info.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        raise UnusableServerError(
            f"Redis's maxmemory-policy is {policy}, which can evict leases: set it to noeviction."
        )
    if durability == "disk":
        _check_disk(server, info)
    return server


def _check_disk(server: ServerInfo, info: dict[str, str]) -> None:
    if server.name == "Redis" and _numbers(server.version) < OLDEST_REDIS_WITH_WAITAOF:
        raise UnusableServerError(
            f"LEASE_DURABILITY=disk needs WAITAOF, which Redis {server.version} does not have:"
            " run Redis 7.2 or newer, or Valkey, or set LEASE_DURABILITY=memory."
        )
    if info.get("aof_enabled") != "1":
        raise UnusableServerError(
            "LEASE_DURABILITY=disk needs Redis's append-only file: "
            "set its appendonly to yes, or LEASE_DURABILITY=memory."
        )


def parse_info(text: bytes) -> dict[str, str]:
    """Return what INFO answers by name."""
    pairs = (line.partition(":") for line in text.decode().splitlines())
    return {name: value for name, colon, value in pairs if colon}


def _check_version(info: dict[str, str]) -> ServerInfo:
    # Valkey says the version of Redis that it is compatible with as well.
    if "valkey_version" in info:
        name, version, oldest = "Valkey", info["valkey_version"], OLDEST_VALKEY
    else:
        name, version, oldest = "Redis", info.get("redis_version", "0"), OLDEST_REDIS
    if _numbers(version) < oldest:
        raise UnusableServerError(
            f"{name} {version} is too old: run Redis 7.0 or newer, or Valkey 8.0 or newer."
        )
    return ServerInfo(name, version, tuple(_replicas(info)))


def _replicas(info: dict[str, str]) -> Iterator[Address]:
    for name, text in info.items():
        if re.fullmatch(r"slave\d+", name):
            replica = dict(pair.split("=", 1) for pair in text.split(","))
            if replica["state"] == "online":
                yield Address(replica["ip"], int(replica["port"]))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
