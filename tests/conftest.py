"""Servers and connections that every ring of tests may ask for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from fakeredis import FakeAsyncRedis, FakeServer

from service.redis.batcher import Batcher
from service.redis.connect import ConnectionFactory, connection_factory
from tests.servers import RedisServer, redis_binary, valkey_binary
from tests.topology import ClusterServers

pytest_plugins = ["tests.plugins.counts"]

ALONE = {"browser", "cluster", "faults"}
"""Rings whose tests keep to one process: they kill servers, or wait for what a page shows."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of some rings apart when tests run side by side."""
    for item in items:
        if item.path.parent.name in ALONE:
            item.add_marker(pytest.mark.xdist_group("alone"))


def make_short_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder whose path is short enough for a unix socket; pytest's own is not always."""
    return tempfile.TemporaryDirectory(prefix="lease-")


@pytest.fixture
def curl() -> str:
    """Give the program that the pasteable calls are written for."""
    found = shutil.which("curl")
    if found is None:
        pytest.skip("curl is not on the PATH")
    return found


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Give a folder whose path is short enough for a unix socket."""
    with make_short_folder() as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[RedisServer]:
    """Give the embedded Valkey, started once for all tests."""
    with make_short_folder() as folder, RedisServer(valkey_binary(), Path(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Give the installed Redis, started once for all tests."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not on the PATH")
    with make_short_folder() as folder, RedisServer(binary, Path(folder)) as server:
        yield server


@pytest.fixture(params=["valkey", "redis"])
def redis_url(request: pytest.FixtureRequest) -> str:
    """Give the address of each real server in turn; the keys of other tests may be there."""
    server: RedisServer = request.getfixturevalue(f"{request.param}_server")
    return server.url


@pytest.fixture(scope="session")
def cluster_servers() -> Iterator[ClusterServers]:
    """Give a cluster of three nodes, started once for all tests."""
    with make_short_folder() as folder, ClusterServers(Path(folder), replicas=False) as servers:
        yield servers


def way_to(kind: str, request: pytest.FixtureRequest) -> ConnectionFactory:
    """Return what makes connections to a kind of server: `fakeredis`, `valkey` or `redis`."""
    if kind == "fakeredis":
        fake = FakeAsyncRedis(server=FakeServer(), protocol=2)
        factory: ConnectionFactory = fake.connection_pool.make_connection
        return factory
    server: RedisServer = request.getfixturevalue(f"{kind}_server")
    return connection_factory(server.url)


@pytest.fixture(params=["fakeredis", "valkey", "redis"])
def make_connection(request: pytest.FixtureRequest) -> ConnectionFactory:
    """Give the way to each kind of server in turn."""
    return way_to(request.param, request)


@pytest.fixture
async def batcher(make_connection: ConnectionFactory) -> AsyncIterator[Batcher]:
    """Give a batcher on each kind of server in turn, without keys or scripts."""
    batcher = Batcher(make_connection)
    await batcher.command("FLUSHALL")
    await batcher.command("SCRIPT", "FLUSH")
    yield batcher
    await batcher.close()
