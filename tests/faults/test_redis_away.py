"""Redis goes away in every way that it can, and the batcher tells the truth and recovers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from service.redis.batcher import Batcher, Reply, Script
from service.redis.connect import connection_factory
from service.redis.errors import MisuseError, NothingSentError, OutcomeUnknownError, StoreError
from tests.servers import RedisServer, valkey_binary

PATIENT_SECONDS = 20.0
HASTY_SECONDS = 0.2
ECHO = Script.of("echo", "return ARGV[1]")
APPEND = Script.of("append", "return redis.call('SADD', KEYS[1], ARGV[1])")
SPIN = Script.of("spin", "while true do end")


@pytest.fixture
def server(short_folder: Path) -> Iterator[RedisServer]:
    """Give a server of the test's own, which keeps what it is told."""
    with RedisServer(
        valkey_binary(), short_folder, appendonly="yes", appendfsync="always"
    ) as server:
        yield server


@pytest.fixture
async def batcher(server: RedisServer) -> AsyncIterator[Batcher]:
    """Give a batcher that does not give up within a test."""
    batcher = Batcher(connection_factory(server.url), deadline_seconds=PATIENT_SECONDS)
    yield batcher
    await batcher.close()


@pytest.fixture
async def hasty(server: RedisServer) -> AsyncIterator[Batcher]:
    """Give a batcher that soon gives up."""
    batcher = Batcher(connection_factory(server.url), deadline_seconds=HASTY_SECONDS)
    yield batcher
    await batcher.close()


async def eventually(batcher: Batcher, word: str | bytes) -> Reply:
    """Ask until Redis answers; how long a server takes to come back is its own affair."""
    give_up = time.monotonic() + PATIENT_SECONDS
    while True:
        try:
            return await batcher.call(ECHO, [], [word])
        except StoreError:
            if time.monotonic() > give_up:
                raise


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, turn by turn of the event loop."""
    give_up = time.monotonic() + PATIENT_SECONDS
    while not condition():
        assert time.monotonic() < give_up
        await asyncio.sleep(0)


async def cut_off(batcher: Batcher, command: bytes) -> None:
    """Close the connection that waits in a command, from the server's side."""
    give_up = time.monotonic() + PATIENT_SECONDS
    while time.monotonic() < give_up:
        for client in (await batcher.command("CLIENT", "LIST")).splitlines():
            fields = dict(field.split(b"=", 1) for field in client.split())
            if fields[b"cmd"] == command:
                await batcher.command("CLIENT", "KILL", "ID", fields[b"id"])
                return
    pytest.fail("No connection waits.")


async def test_nothing_is_sent_to_an_absent_server(short_folder: Path) -> None:
    """Rule 25: without a server every call says that nothing changed, the later ones as well."""
    batcher = Batcher(
        connection_factory(f"unix://{short_folder}/none.sock"), deadline_seconds=HASTY_SECONDS
    )
    for _ in range(3):
        outcomes = await asyncio.gather(
            *(batcher.call(ECHO, [], [n]) for n in range(100)), return_exceptions=True
        )
        assert {type(outcome) for outcome in outcomes} == {NothingSentError}
        assert "none.sock" in str(outcomes[0])
    await batcher.close()


async def test_a_call_waits_for_a_server_that_comes(server: RedisServer, batcher: Batcher) -> None:
    """A call made while the server restarts succeeds when it comes back before the deadline."""
    server.stop()
    call = batcher.call(ECHO, [], ["patience"])
    await asyncio.to_thread(server.start)
    assert await call == b"patience"


async def test_a_restarted_server_is_found_again(server: RedisServer, hasty: Batcher) -> None:
    """Rule 25: after a crash and a restart calls succeed again, with the scripts known anew."""
    assert await eventually(hasty, "known") == b"known"
    await asyncio.to_thread(server.kill)
    with pytest.raises(NothingSentError):
        await hasty.call(ECHO, [], ["away"])
    await asyncio.to_thread(server.start)
    assert await eventually(hasty, "back") == b"back"


async def test_a_restart_between_two_calls_goes_unnoticed(
    server: RedisServer, batcher: Batcher
) -> None:
    """A connection that was closed while nothing was in flight costs no call."""
    await batcher.command("PING")
    server.stop()
    await asyncio.to_thread(server.start)
    assert await batcher.call(ECHO, [], ["again"]) == b"again"


