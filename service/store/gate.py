"""Keeps the service from a server that has not been found fit yet.

A sidecar starts while Redis is away and works as soon as it is back; what would lose leases is
refused all the same, before the first call.
"""

from __future__ import annotations

import asyncio

from service.store.address import Location
from service.store.check import ServerInfo, check_nodes, check_replica
from service.store.connect import open_nodes
from service.store.errors import NothingSentError


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
    location: Location, *, key_prefix: str, partitions: int, durability: str
) -> list[ServerInfo]:
    """Look once whether a Redis can be used, over connections of its own.

    Args:
        location: Where it is.
        key_prefix: As for `check_nodes`.
        partitions: As for `check_nodes`.
        durability: As for `check_nodes`.

    Returns:
        What each of its nodes that take writes is.

    Raises:
        UnusableServerError: It can not, for a reason that the operator has to see to.
        StoreError: It does not answer; it may later.

    """
    nodes = open_nodes(location)
    try:
        servers = await check_nodes(
            nodes,
            key_prefix=key_prefix,
            partitions=partitions,
            durability=durability,
            is_cluster=location.kind == "cluster",
        )
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
