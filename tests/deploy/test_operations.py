"""docs/operations.md: what it names exists, and what it says to do works."""

import asyncio
import contextlib
import re
import shutil
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.ledger.stored_format import SCHEMA
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.settings import describe
from tests.ledger import stored_format
from tests.polling import eventually as eventually_async
from tests.process.program import ITEMS, OPPORTUNITY, ROOT, Program, environment, eventually, run
from tests.servers import RedisServer, free_port, redis_binary, valkey_binary
from tests.topology import SentinelServers

PAGE = (ROOT / "docs" / "operations.md").read_text()
PASSWORD = uuid.uuid4().hex
MINE = f"?id={OPPORTUNITY}"


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest, short_folder: Path) -> Iterator[RedisServer]:
    """Give a server of the test's own, of each kind in turn."""
    binary = valkey_binary() if request.param == "valkey" else redis_binary()
    if binary is None:
        pytest.skip("redis-server is not on the PATH")
    folder = short_folder / "redis"
    folder.mkdir()
    # Whoever asks for a snapshot would wait for others who might.
    with RedisServer(binary, folder, appendonly="yes", repl_diskless_sync_delay=0) as server:
        yield server


@pytest.fixture
def redis_cli() -> str:
    """Give the program that the page's commands are written for."""
    found = shutil.which("redis-cli")
    if found is None:
        pytest.skip("redis-cli is not on the PATH")
    return found


@contextlib.asynccontextmanager
async def connected(server: RedisServer):
    """Give a batcher on a server."""
    batcher = Batcher(connection_factory(server.url))
    try:
        yield batcher
    finally:
        await batcher.close()


def test_settings_that_are_named_exist() -> None:
    """Every `LEASE_` variable of the page is a setting."""
    named = {*re.findall(r"\bLEASE_[A-Z_]+\b", PAGE)}
    assert named
    assert named <= {setting.variable for setting in describe()}


async def test_the_access_list_is_enough(short_folder: Path, server: RedisServer) -> None:
    """A service whose Redis user has the page's rights does all it does, and is denied nothing."""
    durability = "disk" if server.binary == valkey_binary() else "memory"
    async with connected(server) as operator:
        await operator.command(*rights())
        await nothing_is_denied(
            short_folder,
            operator,
            LEASE_REDIS_URL=f"unix://lease:{PASSWORD}@{server.socket}",
            LEASE_DURABILITY=durability,
        )


async def test_the_access_list_is_enough_for_a_cluster(short_folder: Path) -> None:
    """With what the page adds for a cluster, a node of one denies nothing either."""
    folder, port = short_folder / "redis", free_port()
    folder.mkdir()
    [more] = re.findall(r"On a cluster it needs `(\S+)`", PAGE)
    config = {"port": port, "cluster_port": free_port()}
    with RedisServer(valkey_binary(), folder, cluster_enabled="yes", **config) as node:
        async with connected(node) as operator:
            await operator.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            await operator.command(*rights(), more)

            async def is_ready() -> bool:
                return b"cluster_state:ok" in await operator.command("CLUSTER", "INFO")

            await eventually_async(is_ready)
            url = f"redis+cluster://lease:{PASSWORD}@127.0.0.1:{port}"
            await nothing_is_denied(short_folder, operator, LEASE_REDIS_URL=url)


async def test_the_access_list_is_enough_behind_sentinels(short_folder: Path) -> None:
    """With what the page adds for Sentinels, the primary that they name denies nothing either."""
    [more] = re.findall(r"behind Sentinels `(\S+)`", PAGE)
    with SentinelServers(short_folder) as servers:
        for member in servers.members:
            member.ask(*rights(), more)
        async with connected(servers.primary()) as operator:
            url = servers.url.replace("://", f"://lease:{PASSWORD}@")
            await nothing_is_denied(short_folder, operator, LEASE_REDIS_URL=url)


def rights() -> list[str]:
    """Return the page's command that makes the service's user, with a password."""
    [line] = re.findall(r"^ACL SETUSER .+$", PAGE, re.MULTILINE)
    return str(line).replace("PASSWORD", PASSWORD).split()


