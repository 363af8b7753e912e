"""The ledger over each kind of server, and over a cluster."""

from collections.abc import AsyncIterator, Callable

import pytest

from service.redis.address import Location
from service.redis.batcher import Batcher
from service.redis.connect import open_nodes
from tests.conftest import way_to
from tests.ledger.desk import Desk
from tests.ledger.whole import WholeCluster


@pytest.fixture(params=["fakeredis", "valkey", "redis", "cluster"])
async def batcher(request: pytest.FixtureRequest) -> AsyncIterator[Batcher | WholeCluster]:
    """Give the way to each kind of server in turn, and to a cluster, without keys or scripts."""
    way: Batcher | WholeCluster
    if request.param == "cluster":
        servers = request.getfixturevalue("cluster_servers")
        way = WholeCluster(open_nodes(Location.read(servers.url)))
    else:
        way = Batcher(way_to(request.param, request))
    await way.command("FLUSHALL")
    await way.command("SCRIPT", "FLUSH")
    yield way
    await way.close()


@pytest.fixture
def desk(batcher: Batcher | WholeCluster) -> Desk:
    """Give a booking desk with the default settings."""
    return Desk(batcher)


@pytest.fixture
def make_desk(batcher: Batcher | WholeCluster) -> Callable[..., Desk]:
    """Give desks with settings of the test's own."""
    return lambda **settings: Desk(batcher, **settings)
