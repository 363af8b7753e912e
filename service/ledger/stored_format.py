"""The version of what is stored, and the number of its partitions: the first start decides."""

from __future__ import annotations

import functools
import re
from typing import Final

from service.redis.address import Location
from service.redis.check import Commands, ServerCheck
from service.redis.errors import ERROR_REPLIES, MisuseError, UnusableServerError

SCHEMA: Final = 1
"""The version of the stored format, so that two releases never misread each other's keys."""

_NUMBER: Final = re.compile(rb"\d{1,9}")

COMMANDS: Final = (
    "HSETNX {key} field value",
    "DEL {key}",
    "UNLINK {key}",
    "EXISTS {key}",
    "EXPIRE {key} 1",
    "EXPIREAT {key} 1",
    "EXPIRETIME {key}",
    "GET {key}",
    "GETRANGE {key} 0 0",
    "HDEL {key} field",
    "HGET {key} field",
    "HGETALL {key}",
    "HINCRBY {key} field no-number",
    "HLEN {key}",
    "HMGET {key} field",
    "HSET {key} field value no-value",
    "HVALS {key}",
    "PING",
    "SET {key} value XX",
    "TIME",
    "ZADD {key} no-number member",
    "ZCARD {key}",
    "ZCOUNT {key} 0 0",
    "ZRANGE {key} 0 0",
    "ZRANGEBYSCORE {key} 0 0",
    "ZREM {key} member",
    "ZREMRANGEBYRANK {key} 0 0",
    "ZREVRANGE {key} 0 0",
    "ZSCAN {key} 0",
    "ZSCORE {key} member",
)
"""What the service and its scripts do with Redis, each in a way that changes nothing: the only one
that has to write is first, and the next deletes what it wrote."""


def server_check(
    redis: Location, *, key_prefix: str, partitions: int, durability: str = "memory"
) -> ServerCheck:
    """Return what is looked at behind every connection.

    Args:
        redis: Where the servers are.
        key_prefix: First part of every key.
        partitions: Into how many partitions the keys are divided.
        durability: `memory`, `disk` or `replicas=N`.

    """
    return ServerCheck(
        key_prefix=key_prefix,
        commands=COMMANDS,
        claim=functools.partial(claim_keys, key_prefix=key_prefix, partitions=partitions),
        durability=durability,
        is_cluster=redis.kind == "cluster",
    )


async def claim_keys(server: Commands, *, key_prefix: str, partitions: int) -> None:
    """Claim the keys for this format and this number of partitions, unless others have them.

    Args:
        server: The one that has the keys.
        key_prefix: First part of every key; `<key_prefix>:meta` remembers both.
        partitions: Into how many partitions the keys are divided.

    Raises:
        UnusableServerError: With one line that says what to change.
        StoreError: The server does not answer.

    """
    meta = f"{key_prefix}:meta"
    schema = await _claim(server, meta, "schema", SCHEMA)
    if schema != SCHEMA:
        raise UnusableServerError(
            f"The keys under {key_prefix}: have format {schema} and this release reads {SCHEMA}: "
            "run the release that wrote them, or set another LEASE_KEY_PREFIX."
        )
    count = await _claim(server, meta, "partitions", partitions)
    if count != partitions:
        raise UnusableServerError(
            f"The keys under {key_prefix}: are divided into {count} partitions, "
            f"not {partitions}: set LEASE_PARTITIONS={count}, or another LEASE_KEY_PREFIX."
        )


async def _claim(server: Commands, meta: str, field: str, value: int) -> int:
    """Return what a field is, and write it if it is not there: the first of several decides."""
    try:
        # A server that is full is still read.
        kept = await server.command("HGET", meta, field)
        if kept is None:
            await server.command("HSETNX", meta, field, value)
            kept = await server.command("HGET", meta, field)
    except (MisuseError, *ERROR_REPLIES) as error:
        if "WRONGTYPE" not in str(error):
            raise
        kept = b""
    if not _NUMBER.fullmatch(kept):
        raise UnusableServerError(
            f"The key {meta} does not say the {field} of what is stored: restore it from a backup,"
            " or set another LEASE_KEY_PREFIX."
        )
    return int(kept)
