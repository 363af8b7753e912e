"""How a call finds the node of its key, whatever is true of the cluster at that moment."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest
from redis.crc import key_slot

from service.ledger.feed_reads import Feed
from service.ledger.stored_format import server_check
from service.redis.address import Address, Location
from service.redis.call import Script
from service.redis.check import check_nodes, examine
from service.redis.connect import open_nodes
from service.redis.errors import NothingSentError, UnusableServerError
from service.redis.nodes import CLOCK_MARGIN_MICROSECONDS, Nodes, earliest_microseconds
from tests.servers import RedisServer, free_port, valkey_binary
from tests.topology import ClusterServers, Member, Sentinel, SentinelServers

PATIENT_SECONDS = 20.0
SET = Script.of("set", "return redis.call('SET', KEYS[1], ARGV[1])")
SET_BOTH = Script.of("both", "redis.call('SET', KEYS[1], 1) return redis.call('SET', KEYS[2], 1)")


@pytest.fixture
async def nodes(cluster_servers: ClusterServers) -> AsyncIterator[Nodes]:
    """Give the way to the cluster that all tests share, without keys."""
    nodes = open_nodes(Location.read(cluster_servers.url), deadline_seconds=PATIENT_SECONDS)
    await asyncio.gather(*(node.command("FLUSHALL") for node in await nodes.every()))
    yield nodes
    await nodes.close()


@pytest.fixture
async def on_its_way(nodes, cluster_servers) -> AsyncIterator[tuple[str, Member, Member]]:
    """Give a key tag whose slot is on its way from one node to another; it arrives in the end."""
    slot = key_slot(b"way")
    source = cluster_servers.owner(slot)
    [target, *_] = [member for member in cluster_servers.primaries if member is not source]
    # The map is known before.
    await nodes.of("{way}").command("SET", "{way}:there", 1)
    await asyncio.to_thread(cluster_servers.begin_to_move, slot, target)
    yield "{way}", source, target
    await asyncio.to_thread(cluster_servers.finish_moving, slot, source, target)


async def test_every_key_is_found(nodes) -> None:
    """Calls for keys all over the cluster are answered, and each node has some of the keys."""
    keys = [f"{{{number}}}" for number in range(100)]
    await asyncio.gather(*(nodes.of(key).call(SET, [key], [key]) for key in keys))
    found = await asyncio.gather(*(nodes.of(key).command("GET", key) for key in keys))
    assert found == [key.encode() for key in keys]
    sizes = await asyncio.gather(*(node.command("DBSIZE") for node in await nodes.every()))
    assert len(sizes) == 3
    assert all(sizes)


async def test_a_key_that_is_still_there_is_found(nodes, on_its_way) -> None:
    """A slot on its way is served by the node that has it, as long as its keys are there."""
    tag, source, _ = on_its_way
    assert await nodes.of(tag).command("INCR", f"{tag}:there") == 2
    assert source.client.get(f"{tag}:there") == b"2"


async def test_a_key_that_is_new_is_made_where_its_slot_goes(nodes, on_its_way) -> None:
    """A node that does not have the key any more, or not yet, says whom to ask instead."""
    tag, _, target = on_its_way
    new = [f"{tag}:{number}" for number in range(20)]
    await asyncio.gather(*(nodes.of(tag).call(SET, [key], [key]) for key in new))
    assert target.ask("CLUSTER", "COUNTKEYSINSLOT", key_slot(b"way")) == 20
    assert await nodes.of(tag).command("GET", new[0]) == new[0].encode()


async def test_keys_in_two_places_are_waited_for(nodes, on_its_way, cluster_servers) -> None:
    """A call whose keys are on both nodes is answered as soon as they are on one."""
    tag, source, target = on_its_way
    both = nodes.of(tag).call(SET_BOTH, [f"{tag}:there", f"{tag}:new"], [])
    # What was asked later is answered before, so that the other one was refused for now.
    assert await nodes.of(tag).command("GET", f"{tag}:there") == b"1"
    assert not both.done()
    await asyncio.to_thread(cluster_servers.finish_moving, key_slot(b"way"), source, target)
    assert await both == b"OK"
    assert target.client.get(f"{tag}:new") == b"1"


async def test_nothing_is_sent_where_no_node_answers() -> None:
    """Rule 25: without a cluster every call, and the check, says that nothing changed."""
    place = f"127.0.0.1:{free_port()}"
    nodes = open_nodes(Location.read(f"redis+cluster://{place}"), deadline_seconds=0.3)
    with pytest.raises(NothingSentError):
        await nodes.of("k").command("SET", "k", 1)
    with pytest.raises(NothingSentError, match="out of reach"):
        await nodes.every()
    await nodes.close()


async def test_a_slot_that_nobody_has_is_refused(short_folder: Path) -> None:
    """Rule 25: a cluster that is not whole refuses what it lacks, and says so."""
    with Member(short_folder / "one", cluster_enabled="yes", cluster_port=free_port()) as member:
        member.ask("CLUSTER", "ADDSLOTSRANGE", 0, 100)
        nodes = open_nodes(
            Location.read(f"redis+cluster://127.0.0.1:{member.port}"), deadline_seconds=0.3
        )
        with pytest.raises(NothingSentError, match="No node of the Redis Cluster has the keys"):
            await nodes.of("k").command("SET", "k", 1)
        await nodes.close()


async def test_the_keys_of_a_cluster_are_claimed_once(nodes, cluster_servers) -> None:
    """Each node is checked, and the number of partitions stays what it was at the first start."""
    location = Location.read(cluster_servers.url)
    servers = await examine(location, server_check(location, key_prefix="lease", partitions=64))
    assert [server.name for server in servers] == ["Valkey"] * 3
    with pytest.raises(UnusableServerError, match="set LEASE_PARTITIONS=64"):
        await examine(location, server_check(location, key_prefix="lease", partitions=32))


@pytest.fixture
def user(cluster_servers) -> Iterator[Callable[..., None]]:
    """Give what makes a user of the cluster, or changes it, on some nodes."""

    def change(members: Sequence[Member], *rights: str) -> None:
        for member in members:
            member.ask("ACL", "SETUSER", "lease", "on", ">word", "~lease:*", *rights)

    yield change
    for member in cluster_servers.members:
        member.ask("ACL", "DELUSER", "lease")


async def test_each_node_of_a_cluster_is_asked_for_the_rights(
    cluster_servers, user, nodes
) -> None:
    """Rule 25: one node that denies one command is refused, and nothing is left of asking."""
    location = Location.read(cluster_servers.url.replace("://", "://lease:word@"))
    check = server_check(location, key_prefix="lease", partitions=64)
    user(cluster_servers.members, "+@all")
    await examine(location, check)
    user(cluster_servers.primaries[1:2], "-zadd")
    with pytest.raises(UnusableServerError, match=r"give it \+zadd with ACL SETUSER"):
        await examine(location, check)
    user(cluster_servers.members, "+zadd", "-cluster")
    with pytest.raises(UnusableServerError, match="no permissions to run the 'cluster"):
        await examine(location, check)
    sizes = await asyncio.gather(*(node.command("DBSIZE") for node in await nodes.every()))
    assert sum(sizes) == 1


async def test_one_unfit_node_is_enough_to_refuse(nodes, cluster_servers) -> None:
    """A cluster of which one node may evict leases is refused."""
    odd = cluster_servers.primaries[1]
    odd.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(UnusableServerError, match="set it to noeviction"):
            await check_nodes(nodes, is_cluster=True)
    finally:
        odd.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_a_replica_that_cannot_take_over_is_refused(sentinels: SentinelServers) -> None:
    """A replica that may evict leases is refused at the start; one that is away is not."""
    location = Location.read(sentinels.url)
    check = server_check(location, key_prefix="lease", partitions=64)
    look = functools.partial(examine, location, check)
    _, odd, away = sentinels.members
    away.kill()
    [server] = await look()
    assert Address("127.0.0.1", odd.port) in server.replicas
    odd.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(UnusableServerError, match=rf"{odd.port} cannot take over.*noeviction"):
        await look()


async def test_a_server_that_is_no_cluster_is_refused(short_folder: Path) -> None:
    """An address that calls a single server a cluster is refused, with the right one."""
    port = free_port()
    with RedisServer(valkey_binary(), short_folder, port=port):
        nodes = open_nodes(Location.read(f"redis+cluster://127.0.0.1:{port}"))
        with pytest.raises(UnusableServerError, match="begin LEASE_REDIS_URL with redis://"):
            await check_nodes(nodes, is_cluster=True)
        await nodes.close()


async def test_a_page_of_the_feed_ends_a_little_before_now(nodes) -> None:
    """Rule 22: what a node with a slower clock will write lies behind what was read."""
    before = await earliest_microseconds(nodes)
    end = await Feed(nodes, key_prefix="lease", partitions=64).end()
    assert end.modified <= await earliest_microseconds(nodes) - CLOCK_MARGIN_MICROSECONDS
    assert end.modified >= before - CLOCK_MARGIN_MICROSECONDS


async def test_the_primary_is_found_by_its_name(sentinels: SentinelServers) -> None:
    """The Sentinels are asked who the primary is; one that is away, or lags, does not matter."""
    sentinels.sentinels[0].kill()
    nodes = open_nodes(Location.read(sentinels.url))
    assert await nodes.of("k").command("SET", "k", "word") == b"OK"
    assert sentinels.members[0].client.get("k") == b"word"
    await nodes.close()


async def test_a_name_that_no_sentinel_knows_is_told(short_folder: Path) -> None:
    """Rule 25: nothing is sent where no primary has the name, and the message has it."""
    with Sentinel(short_folder / "one") as sentinel:
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/spaecs"
        nodes = open_nodes(Location.read(url), deadline_seconds=0.3)
        with pytest.raises(NothingSentError, match="No Sentinel knows the primary of spaecs"):
            await nodes.of("k").command("PING")
        await nodes.close()