async def nothing_is_denied(folder: Path, operator: Batcher, **settings: str) -> None:
    """Let the service do all it does, as the user of its address; Redis must deny it nothing."""
    settings |= {
        "LEASE_WEBHOOK_URL": "http://127.0.0.1:9/nobody",
        "LEASE_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }

    async def is_counted() -> bool:
        return bool(await operator.command("KEYS", "lease:conflicts:*"))

    with Program(folder, **settings) as program:
        do_everything(program)
        await eventually_async(is_counted)
        verified = run(folder, "verify", "--repair", **settings)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert program.stop() == 0
    assert await operator.command("ACL", "LOG") == []


def do_everything(program: Program) -> None:
    """Make every call that reaches Redis; each must be answered as it should."""
    booked, quoted, proposed, late = (str(uuid.uuid4()) for _ in range(4))
    sold = [{"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 3}]
    cancelled = {"position": 0, "orderItemStatus": "https://openactive.io/CustomerCancelled"}
    accepted = {"orderProposalStatus": "https://openactive.io/SellerAccepted"}
    calls: tuple[tuple[str, str, object, int], ...] = (
        ("PUT", "/opportunities", sold, 200),
        ("PUT", "/sellers", {"leasing": {"maximumLeases": 100}}, 200),
        ("PUT", f"/order-quote-templates/{booked}", ITEMS, 200),
        ("PUT", f"/order-quotes/{booked}", ITEMS, 200),
        ("PUT", f"/order-quotes/{booked}/payment-window", {"duration": "PT2M"}, 200),
        ("PUT", f"/orders/{booked}", ITEMS, 201),
        ("PUT", f"/order-quotes/{quoted}", ITEMS, 200),
        ("PUT", f"/order-proposals/{proposed}", ITEMS, 201),
        ("PUT", f"/order-quotes/{late}", ITEMS, 409),
        ("PATCH", f"/order-proposals/{proposed}", accepted, 204),
        ("PUT", f"/orders/{proposed}", {}, 201),
        ("PATCH", f"/orders/{proposed}", {"orderedItem": [cancelled]}, 204),
        ("DELETE", f"/orders/{proposed}", None, 204),
        ("GET", f"/orders/{booked}", None, 200),
        ("GET", f"/order-quotes/{quoted}", None, 200),
        ("GET", f"/opportunities{MINE}", None, 200),
        ("GET", "/sellers", None, 200),
        ("GET", "/capacity-feed", None, 200),
        ("GET", "/dashboard/data/opportunities?seller=default", None, 200),
        ("GET", f"/dashboard/data/opportunity{MINE}&seller=default", None, 200),
        ("GET", "/dashboard/data/pulse", None, 200),
        ("DELETE", f"/order-quotes/{quoted}", None, 204),
        ("DELETE", f"/opportunities{MINE}", None, 204),
    )
    for method, path, body, status in calls:
        assert program.call(method, path, body).status == status, (method, path)
    eventually(lambda: program.answers("/readyz", 200))


async def test_a_full_redis_is_told_from_one_that_is_away(
    short_folder: Path, server: RedisServer
) -> None:
    """Full, it is up and every lease is a 503; with more memory it goes on."""
    sold = [{"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 1}]
    path = f"/order-quotes/{uuid.uuid4()}"
    async with connected(server) as operator:
        with Program(short_folder, LEASE_REDIS_URL=server.url) as program:
            assert program.call("PUT", "/opportunities", sold).status == 200
            await operator.command("CONFIG", "SET", "maxmemory", "1mb")
            assert program.call("PUT", path, ITEMS).status == 503
            assert program.call("GET", "/readyz").body["components"] == {"redis": "up"}
            assert program.call("GET", f"/opportunities{MINE}").body[0]["leased"] == 0
            await operator.command("CONFIG", "SET", "maxmemory", "0")
            assert program.call("PUT", path, ITEMS).status == 200


async def test_a_backup_is_restored(
    short_folder: Path, server: RedisServer, redis_cli: str
) -> None:
    """The page's steps lead from a snapshot to a server with the same data in its own file."""
    backup = short_folder / "backup.rdb"
    [command] = re.findall(r"^redis-cli (--rdb) (\S+)$", PAGE, re.MULTILINE)
    async with connected(server) as batcher:
        await stored_format.load(batcher, stored_format.read(SCHEMA))
        before = await stored_format.dump(batcher)
    save = [redis_cli, "-s", str(server.socket), command[0], str(backup)]
    await asyncio.to_thread(subprocess.run, save, check=True, capture_output=True)

    folder = short_folder / "restored"
    folder.mkdir()
    backup.rename(folder / "dump.rdb")
    with RedisServer(server.binary, folder, appendonly="no") as restored:
        async with connected(restored) as batcher:
            await batcher.command("CONFIG", "SET", "appendonly", "yes")

            async def is_written() -> bool:
                told = await batcher.command("INFO", "persistence")
                done = (b"aof_rewrite_in_progress:0", b"aof_last_bgrewrite_status:ok")
                return b"aof_enabled:1" in told and all(each in told for each in done)

            await eventually_async(is_written)
    with RedisServer(server.binary, folder, appendonly="yes") as restarted:
        async with connected(restarted) as batcher:
            assert await stored_format.dump(batcher) == before


def test_a_file_that_ends_in_zeros_is_mended(short_folder: Path) -> None:
    """The embedded Valkey refuses its file, and names the page; after its steps all is there."""
    order = uuid.uuid4()
    sold = [{"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 1}]
    with Program(short_folder, LEASE_DURABILITY="disk") as program:
        assert program.call("PUT", "/opportunities", sold).status == 200
        assert program.call("PUT", f"/orders/{order}", ITEMS).status == 201
    with (short_folder / "data/appendonlydir/appendonly.aof.1.incr.aof").open("ab") as file:
        file.write(bytes(4096))
    refused = run(short_folder)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert "docs/operations.md" in refused.stderr

    section = PAGE.partition("### A file that ends in zeros\n")[2]
    steps = textwrap.dedent(section.partition("```bash\n")[2].partition("```")[0])
    ended = subprocess.run(
        ["/bin/sh", "-euc", steps],
        cwd=short_folder,
        env=environment(short_folder, {"PYTHON": sys.executable}),
        input="y\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "with 4096 bytes" in ended.stdout
    with Program(short_folder, LEASE_DURABILITY="disk") as program:
        assert program.call("GET", f"/orders/{order}").status == 200
    assert run(short_folder, "verify").returncode == 0
