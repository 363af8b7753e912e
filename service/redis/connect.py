"""Makes the way to the Redis that the operator named, be it one server or several."""

from __future__ import annotations

from collections.abc import Callable

from redis.asyncio.connection import AbstractConnection

from service.redis.address import Location, redact
from service.redis.batcher import (
    DEADLINE_SECONDS,
    Batcher,
    CheckServer,
    ConnectionFactory,
    accept,
)
from service.redis.call import OnExchange, ignore_exchange
from service.redis.cluster import Cluster
from service.redis.durability import Confirmation
from service.redis.errors import UnusableServerError
from service.redis.nodes import CLOCK_MARGIN_MICROSECONDS, Nodes, OneServer
from service.redis.sentinel import Patience, Primary

__all__ = ["ConnectionFactory", "Location", "connection_factory", "open_nodes", "redact"]


def connection_factory(url: str) -> Callable[[], AbstractConnection]:
    """Return what makes connections to one server, for a `Batcher` of its own.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as for `Location.read`.

    Raises:
        UnusableServerError: It cannot be read, or names several servers.

    """
    location = Location.read(url)
    if location.kind:
        raise UnusableServerError(f"{redact(url)} names several servers: name one.")
    return location.servers.connect


def open_nodes(
    location: Location,
    *,
    durability: str = "memory",
    deadline_seconds: float = DEADLINE_SECONDS,
    on_exchange: OnExchange = ignore_exchange,
    check_server: CheckServer = accept,
) -> Nodes:
    """Return the way to all nodes; nothing is connected before the first call.

    Args:
        location: What `LEASE_REDIS_URL` says.
        durability: `memory`, `disk` or `replicas=N`.
        deadline_seconds: How long a call may take in all, reconnecting included.
        on_exchange: Is called after every pipeline that was answered.
        check_server: Is awaited on each new connection to a server; see `Batcher`.

    """
    confirmation = Confirmation.of(durability)
    connect = location.servers.connect
    if location.kind == "cluster":
        return Cluster(
            location.hosts,
            connect,
            confirmation=confirmation,
            deadline_seconds=deadline_seconds,
            on_exchange=on_exchange,
            check_server=check_server,
        )
    make: ConnectionFactory = connect
    detours, margin = None, 0
    if location.kind == "sentinel":
        make = Primary(
            location.hosts,
            location.name,
            connect_sentinel=location.sentinels.connect,
            connect=connect,
        ).connection
        detours, margin = Patience(), CLOCK_MARGIN_MICROSECONDS

    def batcher(confirmation: Confirmation | None) -> Batcher:
        return Batcher(
            make,
            deadline_seconds=deadline_seconds,
            confirmation=confirmation,
            detours=detours,
            on_exchange=on_exchange,
            check_server=check_server,
        )

    plain = batcher(None)
    confirming = plain if confirmation is None else batcher(confirmation)
    return OneServer(plain, confirming, clock_margin_microseconds=margin)
