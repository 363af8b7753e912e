"""Keeps the service from a server that has not been found fit yet.

A sidecar starts while Redis is away and works as soon as it is back; what would lose leases is
refused all the same, before the first call.
"""

from __future__ import annotations

from redis.asyncio.connection import AbstractConnection

from service.store.batcher import Batcher
from service.store.connect import ConnectionFactory, ServerInfo, check_server
from service.store.errors import NothingSentError


class Gate:
    """Makes no connection until it is opened: Redis is out of reach (contract, rule 25)."""

    def __init__(self, connect: ConnectionFactory, *, is_open: bool) -> None:
        """Make a gate.

        Args:
            connect: Makes connections.
            is_open: Whether the server was checked already.

        """
        self._connect = connect
        self.is_open = is_open

    def connect(self) -> AbstractConnection:
        """Make a connection, for `Batcher`.

        Raises:
            NothingSentError: The gate is closed.

        """
        if not self.is_open:
            raise NothingSentError("Redis has not been checked yet.")
        return self._connect()


async def examine(
    connect: ConnectionFactory, *, key_prefix: str, partitions: int, durability: str
) -> ServerInfo:
    """Look once whether a server can be used, over a connection of its own.

    Args:
        connect: Makes connections to it.
        key_prefix: As for `check_server`.
        partitions: As for `check_server`.
        durability: As for `check_server`.

    Returns:
        Name and version of the server.

    Raises:
        UnusableServerError: It can not, for a reason that the operator has to see to.
        StoreError: It does not answer; it may later.

    """
    batcher = Batcher(connect)
    try:
        return await check_server(
            batcher, key_prefix=key_prefix, partitions=partitions, durability=durability
        )
    finally:
        await batcher.close()
