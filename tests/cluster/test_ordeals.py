"""What happens to servers while Customers book: a slot moves, a primary is gone for good."""

from __future__ import annotations

import asyncio
from zlib import crc32

import pytest
from redis.crc import key_slot

from tests.cluster.crowd import CAPACITIES, Crowd
from tests.topology import until


async def test_a_slot_that_moves_loses_nothing(cluster, cluster_nodes) -> None:
    """Rule 8: while a partition moves to another node and back, no answered booking is lost."""
    seller = next(iter(CAPACITIES))
    slot = key_slot(b"{%d}" % (crc32(seller.encode()) % 64))
    async with Crowd(cluster_nodes).busy():
        home = cluster.owner(slot)
        [away, *_] = [member for member in cluster.primaries if member is not home]
        for target in (away, home):
            await asyncio.to_thread(cluster.move, slot, target)


@pytest.mark.parametrize(("hurt", "heal"), [("kill", "start"), ("pause", "resume")])
async def test_a_primary_of_a_cluster_that_is_replaced_loses_nothing_that_a_replica_has(
    cluster, cluster_nodes, hurt, heal
) -> None:
    """Rules 8 and 21: with `replicas=1` no answered booking is lost when a replica takes over."""
    victim, heir = cluster.primaries[0], cluster.replicas[0]
    async with Crowd(cluster_nodes).busy():
        await asyncio.to_thread(getattr(victim, hurt))
        await asyncio.to_thread(until, lambda: heir.info("replication")["role"] == "master")
        # It has no replica now: until the old primary is back as one, its bookings are 503. One
        # that hung believes for a moment that it still is the primary; but it has no replica.
        await asyncio.to_thread(getattr(victim, heal))


async def test_a_fail_over_by_sentinel_loses_nothing_that_a_replica_has(
    sentinels, sentinel_nodes
) -> None:
    """Rules 8 and 21: with `replicas=1` no answered booking is lost when a replica takes over."""
    victim = sentinels.primary()
    async with Crowd(sentinel_nodes).busy():
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(until, lambda: sentinels.primary() is not victim)
