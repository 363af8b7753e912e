from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.redis.batcher import MAXIMUM_BATCH, Batcher, Script
from service.redis.connect import ConnectionFactory, connection_factory
from service.redis.errors import MisuseError, NothingSentError

ECHO = Script.of("echo", "return {KEYS[1], ARGV[1]}")
COUNT = Script.of("count", "return redis.call('INCRBY', KEYS[1], ARGV[1])")
FAULTY = Script.of("faulty", "return redis.call('INCR', KEYS[1], 'one word too many')")


@pytest.fixture
async def batcher(make_connection: ConnectionFactory) -> AsyncIterator[Batcher]:
    """Give a batcher on each kind of server in turn: a cluster has one for each of its nodes."""
    batcher = Batcher(make_connection)
    await batcher.command("FLUSHALL")
    await batcher.command("SCRIPT", "FLUSH")
    yield batcher
    await batcher.close()


async def test_each_caller_gets_its_own_reply(batcher: Batcher) -> None:
    """Each of many concurrent callers gets the reply to its own call, in every batch."""
    calls = 2 * MAXIMUM_BATCH + 1
    replies = await asyncio.gather(*(batcher.call(ECHO, ["k"], [n]) for n in range(calls)))
    assert replies == [[b"k", b"%d" % n] for n in range(calls)]


async def test_scripts_and_commands_run_in_order(batcher: Batcher) -> None:
    """Scripts that Redis knows and commands run in the order in which they were asked for."""
    await batcher.call(COUNT, ["n"], [0])
    replies = await asyncio.gather(
        batcher.call(COUNT, ["n"], [2]), batcher.command("GET", "n"), batcher.command("DEL", "n")
    )
    assert [*replies] == [2, b"2", 1]


async def test_an_error_reply_goes_to_its_caller_only(batcher: Batcher) -> None:
    """A call that Redis rejects fails alone; the calls of the same pipeline succeed."""
    before, wrong, after = await asyncio.gather(
        batcher.call(ECHO, ["k"], ["before"]),
        batcher.command("INCR"),
        batcher.call(ECHO, ["k"], ["after"]),
        return_exceptions=True,
    )
    assert before == [b"k", b"before"]
    assert isinstance(wrong, MisuseError)
    assert after == [b"k", b"after"]


async def test_a_bug_in_a_script_is_a_misuse(batcher: Batcher) -> None:
    """A script that fails raises what Redis says about it."""
    with pytest.raises(MisuseError, match=r"[Ww]rong number of arg"):
        await batcher.call(FAULTY, ["n"], [])


async def test_a_forgotten_script_is_sent_again(batcher: Batcher) -> None:
    """Scripts run once each, also when Redis forgets them between and beside the calls."""
    calls: list[asyncio.Future[object]] = []
    for _ in range(20):
        calls += [batcher.call(COUNT, ["n"], [1]) for _ in range(5)]
        calls.append(batcher.command("SCRIPT", "FLUSH"))
        await asyncio.sleep(0)
    await asyncio.gather(*calls)
    assert await batcher.command("GET", "n") == b"100"


async def test_a_cancelled_caller_disturbs_nobody(batcher: Batcher) -> None:
    """Callers that go away, before or after sending, do not shift the replies of the others."""
    early = batcher.call(ECHO, ["k"], ["early"])
    early.cancel()
    late = batcher.call(ECHO, ["k"], ["late"])
    others = [batcher.call(ECHO, ["k"], [n]) for n in range(10)]
    while batcher._waiting:
        await asyncio.sleep(0)
    late.cancel()
    assert await asyncio.gather(*others) == [[b"k", b"%d" % n] for n in range(10)]


async def test_a_word_that_redis_cannot_take_fails_at_once(batcher: Batcher) -> None:
    """A call with something that is no word raises where it is made and sends nothing."""
    with pytest.raises(TypeError):
        batcher.command("SET", "k", object())  # type: ignore[arg-type] # the wrong type is meant
    assert await batcher.command("EXISTS", "k") == 0


async def test_close_finishes_what_was_asked_for(batcher: Batcher) -> None:
    """Closing answers the calls made before it and refuses the calls made after it."""
    before = [batcher.call(COUNT, ["n"], [1]) for _ in range(3)]
    await batcher.close()
    assert [call.result() for call in before] == [1, 2, 3]
    with pytest.raises(NothingSentError, match="stopping"):
        await batcher.command("PING")


async def test_concurrent_calls_share_a_read(redis_url: str) -> None:
    """The calls of one turn of the event loop arrive at the server in few pipelines."""
    batcher = Batcher(connection_factory(redis_url))
    before = await _reads(batcher)
    await asyncio.gather(*(batcher.command("PING") for _ in range(100)))
    # Half of those that wait at a time; as many as there are calls if alone.
    assert await _reads(batcher) - before < 10
    await batcher.close()


async def _reads(batcher: Batcher) -> int:
    text: bytes = await batcher.command("INFO", "stats")
    (line,) = [line for line in text.splitlines() if line.startswith(b"total_reads_processed:")]
    return int(line.partition(b":")[2])
