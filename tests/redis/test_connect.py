from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from redis.asyncio import SSLConnection

from service.redis.address import Address, Location
from service.redis.batcher import Batcher
from service.redis.check import ServerInfo, _check_disk, _check_version, check_nodes
from service.redis.connect import connection_factory, redact
from service.redis.errors import NothingSentError, UnusableServerError
from tests.servers import RedisServer, free_port, redis_binary, valkey_binary


@asynccontextmanager
async def connected(url: str, *, deadline_seconds: float = 20) -> AsyncIterator[Batcher]:
    """Give a batcher, and close it in the end."""
    batcher = Batcher(connection_factory(url), deadline_seconds=deadline_seconds)
    try:
        yield batcher
    finally:
        await batcher.close()


async def check(url: str, *, durability: str = "memory") -> ServerInfo:
    """Check a server as the service does when it starts."""
    async with connected(url) as batcher:
        [server] = await check_nodes(batcher, durability=durability)
        return server


async def test_a_usable_server_is_named(redis_url: str) -> None:
    """A server that is fit is accepted, again at the next start, and named with its version."""
    server = await check(redis_url)
    assert server.name in {"Redis", "Valkey"}
    assert server.version[0].isdigit()
    assert await check(redis_url) == server


async def test_an_evicting_server_is_refused(short_folder: Path) -> None:
    """A server that may evict leases is refused, and nothing is written to it."""
    with RedisServer(valkey_binary(), short_folder, maxmemory_policy="allkeys-lru") as server:
        with pytest.raises(UnusableServerError, match=r"allkeys-lru.*set it to noeviction"):
            await check(server.url)
        async with connected(server.url) as batcher:
            assert await batcher.command("DBSIZE") == 0


async def test_durability_disk_needs_the_append_only_file(short_folder: Path) -> None:
    """Rule 21: with durability `disk`, only a server with the append-only file is accepted."""
    with (
        RedisServer(valkey_binary(), short_folder) as server,
        pytest.raises(UnusableServerError, match="append-only file"),
    ):
        await check(server.url, durability="disk")
    with RedisServer(valkey_binary(), short_folder, appendonly="yes") as server:
        await check(server.url, durability="disk")


def test_durability_disk_needs_a_server_that_confirms() -> None:
    """Rule 21: with durability `disk`, a Redis without WAITAOF is refused."""
    _check_disk(ServerInfo("Redis", "7.2.0"), {"aof_enabled": "1"})
    with pytest.raises(UnusableServerError, match=r"WAITAOF.*run Redis 7\.2"):
        _check_disk(ServerInfo("Redis", "7.0.15"), {"aof_enabled": "1"})


async def test_a_cluster_node_is_refused(short_folder: Path) -> None:
    """A node of a cluster is refused, since it knows only a part of the keys."""
    with (
        RedisServer(
            valkey_binary(),
            short_folder,
            cluster_enabled="yes",
            port=free_port(),
            cluster_port=free_port(),
        ) as server,
        pytest.raises(UnusableServerError, match=r"redis\+cluster://"),
    ):
        await check(server.url)


@pytest.mark.parametrize(
    "info",
    [
        {"redis_version": "6.2.14"},
        {"redis_version": "7.2.4", "valkey_version": "7.2.9"},
        {},
    ],
)
def test_an_old_server_is_refused(info: dict[str, str]) -> None:
    """Redis before 7.0 and Valkey before 8.0 are refused, with the versions that will do."""
    with pytest.raises(UnusableServerError, match=r"Redis 7\.0 or newer, or Valkey 8\.0"):
        _check_version(info)


@pytest.mark.parametrize(
    ("info", "server"),
    [
        ({"redis_version": "7.0.15"}, ServerInfo("Redis", "7.0.15")),
        ({"redis_version": "7.2.4", "valkey_version": "8.0.0"}, ServerInfo("Valkey", "8.0.0")),
        ({"redis_version": "8.2.0-rc1"}, ServerInfo("Redis", "8.2.0-rc1")),
        ({"redis_version": "10.0.1"}, ServerInfo("Redis", "10.0.1")),
    ],
)
def test_a_new_server_is_accepted(info: dict[str, str], server: ServerInfo) -> None:
    """The oldest supported version and everything newer is accepted."""
    assert _check_version(info) == server


