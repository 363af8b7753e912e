"""Several servers, which are hurt: each test has its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.redis.address import Location
from service.redis.connect import open_nodes
from service.redis.nodes import Nodes
from tests.topology import ClusterServers, SentinelServers


@pytest.fixture
def cluster(short_folder: Path) -> Iterator[ClusterServers]:
    """Give three primaries and a replica of each."""
    with ClusterServers(short_folder) as servers:
        yield servers


@pytest.fixture
def sentinels(short_folder: Path) -> Iterator[SentinelServers]:
    """Give a primary, two replicas, and three Sentinels."""
    with SentinelServers(short_folder) as servers:
        yield servers


@pytest.fixture
async def cluster_nodes(cluster: ClusterServers) -> AsyncIterator[Nodes]:
    """Give the way to the cluster, for bookings that a replica has to have."""
    nodes = open_nodes(Location.read(cluster.url), durability="replicas=1")
    yield nodes
    await nodes.close()


@pytest.fixture
async def sentinel_nodes(sentinels: SentinelServers) -> AsyncIterator[Nodes]:
    """Give the way to the primary, for bookings that every replica has to have."""
    nodes = open_nodes(Location.read(sentinels.url), durability="replicas=1")
    yield nodes
    await nodes.close()