async def test_a_crash_in_the_middle_loses_nothing_that_was_confirmed(
    server: RedisServer, batcher: Batcher, hasty: Batcher
) -> None:
    """Rule 8: whatever was answered before, while and after the server crashed is in the data."""
    confirmed: set[bytes] = set()
    stopping = asyncio.Event()

    async def add_until_stopped(caller: int) -> None:
        count = 0
        while not stopping.is_set():
            count += 1
            try:
                await hasty.call(APPEND, ["k"], [f"{caller}-{count}"])
            except (NothingSentError, OutcomeUnknownError):
                continue
            confirmed.add(b"%d-%d" % (caller, count))

    callers = [asyncio.create_task(add_until_stopped(caller)) for caller in range(20)]
    await until(lambda: len(confirmed) > 100)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    before = len(confirmed)
    await until(lambda: len(confirmed) > before + 100)
    stopping.set()
    await asyncio.gather(*callers)
    assert confirmed <= set(await batcher.command("SMEMBERS", "k"))


async def test_a_paused_server_leaves_the_outcome_unknown(
    server: RedisServer, hasty: Batcher
) -> None:
    """Rule 25: what was sent and not answered is unknown, and later replies are not mixed up."""
    assert await eventually(hasty, "warm") == b"warm"
    server.pause()
    outcomes = await asyncio.gather(
        *(hasty.call(ECHO, [], [f"lost {n}"]) for n in range(4)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {OutcomeUnknownError}
    with pytest.raises(NothingSentError):
        await hasty.call(ECHO, [], ["not even sent"])
    server.resume()
    assert await eventually(hasty, "found") == b"found"
    words = [b"word %d" % n for n in range(100)]
    assert await asyncio.gather(*(eventually(hasty, word) for word in words)) == words


async def test_a_caller_that_leaves_a_paused_server_disturbs_nobody(
    server: RedisServer, batcher: Batcher
) -> None:
    """A caller that was cancelled while its call was in flight leaves no reply for another."""
    assert await batcher.call(ECHO, [], ["warm"]) == b"warm"
    server.pause()
    left = batcher.call(ECHO, [], ["left"])
    stayed = batcher.call(ECHO, [], ["stayed"])
    await until(lambda: not batcher._waiting)
    left.cancel()
    server.resume()
    assert await stayed == b"stayed"
    assert await eventually(batcher, "next") == b"next"


async def test_a_call_that_lost_its_connection_is_sent_again(
    server: RedisServer, batcher: Batcher
) -> None:
    """A call whose connection broke before its reply came is sent once more."""
    other = Batcher(connection_factory(server.url))
    waiting = batcher.command("BLPOP", "list", 0)
    await cut_off(other, b"blpop")
    await other.command("RPUSH", "list", "word")
    assert await waiting == [b"list", b"word"]
    await other.close()


async def test_a_call_is_sent_twice_at_most(server: RedisServer, batcher: Batcher) -> None:
    """A call whose connection broke twice is given up: it may be what breaks the server."""
    other = Batcher(connection_factory(server.url))
    waiting = batcher.command("BLPOP", "list", 0)
    await cut_off(other, b"blpop")
    await cut_off(other, b"blpop")
    with pytest.raises(OutcomeUnknownError, match="The answer was lost"):
        await waiting
    await other.close()


async def test_a_full_server_refuses_before_anything_changes(batcher: Batcher) -> None:
    """Rule 25: a server without memory refuses with its own words, and nothing changed."""
    await batcher.command("CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(NothingSentError, match="OOM"):
        await batcher.call(APPEND, ["k"], ["word"])
    await batcher.command("CONFIG", "SET", "maxmemory", 0)
    assert await batcher.command("EXISTS", "k") == 0


async def test_a_replica_refuses_until_it_is_promoted(batcher: Batcher) -> None:
    """Rule 25: a node that was demoted refuses writes; promoted, it takes them again."""
    await batcher.command("REPLICAOF", "127.0.0.1", 1)
    with pytest.raises(NothingSentError, match="READONLY"):
        await batcher.call(APPEND, ["k"], ["word"])
    await batcher.command("REPLICAOF", "NO", "ONE")
    assert await batcher.call(APPEND, ["k"], ["word"]) == 1


async def test_a_busy_server_refuses(server: RedisServer, batcher: Batcher) -> None:
    """While another client's script hangs, calls say that nothing changed."""
    other = Batcher(connection_factory(server.url), deadline_seconds=PATIENT_SECONDS)
    await batcher.command("CONFIG", "SET", "busy-reply-threshold", 1)
    spinning = other.call(SPIN, [], [])
    give_up = time.monotonic() + PATIENT_SECONDS
    outcome: object = None
    while not isinstance(outcome, NothingSentError) and time.monotonic() < give_up:
        (outcome,) = await asyncio.gather(batcher.command("GET", "k"), return_exceptions=True)
    assert "BUSY" in str(outcome)
    await batcher.command("SCRIPT", "KILL")
    with pytest.raises(MisuseError, match="killed"):
        await spinning
    assert await batcher.call(ECHO, [], ["free"]) == b"free"
    await other.close()