async def test_user_and_password_over_tcp(short_folder: Path) -> None:
    """A user with a password that needs percent-encoding gets in, over TCP and the unix socket."""
    port = free_port()
    with RedisServer(
        valkey_binary(), short_folder, port=port, user="front on >p@ss/word:1 ~* &* +@all"
    ) as server:
        for url in (
            f"redis://front:p%40ss%2Fword%3A1@127.0.0.1:{port}",
            f"unix://front@{server.socket}?password=p%40ss%2Fword%3A1",
        ):
            async with connected(url) as batcher:
                assert await batcher.command("ACL", "WHOAMI") == b"front"
            await check(url)


@pytest.mark.parametrize(
    ("option", "reason"),
    [("?password=wr0ng", "invalid username-password"), ("", "Authentication required")],
)
async def test_a_wrong_password_is_refused(short_folder: Path, option: str, reason: str) -> None:
    """With a wrong password or none, the message gives Redis's reason and not the password."""
    with RedisServer(valkey_binary(), short_folder, requirepass="right") as server:
        async with connected(server.url + option, deadline_seconds=0.2) as batcher:
            with pytest.raises(NothingSentError, match=reason) as caught:
                await batcher.command("PING")
    assert "wr0ng" not in str(caught.value)


async def test_tls(short_folder: Path) -> None:
    """`rediss://` speaks TLS and believes only the authority that it was given."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not on the PATH, and the embedded Valkey has no TLS")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(short_folder / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(short_folder / "server.pem"))
    port = free_port()
    with RedisServer(
        binary,
        short_folder,
        tls_port=port,
        tls_cert_file=str(short_folder / "server.pem"),
        tls_key_file=str(short_folder / "server.pem"),
        tls_ca_cert_file=str(short_folder / "ca.pem"),
        tls_auth_clients="no",
    ):
        url = f"rediss://127.0.0.1:{port}/3"
        async with connected(f"{url}?ssl_ca_certs={short_folder / 'ca.pem'}") as batcher:
            assert await asyncio.gather(*(batcher.command("PING") for _ in range(3)))
            assert b" db=3 " in await batcher.command("CLIENT", "INFO")
        async with connected(url, deadline_seconds=2.0) as batcher:
            with pytest.raises(NothingSentError, match=r"(?i)certificate"):
                await batcher.command("PING")


async def test_connections_have_a_name(redis_url: str) -> None:
    """The operator can tell the service's connections from others."""
    async with connected(redis_url) as batcher:
        assert await batcher.command("CLIENT", "GETNAME") == b"lease-service"


async def test_options_of_the_address_cannot_change_how_it_is_used(redis_url: str) -> None:
    """Options that would make redis-py retry or decode by itself have no effect."""
    async with connected(
        f"{redis_url}?retry_on_timeout=true&decode_responses=true&protocol=3&socket_timeout=0.001"
    ) as batcher:
        assert await batcher.command("CONFIG", "GET", "maxmemory-policy") == [
            b"maxmemory-policy",
            b"noeviction",
        ]


