"""Rule 25: what is behind a new connection is looked at, whatever it was before."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from service.ledger.scripts import load_scripts
from service.ledger.stored_format import COMMANDS, server_check
from service.redis.address import Location
from service.redis.batcher import Batcher
from service.redis.call import Script
from service.redis.check import examine
from service.redis.connect import connection_factory, open_nodes
from service.redis.errors import NothingSentError, UnusableServerError
from service.redis.nodes import Nodes
from tests.process.program import ROOT
from tests.servers import RedisServer, free_port, redis_binary, valkey_binary
from tests.topology import SentinelServers

USER = ("on", ">word", "resetkeys", "~lease:*", "-@all", "+@all")
HALF = Script.of(
    "half", "redis.call('INCR', KEYS[1]) return redis.call('ZADD', KEYS[2], 1, 'member')"
)
KEYS = ("lease:count", "lease:list")


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest, short_folder: Path) -> Iterator[RedisServer]:
    """Give a server of the test's own, of each kind in turn."""
    binary = valkey_binary() if request.param == "valkey" else redis_binary()
    if binary is None:
        pytest.skip("redis-server is not on the PATH")
    with RedisServer(binary, short_folder, appendonly="yes") as server:
        yield server


@pytest.fixture
async def operator(server: RedisServer) -> AsyncIterator[Batcher]:
    """Give the operator's connection, and a user `lease` that may do all with its keys."""
    batcher = Batcher(connection_factory(server.url))
    await batcher.command("ACL", "SETUSER", "lease", *USER)
    yield batcher
    await batcher.close()


def located(server: RedisServer) -> Location:
    """Return where the user `lease` finds the server."""
    return Location.read(server.url.replace("://", "://lease:word@"))


def opened(location: Location, durability: str = "memory") -> Nodes:
    """Return a service's way to its servers."""
    check = server_check(location, key_prefix="lease", partitions=64, durability=durability)
    return open_nodes(location, durability=durability, check_server=check)


@pytest.fixture
async def nodes(server: RedisServer, operator: Batcher) -> AsyncIterator[Nodes]:
    """Give a service's way to the server, which is connected."""
    nodes = opened(located(server))
    await nodes.of("").command("PING")
    yield nodes
    await nodes.close()


async def cut(operator: Batcher) -> None:
    """Cut the service's connections."""
    await operator.command("CLIENT", "KILL", "USER", "lease")


@pytest.mark.parametrize(
    ("change", "reason", "remedy"),
    [
        (
            ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"),
            "set it to noeviction",
            ("CONFIG", "SET", "maxmemory-policy", "noeviction"),
        ),
        (
            ("HSET", "lease:meta", "partitions", "32"),
            "set LEASE_PARTITIONS=32",
            ("HSET", "lease:meta", "partitions", "64"),
        ),
        (
            ("HSET", "lease:meta", "schema", "9"),
            "have format 9",
            ("DEL", "lease:meta"),
        ),
    ],
)
async def test_a_server_that_became_unfit_is_refused_until_it_is_fit(
    operator: Batcher, nodes: Nodes, change: Sequence[str], reason: str, remedy: Sequence[str]
) -> None:
    """After a new connection no call reaches a server that would be refused at start-up."""
    await operator.command(*change)
    assert await nodes.of("").command("PING") == b"PONG"
    await cut(operator)
    for _ in range(2):
        with pytest.raises(UnusableServerError, match=reason):
            await nodes.of("").command("SET", "lease:word", 1)
    await operator.command(*remedy)
    assert await nodes.of("").command("SET", "lease:word", 1) == b"OK"
    assert await operator.command("HMGET", "lease:meta", "schema", "partitions") == [b"1", b"64"]


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
async def test_a_file_that_was_switched_off_is_noticed(
    server: RedisServer, operator: Batcher
) -> None:
    """Rule 21: durability `disk` is not answered for by a server that lost its file."""
    nodes = opened(located(server), "disk")
    assert await nodes.confirming("").command("SET", "lease:word", 1) == b"OK"
    await operator.command("CONFIG", "SET", "appendonly", "no")
    await cut(operator)
    with pytest.raises(UnusableServerError, match="append-only file"):
        await nodes.confirming("").command("SET", "lease:word", 1)
    await nodes.close()


async def test_another_server_in_its_place_is_looked_at(short_folder: Path) -> None:
    """A server that is put where a fit one was is not taken for that one."""
    first = RedisServer(valkey_binary(), short_folder)
    with first:
        nodes = opened(Location.read(first.url))
        assert await nodes.of("").command("PING") == b"PONG"
    second = RedisServer(valkey_binary(), short_folder, maxmemory_policy="volatile-ttl")
    with second, pytest.raises(UnusableServerError, match="volatile-ttl"):
        await nodes.of("").command("SET", "lease:word", 1)
    await nodes.close()


async def test_a_replica_gets_no_call_until_it_is_promoted(
    operator: Batcher, server: RedisServer
) -> None:
    """A replica may lag behind: not even what only reads is asked of it."""
    nodes = opened(located(server))
    await operator.command("REPLICAOF", "127.0.0.1", free_port())
    with pytest.raises(NothingSentError, match="is a replica"):
        await nodes.of("").command("GET", "lease:word")
    await operator.command("REPLICAOF", "NO", "ONE")
    assert await nodes.of("").command("GET", "lease:word") is None
    await nodes.close()


