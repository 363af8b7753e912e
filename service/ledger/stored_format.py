"""The version of what is stored, and the number of its partitions: the first start decides."""

from __future__ import annotations

from typing import Final

from service.redis.errors import UnusableServerError
from service.redis.nodes import Node, Nodes

SCHEMA: Final = 1
"""The version of the stored format, so that two releases never misread each other's keys."""


async def claim_keys(nodes: Nodes, *, key_prefix: str, partitions: int) -> None:
    """Claim the keys for this format and this number of partitions, unless others have them.

    Args:
        nodes: The way to Redis.
        key_prefix: First part of every key; `<key_prefix>:meta` remembers both.
        partitions: Into how many partitions the keys are divided.

    Raises:
        UnusableServerError: With one line that says what to change.
        StoreError: Redis does not answer.

    """
    meta = f"{key_prefix}:meta"
    node = nodes.of(meta)
    schema = await _claim(node, meta, "schema", SCHEMA)
    if schema != SCHEMA:
        raise UnusableServerError(
            f"The keys under {key_prefix}: have format {schema} and this release reads {SCHEMA}: "
            "run the release that wrote them, or set another LEASE_KEY_PREFIX."
        )
    count = await _claim(node, meta, "partitions", partitions)
    if count != partitions:
        raise UnusableServerError(
            f"The keys under {key_prefix}: are divided into {count} partitions, "
            f"not {partitions}: set LEASE_PARTITIONS={count}, or another LEASE_KEY_PREFIX."
        )


async def _claim(node: Node, meta: str, field: str, value: int) -> int:
    """Write a field unless it is there, and return what it is: the first of several decides."""
    await node.command("HSETNX", meta, field, value)
    return int(await node.command("HGET", meta, field))
