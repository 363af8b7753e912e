"""Keeps the service from a server that has not been found fit yet.

A sidecar starts while Redis is away and works as soon as it is back; what would lose leases is
refused all the same, before the first call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from service.redis.address import Location
from service.redis.check import ServerInfo, check_nodes, check_replica
from service.redis.connect import open_nodes
from service.redis.errors import NothingSentError
from service.redis.nodes import Nodes


class Gate:
    """Lets no connection be made until it is opened: Redis is out of reach (contract, rule 25)."""

    def __init__(self, *, is_open: bool) -> None:
        """Make a gate; it is open if the server was checked already."""
        self.is_open = is_open

    def check(self) -> None:
        """Return if connections may be made, for `open_nodes`.

        Raises:
            NothingSentError: The gate is closed.

        """
        if not self.is_open:
            raise NothingSentError("Redis has not been checked yet.")


async def examine(
    location: Location, *, durability: str, claim: Callable[[Nodes], Awaitable[None]]
) -> list[ServerInfo]:
    """Look once whether a Redis can be used, over connections of its own.

    Args:
        location: Where it is.
        durability: As for `check_nodes`.
        claim: Is given the way to servers that are fit, and raises when they cannot be used.

    Returns:
        What each of its nodes that take writes is.

    Raises:
        UnusableServerError: It can not, for a reason that the operator has to see to.
        StoreError: It does not answer; it may later.

    """
    nodes = open_nodes(location)
    try:
        servers = await check_nodes(
            nodes, durability=durability, is_cluster=location.kind == "cluster"
        )
        await claim(nodes)
    finally:
        await nodes.close()
    if location.kind:
        replicas = [address for server in servers for address in server.replicas]
        await asyncio.gather(
            *(
                check_replica(location.servers.connect(address), address, durability)
                for address in replicas
            )
        )
    return servers