@pytest.mark.parametrize("name", [*(line.split()[0].lower() for line in COMMANDS), "info"])
async def test_a_right_that_is_missing_is_named_at_the_start(
    server: RedisServer, operator: Batcher, name: str
) -> None:
    """Each command that the service needs is asked for, and nothing is left of asking."""
    await operator.command("ACL", "SETUSER", "lease", f"-{name}")
    with pytest.raises(UnusableServerError, match=rf"give it \+{name} with ACL SETUSER"):
        await opened(located(server)).of("").command("GET", "lease:word")
    assert await operator.command("KEYS", "*") == []


@pytest.mark.parametrize(
    ("rights", "named"),
    [
        (("-@scripting",), r"\+eval \+evalsha"),
        (("-eval",), r"\+eval"),
        (("-evalsha",), r"\+evalsha"),
        (("-zadd", "-hset", "-time"), r"\+hset \+time \+zadd"),
        (("resetkeys", "~other:*"), r"~lease:\*"),
        (("resetkeys", "%R~lease:*"), r"~lease:\*"),
        (("-@all", "+@connection"), r"\+info"),
    ],
)
async def test_all_rights_that_are_missing_are_named_together(
    server: RedisServer, operator: Batcher, rights: Sequence[str], named: str
) -> None:
    """An operator who follows the message is done."""
    await operator.command("ACL", "SETUSER", "lease", *rights)
    location = located(server)
    with pytest.raises(UnusableServerError, match=rf"give it {named} with"):
        await examine(location, server_check(location, key_prefix="lease", partitions=64))


@pytest.mark.parametrize(
    ("server", "durability", "name"),
    [
        ("valkey", "disk", "waitaof"),
        ("valkey", "replicas=1", "wait"),
        ("redis", "replicas=1", "wait"),
    ],
    indirect=["server"],
)
async def test_the_right_to_wait_for_a_confirmation_is_needed(
    server: RedisServer, operator: Batcher, durability: str, name: str
) -> None:
    """Rule 21: whoever is to wait for the disk or for replicas needs the right to."""
    await operator.command("ACL", "SETUSER", "lease", f"-{name}")
    nodes = opened(located(server), durability)
    with pytest.raises(UnusableServerError, match=rf"\+{name}"):
        await nodes.of("").command("PING")
    await nodes.close()


async def test_a_right_that_is_taken_away_is_named(operator: Batcher, nodes: Nodes) -> None:
    """Within a script, and outside of one, what a user may no longer do is said by name."""
    node = nodes.of("")
    assert await node.call(HALF, KEYS, []) == 1
    await operator.command("ACL", "SETUSER", "lease", "-zadd", "-get")
    for call in (node.call(HALF, KEYS, []), node.command("GET", "lease:word")):
        with pytest.raises(UnusableServerError, match=r"\+get .*\+zadd"):
            await call
    await operator.command("ACL", "SETUSER", "lease", "+zadd", "+get")
    assert await node.call(HALF, KEYS, []) == 0
    assert await node.command("GET", "lease:word") is None


async def test_a_right_that_nobody_asked_for_is_named_too(operator: Batcher, nodes: Nodes) -> None:
    """What a user may not do is its own kind of error, also where no check looks for it."""
    await operator.command("ACL", "SETUSER", "lease", "-incr")
    for call in (nodes.of("").call(HALF, KEYS, []), nodes.of("").command("INCR", "lease:n")):
        with pytest.raises(UnusableServerError, match=r"can't run|'incr'"):
            await call
    assert await nodes.of("").command("PING") == b"PONG"


async def test_every_command_that_is_sent_is_asked_for(operator: Batcher) -> None:
    """What the scripts, and the code beside them, do with Redis is all in the list of rights."""
    scripts = "".join(script.source for script in load_scripts().values())
    code = "".join(path.read_text() for path in (ROOT / "service" / "ledger").glob("*.py"))
    words = {*re.findall(r"\('([A-Z]+)'", scripts), *re.findall(r'"([A-Z]+)"', code)}
    known = {name.decode().upper() for name in await operator.command("COMMAND", "LIST")}
    asked = {line.split()[0] for line in COMMANDS}
    assert (words & known) - asked == {"SCAN", "DBSIZE"}, "only `verify` scans"
    assert asked <= words


async def test_sentinels_and_servers_tell_which_right_is_missing(short_folder: Path) -> None:
    """Rule 25: behind Sentinels too a right that is missing ends the start, by its name."""
    with SentinelServers(short_folder) as servers:
        location = Location.read(servers.url.replace("://", "://lease:word@"))
        check = server_check(location, key_prefix="lease", partitions=64)
        for right in ("zadd", "role"):
            for member in servers.members:
                member.ask("ACL", "SETUSER", "lease", *USER, f"-{right}")
            with pytest.raises(UnusableServerError, match=right):
                await examine(location, check)
        for sentinel in servers.sentinels:
            sentinel.ask("ACL", "SETUSER", "default", "-sentinel")
        with pytest.raises(UnusableServerError, match="sentinel"):
            await examine(location, check)
