"""Rules 12 and 22: what lapses gets into the feed without anybody asking."""

import asyncio
import contextlib
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.ledger import Step
from service.redis.batcher import Batcher, Script
from service.redis.connect import connection_factory
from service.sweeper import Sweeper
from tests.ledger.desk import CLASS, COURT, OFFER, SELLER, Desk, epoch_seconds
from tests.ledger.follow import Follower, due_of, sweeper_of
from tests.polling import eventually
from tests.servers import RedisServer, valkey_binary

HALL = "https://example.com/halls/1"
IN_HALL = "https://example.com/classes/1"
WEEK_SECONDS = 7 * 24 * 60 * 60


async def past(desk: Desk, seconds: int) -> None:
    """Wait until Redis's clock has passed an instant."""

    async def is_past() -> bool:
        return await desk.now() >= seconds

    await eventually(is_past)


@contextlib.asynccontextmanager
async def running(sweeper: Sweeper):
    """Let a sweeper run."""
    task = asyncio.create_task(sweeper.run())
    yield task
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_what_lapses_is_told_without_a_call(make_desk):
    """Rule 22: while a sweeper runs, an expiry shows up in the feed by itself."""
    desk = make_desk(anonymous_seconds=1)
    reader = Follower(desk)
    await desk.register(5)
    await desk.quote(1, 2)
    await reader.read()
    assert reader.free == {CLASS: 3}
    async with running(sweeper_of(desk)):

        async def is_told() -> bool:
            await reader.read()
            return reader.free == {CLASS: 5}

        await eventually(is_told)


async def test_nothing_lapses_before_its_time(make_desk):
    """Rule 12: a sweep a moment before `leaseExpires` changes nothing, one from it on does."""
    desk = make_desk(anonymous_seconds=2)
    reader, sweeper = Follower(desk), sweeper_of(desk)
    await desk.register(5)
    expires = epoch_seconds(await desk.quote(1, 2))
    await reader.read()
    before = []

    async def is_past() -> bool:
        await sweeper.sweep()
        told = await reader.read()
        before.append((await desk.now() < expires, told))
        return bool(told)

    await eventually(is_past)
    assert all(not told for is_before, told in before if is_before)
    assert reader.free == {CLASS: 5}


async def test_an_extended_lease_does_not_lapse_at_its_first_time(make_desk):
    """Rule 11: a sweep at a lease's first `leaseExpires` leaves it, and its place in the feed."""
    desk = make_desk(anonymous_seconds=1, named_seconds=60)
    reader = Follower(desk)
    await desk.register(5)
    first = epoch_seconds(await desk.quote(1, 2))
    later = epoch_seconds(await desk.quote(1, 2, Step.NAMED))
    await reader.read()
    await past(desk, first)
    await sweeper_of(desk).sweep()
    assert await reader.read() == []
    assert reader.free == {CLASS: 3}
    assert await desk.spaces() == (0, 2, 3)
    assert later > first


async def test_released_and_taken_again_at_once(make_desk):
    """A lease released and taken again, within a millisecond, lapses at its new time alone."""
    short, long = make_desk(anonymous_seconds=1), make_desk(anonymous_seconds=60)
    reader = Follower(short)
    await short.register(5)
    first = epoch_seconds(await short.quote(1, 2))
    for _ in range(50):
        await short.release(1)
        await long.quote(1, 3)
    await reader.read()
    assert reader.free == {CLASS: 2}
    await past(short, first)
    await sweeper_of(short).sweep()
    assert await reader.read() == []
    assert await short.spaces() == (0, 3, 2)


async def test_two_sweepers_do_what_one_does(make_desk):
    """Sweepers that work at the same time tell each lapse once, and count nothing twice."""
    desk = make_desk(anonymous_seconds=1)
    ids = [f"{COURT}/{number}" for number in range(120)]
    for id_ in ids:
        await desk.register(5, id_)
    quotes = [await desk.quote(number, [(id_, OFFER)] * 2) for number, id_ in enumerate(ids)]
    await past(desk, max(map(epoch_seconds, quotes)))
    reader = Follower(desk, await Follower(desk).feed.end())
    await asyncio.gather(*(sweeper_of(desk).sweep() for _ in range(2)))
    assert sorted(await reader.read()) == sorted(ids)
    assert set(reader.free.values()) == {5}
    assert {await desk.spaces(id_) for id_ in ids} == {(0, 0, 5)}
    assert (await due_of(desk).overdue())[1] == []


