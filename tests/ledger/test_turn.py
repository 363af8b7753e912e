"""Several want to send the webhooks, and one may."""

from __future__ import annotations

import asyncio

import pytest

from service.ledger.feed_reads import START, Cursor
from service.ledger.leader_lock import Turn
from service.redis.batcher import Batcher
from tests.polling import eventually

HERE = Cursor(1_795_200_000_000_001, "a")
THERE = Cursor(1_795_200_000_000_002, "b")
SOON_SECONDS = 0.001


@pytest.fixture
def turns(batcher: Batcher) -> tuple[Turn, Turn]:
    """Give two who want to send."""
    return Turn(batcher, key_prefix="lease"), Turn(batcher, key_prefix="lease")


async def test_the_first_begins_at_the_start_of_the_feed(turns):
    """Who claims first has the turn, from the start of the feed, and keeps it."""
    first, second = turns
    assert await first.claim() == START
    assert await second.claim() is None
    assert await first.claim() == START


async def test_of_many_who_claim_at_once_one_has_the_turn(batcher):
    """Of a hundred who claim at the same moment exactly one has the turn."""
    many = [Turn(batcher, key_prefix="lease") for _ in range(100)]
    places = await asyncio.gather(*(turn.claim() for turn in many))
    assert sorted(place is not None for place in places) == [False] * 99 + [True]


async def test_what_was_delivered_is_known_to_the_next(turns):
    """Whoever resigns says how far it came, and the next goes on there."""
    first, second = turns
    await first.claim()
    assert await first.claim(HERE) == HERE
    assert await first.claim() == HERE
    await first.resign(THERE)
    assert await second.claim() == THERE


async def test_a_turn_that_is_not_claimed_again_passes_on(batcher):
    """Who does not claim again, because it was killed, loses the turn after the hold."""
    killed = Turn(batcher, key_prefix="lease", hold_seconds=SOON_SECONDS)
    waiting = Turn(batcher, key_prefix="lease")
    assert await killed.claim(None) == START

    async def passes_on() -> bool:
        return await waiting.claim() is not None

    await eventually(passes_on)
    assert await killed.claim() is None


@pytest.mark.parametrize("is_over", [False, True])
async def test_who_lost_the_turn_cannot_move_the_place(turns, is_over):
    """A sender that was away too long changes nothing, even when its successor sends no more."""
    late, successor = turns
    await late.claim()
    await late.resign()
    await successor.claim()
    await successor.claim(THERE)
    if is_over:
        await successor.resign()
    assert await late.claim(HERE) is None
    await successor.resign()
    assert await late.claim() == THERE


async def test_an_idle_sender_seldom_writes(turns, batcher):
    """A claim soon after another changes nothing in Redis, so that idling costs no disk."""
    first, _ = turns
    await first.claim()
    before = await batcher.command("HGETALL", "lease:webhook")
    await first.claim()
    assert await batcher.command("HGETALL", "lease:webhook") == before


async def test_each_key_prefix_has_a_turn_of_its_own(turns, batcher):
    """Two services in one Redis send both."""
    first, _ = turns
    await first.claim()
    assert await Turn(batcher, key_prefix="other").claim() == START