@pytest.mark.parametrize(
    "url",
    [
        "unix+cluster://u:s3cret@one,two",
        "redis+ring://u:s3cret@one,two",
        "http://u:s3cret@one",
        "u:s3cret@one:6379",
    ],
)
def test_an_unsupported_address_is_refused(url: str) -> None:
    """An address of another kind is refused, with the kinds that there are and without secrets."""
    with pytest.raises(UnusableServerError, match="redis://, rediss:// or unix://") as caught:
        connection_factory(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:s3c/ret@one:6379",
        "redis://u:s3cret@one:no",
        "redis://u:s3cret@one?no_option=1",
        "redis+sentinel://u:s3cret@one,two",
        "redis+sentinel://u:s3cret@one,,two/name",
        "redis+cluster://u:s3cret@one:no",
        "redis+cluster://u:s3cret@one/0",
        "redis+cluster://u:s3cret@one?db=1",
        "redis+cluster://u:s3cret@one?no_option=1",
    ],
)
def test_an_unreadable_address_is_refused_without_secrets(url: str) -> None:
    """An address that cannot be read is refused; neither message nor cause shows the password."""
    with pytest.raises(UnusableServerError, match="cannot be read") as caught:
        connection_factory(url)
    assert "s3c" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "kind", "hosts", "name"),
    [
        (
            "redis+sentinel://u:p%2F@one,two:1,[::1]:2/main?sentinel_password=q&db=3",
            "sentinel",
            [("one", 26379), ("two", 1), ("::1", 2)],
            "main",
        ),
        ("redis+cluster://u:p%2F@one:1,two", "cluster", [("one", 1), ("two", 6379)], ""),
    ],
)
def test_several_servers_are_named_in_one_address(
    url: str, kind: str, hosts: list[tuple[str, int]], name: str
) -> None:
    """Sentinels have a password of their own; servers that are found share user and password."""
    location = Location.read(url)
    assert location.kind == kind
    assert location.hosts == hosts
    assert location.name == name
    found = location.servers.connect(Address("found", 7))
    assert "host=found,port=7" in repr(found)
    assert (found.username, found.password) == ("u", "p/")
    if kind == "sentinel":
        sentinel = location.sentinels.connect(location.hosts[0])
        assert (sentinel.username, sentinel.password) == (None, "q")
        assert (found.db, sentinel.db) == (3, 0)


@pytest.mark.parametrize("kind", ["sentinel://one/name", "cluster://one"])
def test_several_servers_over_tls(kind: str) -> None:
    """`rediss+…` is TLS to every server, with the options of the address."""
    location = Location.read(f"rediss+{kind}?ssl_ca_certs=ca.pem")
    for connector in (location.servers, location.sentinels):
        connection = connector.connect(Address("found", 7))
        assert isinstance(connection, SSLConnection)
        assert connection.ca_certs == "ca.pem"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://one:6379/0", "redis://one:6379/0"),
        ("rediss://u:s3cret@one:6379/0?ssl_ca_certs=x", "rediss://***@one:6379/0"),
        ("redis://:s3c@ret/?@one", "***"),
        ("redis://u:s3c@ret@one", "redis://***@one"),
        ("redis://u:s3cret?@one", "***"),
        ("unix:///run/redis.sock?password=s3cret", "unix:///run/redis.sock"),
        ("unix:///run/redis.sock?password=s3c@ret", "***"),
        ("s3cret", "***"),
    ],
)
def test_redact(url: str, shown: str) -> None:
    """What is shown of an address has no user, password or option in it."""
    assert redact(url) == shown


async def test_no_secret_in_a_repr() -> None:
    """Neither the factory nor the connection shows the password."""
    factory = connection_factory("redis://u:s3cret@one:6379")
    assert "s3cret" not in repr(factory)
    assert "s3cret" not in repr(factory())


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1/abc",
        "redis://127.0.0.1:1/-1",
        "redis://127.0.0.1:1/٣",
        "redis://127.0.0.1:1/1_0",
        "redis://127.0.0.1:1/0/1",
        "redis://127.0.0.1:1/?db=x",
        "redis://127.0.0.1:٣",
        "redis://127.0.0.1:0",
        "redis://127.0.0.1\n:1/0",
        "redis://127.0.0.1:1/0\n",
        "redis://u:secret\n@127.0.0.1:1/0",
        "redis://",
        "unix://",
        "unix://?db=0",
        "unix:///tmp/a\u2028b",
        "redis+sentinel://one/name?db=1_0",
        "redis+cluster://one:٣",
    ],
)
def test_an_address_that_says_something_else_is_refused(url: str) -> None:
    """What redis-py would read as database 0, or as the default address, is one line instead."""
    with pytest.raises(UnusableServerError, match="LEASE_REDIS_URL") as caught:
        Location.read(url)
    assert str(caught.value).isprintable()
    assert "secret" not in str(caught.value)