async def test_a_sweeper_that_is_killed_loses_nothing(monkeypatch, make_desk):
    """What a replica had not done when it died, another one does."""
    desk = make_desk(anonymous_seconds=1)
    monkeypatch.setattr("service.ledger.sweep._STEP", 50)
    monkeypatch.setattr("service.ledger.sweep._MOST_AT_ONCE", 1)
    ids = [f"{COURT}/{number}" for number in range(120)]
    for id_ in ids:
        await desk.register(5, id_)
    quotes = [await desk.quote(number, [(id_, OFFER)]) for number, id_ in enumerate(ids)]
    await past(desk, max(map(epoch_seconds, quotes)))
    reader = Follower(desk, await Follower(desk).feed.end())
    run, steps = desk.batcher.call, 0

    def die(script: Script, *rest: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps > 1:
            raise asyncio.CancelledError
        return run(script, *rest)

    monkeypatch.setattr(desk.batcher, "call", die)
    with pytest.raises(asyncio.CancelledError):
        await sweeper_of(desk).sweep()
    monkeypatch.undo()
    told = await reader.read()
    assert 0 < len(told) < len(ids)
    await sweeper_of(desk).sweep()
    assert sorted(told + await reader.read()) == sorted(ids)
    assert set(reader.free.values()) == {5}


async def test_many_holds_lapse_in_bounded_steps(desk):
    """More holds than one step drops are dropped by the next ones, and none is counted twice."""
    holds = 2500
    await desk.register(10_000)
    await desk.quote(1, 1)
    [key] = await desk.raw_keys("lease:*:holds:*")
    opportunity = key.replace(":holds:", ":opp:")
    ref = key.rpartition(":")[2]
    for start in range(0, holds, 500):
        lapsed = [
            part for number in range(start, start + 500) for part in (1, f"1a|default|{number}")
        ]
        await desk.batcher.command("ZADD", key, *lapsed)
    await desk.batcher.command("HSET", opportunity, "leased", holds + 1, "next", 1)
    await desk.batcher.command("ZADD", key.partition("}")[0] + "}:due", 1, ref)
    steps = 0
    due = due_of(desk)
    now, [partition] = await due.overdue()
    while await due.sweep(partition, now):
        steps += 1
    assert steps == 10
    assert await desk.spaces() == (0, 1, 9999)


async def test_many_holds_that_all_lapse_go_at_once(desk):
    """Rule 12: where no hold is left one step ends them all, of each kind, and counts them."""
    await desk.register(10_000)
    await desk.quote(1, 1)
    [key] = await desk.raw_keys("lease:*:holds:*")
    lapsed = [
        part
        for kind in "anp"
        for number in range(1000)
        for part in (1, f"2{kind}default|{kind}{number}")
    ]
    await desk.batcher.command("DEL", key)
    await desk.batcher.command("ZADD", key, *lapsed)
    opportunity = key.replace(":holds:", ":opp:")
    counts = ("leased", 6000, "named", 2000, "proposed", 2000)
    await desk.batcher.command("HSET", opportunity, *counts, "next", 1)
    await desk.batcher.command("ZADD", key.partition("}")[0] + "}:due", 1, key.rpartition(":")[2])
    reader = Follower(desk)
    await reader.read()
    due = due_of(desk)
    now, [partition] = await due.overdue()
    assert await due.sweep(partition, now)
    assert not await due.sweep(partition, now)
    assert await desk.raw_keys("lease:*:holds:*") == []
    assert await desk.batcher.command("HMGET", opportunity, "named", "proposed") == [None, None]
    assert await desk.spaces() == (0, 0, 10_000)
    assert await reader.read() == [CLASS]


async def test_what_was_released_before_is_not_told_again(make_desk):
    """A sweep at the time of a lease that is gone leaves its Opportunity's place in the feed."""
    desk = make_desk(anonymous_seconds=1)
    reader = Follower(desk)
    await desk.register(5)
    expires = epoch_seconds(await desk.quote(1, 2))
    await desk.release(1)
    await reader.read()
    await past(desk, expires)
    await sweeper_of(desk).sweep()
    assert await reader.read() == []
    assert (await due_of(desk).overdue())[1] == []


async def test_what_was_withdrawn_a_week_ago_leaves_the_feed(desk):
    """Rule 22: the feed has what was withdrawn as `deleted`, for 7 days."""
    await desk.register(5)
    await desk.register(5, COURT)
    await desk.quote(1, 2)
    await desk.ledger.withdraw(SELLER, [CLASS])
    await sweeper_of(desk).sweep()
    assert len(await Follower(desk).page()) == 2
    await age(desk, WEEK_SECONDS - 60)
    await sweeper_of(desk).sweep()
    states = [change.state for change in await Follower(desk).page()]
    assert states == ["updated", "deleted"]
    await age(desk, 60)
    await sweeper_of(desk).sweep()
    assert await Follower(desk).read() == [COURT]


async def test_what_was_withdrawn_a_week_ago_and_not_booked_leaves_redis(desk):
    """Nothing is kept of what nobody booked, Opportunity or pool, once the feed has told it."""
    await desk.register(9, HALL, **{"@type": "CapacityPool"})
    await desk.register(9, IN_HALL, capacityPools=[{"@id": HALL, "spaces": 1}])
    await desk.register(5)
    await desk.register(5, COURT)
    await desk.quote(1, 2)
    await desk.book(2, [(COURT, OFFER)])
    await desk.ledger.withdraw(SELLER, [CLASS, COURT, HALL])
    await age(desk, WEEK_SECONDS)
    await sweeper_of(desk).sweep()
    assert len(await desk.raw_keys("*:opp:*")) == 3
    await desk.ledger.delete(desk.key(2))
    await desk.register(5, COURT)
    assert await desk.spaces(COURT) == (0, 0, 5)
    await desk.ledger.withdraw(SELLER, [COURT, IN_HALL])
    await age(desk, WEEK_SECONDS)
    await sweeper_of(desk).sweep()
    await age(desk, WEEK_SECONDS)
    await sweeper_of(desk).sweep()
    assert await desk.raw_keys("*:opp:*") == []
    assert await desk.raw_keys("*:due") == []


async def test_what_leases_may_remember_stays(make_desk):
    """As long as a lease of before a withdrawal is there, it is known that it holds nothing."""
    desk = make_desk(anonymous_seconds=3 * WEEK_SECONDS, maximum_hold_seconds=3 * WEEK_SECONDS)
    await desk.register(5)
    await desk.quote(1, 2)
    await desk.ledger.withdraw(SELLER, [CLASS])
    await age(desk, 2 * WEEK_SECONDS)
    await sweeper_of(desk).sweep()
    await desk.register(5)
    await desk.quote(1, 5)
    assert await desk.spaces() == (0, 5, 0)


async def test_what_was_registered_again_stays(desk):
    """An Opportunity that came back within the week stays in the feed, and keeps its holds."""
    await desk.register(5)
    await desk.ledger.withdraw(SELLER, [CLASS])
    await desk.register(5)
    await age(desk, WEEK_SECONDS)
    await sweeper_of(desk).sweep()
    await desk.quote(1, 2)
    await age(desk, WEEK_SECONDS)
    await sweeper_of(desk).sweep()
    reader = Follower(desk)
    assert await reader.read() == [CLASS]
    assert reader.free == {CLASS: 3}


async def test_a_sweeper_outlives_redis(short_folder):
    """While Redis is away a sweeper says so once, and goes on when it is back."""
    with RedisServer(
        valkey_binary(), short_folder, appendonly="yes", appendfsync="always"
    ) as server:
        batcher = Batcher(connection_factory(server.url), deadline_seconds=0.2)
        desk = Desk(batcher, anonymous_seconds=1)
        await desk.register(5)
        await desk.quote(1, 2)
        reader = Follower(desk)
        with capture_logs() as log:
            async with running(sweeper_of(desk)):
                server.kill()

                async def has_noticed() -> bool:
                    return bool(log)

                await eventually(has_noticed)
                server.start()

                async def is_told() -> bool:
                    with contextlib.suppress(Exception):
                        await reader.read()
                    return reader.free == {CLASS: 5}

                await eventually(is_told)
        assert [line["event"] for line in log] == ["sweeper.paused"]
        await batcher.close()


async def age(desk, seconds):
    """Let what is to be done in a week have to be done so much sooner."""
    for key in await desk.raw_keys("lease:*:due"):
        for ref in await desk.batcher.command("ZRANGE", key, 0, -1):
            await desk.batcher.command("ZINCRBY", key, -seconds, ref)
