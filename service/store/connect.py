"""Connects to the Redis that the operator named, and refuses one that would lose leases.

The refusals come at start-up, each as one line that says what to change (architecture, Redis).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias, cast

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection

from service.store.batcher import CONNECT_SECONDS, Batcher

ConnectionFactory: TypeAlias = Callable[[], AbstractConnection]

SCHEMA: Final = 1
"""The version of the stored format, so that two releases never misread each other's keys."""

CLIENT_NAME: Final = "lease-service"
OLDEST_REDIS: Final = (7, 0)
OLDEST_VALKEY: Final = (8, 0)

_SCHEMES: Final = ("redis", "rediss", "unix")
_CONNECTION_SETTINGS: Final = {
    "client_name": CLIENT_NAME,
    "decode_responses": False,
    # The batcher decides what is repeated, watches the deadlines and notices a closed connection.
    "health_check_interval": 0,
    "retry": None,
    "retry_on_timeout": False,
    "socket_timeout": None,
    "socket_connect_timeout": CONNECT_SECONDS,
    # RESP2 has no push messages, which would come between the replies.
    "protocol": 2,
}


class UnusableServerError(Exception):
    """The service cannot work with this Redis; the message says what to change, in one line."""


class ServerInfo(NamedTuple):
    """Which server answers, for the log and the first screen."""

    name: str
    version: str


def redact(url: str) -> str:
    """Return an address without user, password and options, fit for a log line.

    Args:
        url: The value of `LEASE_REDIS_URL`, well-formed or not.

    """
    scheme, separator, rest = url.partition("://")
    place, _, options = rest.partition("?")
    if not separator or "@" in options:
        return "***"
    _, at, host = place.rpartition("@")
    return f"{scheme}://{at and '***@'}{host}"


def connection_factory(url: str) -> ConnectionFactory:
    """Return what makes connections to one Redis, for `Batcher`.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`, with user, password and database as
            redis-py reads them; TLS options such as `ssl_ca_certs` follow a question mark.

    Returns:
        A function that makes an unconnected connection.

    Raises:
        UnusableServerError: The address is not one of these.

    """
    scheme = url.partition("://")[0]
    if scheme not in _SCHEMES:
        raise UnusableServerError(
            f"LEASE_REDIS_URL {redact(url)} is not supported: "
            "start it with redis://, rediss:// or unix://."
        )
    try:
        pool = ConnectionPool.from_url(url, **_CONNECTION_SETTINGS)
        # Again, because the options of the address have won.
        pool.connection_kwargs.update(_CONNECTION_SETTINGS)
        pool.make_connection()
    except (TypeError, ValueError):
        # redis-py's message may quote a part of the password.
        raise UnusableServerError(
            f"LEASE_REDIS_URL {redact(url)} cannot be read: correct its port or options, "
            "and percent-encode special characters in the password."
        ) from None
    return cast("ConnectionFactory", pool.make_connection)


async def check_server(
    batcher: Batcher, *, key_prefix: str, partitions: int, durability: str
) -> ServerInfo:
    """Refuse a server that would lose leases, and claim the keys for this number of partitions.

    Args:
        batcher: The way to the server.
        key_prefix: First part of every key; `<key_prefix>:meta` remembers the next two.
        partitions: Into how many partitions the keys are divided.
        durability: `memory`, `disk` or `replicas=N`.

    Returns:
        Name and version of the server.

    Raises:
        UnusableServerError: With one line that says what to change.
        StoreError: The server does not answer.

    """
    # INFO and not CONFIG GET, which managed servers and access lists forbid.
    info = _parse_info(await batcher.command("INFO"))
    server = _check_version(info)
    if info.get("cluster_enabled") == "1":
        raise UnusableServerError(
            "Redis is a node of a cluster: set LEASE_REDIS_URL to a standalone server."
        )
    policy = info.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        raise UnusableServerError(
            f"Redis's maxmemory-policy is {policy}, which can evict leases: set it to noeviction."
        )
    if durability == "disk" and info.get("aof_enabled") != "1":
        raise UnusableServerError(
            "LEASE_DURABILITY=disk needs Redis's append-only file: "
            "set its appendonly to yes, or LEASE_DURABILITY=memory."
        )
    await _claim_keys(batcher, key_prefix, partitions)
    return server


def _parse_info(text: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.decode().splitlines())
    return {name: value for name, colon, value in pairs if colon}


def _check_version(info: dict[str, str]) -> ServerInfo:
    # Valkey says the version of Redis that it is compatible with as well.
    if "valkey_version" in info:
        server, oldest = ServerInfo("Valkey", info["valkey_version"]), OLDEST_VALKEY
    else:
        server, oldest = ServerInfo("Redis", info.get("redis_version", "0")), OLDEST_REDIS
    if tuple(int(part) for part in server.version.split(".") if part.isdecimal()) < oldest:
        raise UnusableServerError(
            f"{server.name} {server.version} is too old: "
            "run Redis 7.0 or newer, or Valkey 8.0 or newer."
        )
    return server


async def _claim_keys(batcher: Batcher, key_prefix: str, partitions: int) -> None:
    meta = f"{key_prefix}:meta"
    schema = await _claim(batcher, meta, "schema", SCHEMA)
    if schema != SCHEMA:
        raise UnusableServerError(
            f"The keys under {key_prefix}: have format {schema} and this release reads {SCHEMA}: "
            "run the release that wrote them, or set another LEASE_KEY_PREFIX."
        )
    count = await _claim(batcher, meta, "partitions", partitions)
    if count != partitions:
        raise UnusableServerError(
            f"The keys under {key_prefix}: are divided into {count} partitions, "
            f"not {partitions}: set LEASE_PARTITIONS={count}, or another LEASE_KEY_PREFIX."
        )


async def _claim(batcher: Batcher, meta: str, field: str, value: int) -> int:
    """Write a field unless it is there, and return what it is: the first of several decides."""
    await batcher.command("HSETNX", meta, field, value)
    return int(await batcher.command("HGET", meta, field))
