"""Refuses a Redis that would lose leases.

The refusals come at start-up, each as one line that says what to change (architecture, Redis).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from service.redis.address import Address
from service.redis.batcher import CONNECT_SECONDS
from service.redis.errors import MisuseError, UnusableServerError
from service.redis.nodes import Node, Nodes
from service.redis.question import ask

OLDEST_REDIS: Final = (7, 0)
OLDEST_REDIS_WITH_WAITAOF: Final = (7, 2)
OLDEST_VALKEY: Final = (8, 0)


class ServerInfo(NamedTuple):
    """Which server answers, for the log and the first screen."""

    name: str
    version: str
    replicas: Sequence[Address] = ()
    """Those that are connected to it and have what it has, but for a moment."""


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
