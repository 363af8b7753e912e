"""Sends the capacity feed to the front-end: batch after batch, one replica at a time.

The feed has one item per Opportunity in the order of the changes, and a batch is sent when the one
before was delivered: so the messages are in order per Opportunity. The place in the feed is kept
after each delivery, in Redis; whoever sends next goes on there.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

import aiohttp
import structlog

from service.errors import OpenBookingError
from service.ledger.feed import CapacityFeed, Cursor
from service.ledger.leader_lock import Turn
from service.redis.errors import StoreError
from service.setting_types import WebhookSecret, WebhookUrl
from service.webhooks.message import Message
from service.webhooks.receiver import NotDeliveredError, Receiver, ReceiverGoneError

_FINISH_SECONDS: Final = 2.0

_log = structlog.stdlib.get_logger(__name__)


class Pace(NamedTuple):
    """How much is sent at once, and how long the sender waits for what; seconds."""

    batch: int = 100
    """Items of a message at most."""
    poll_seconds: float = 1.0
    """Until it looks again for changes, or for Redis."""
    claim_seconds: float = 5.0
    """Until it asks again for the turn, or claims it again while it waits."""
    first_pause_seconds: float = 1.0
    """After the first failure; twice that after the second, and so on …"""
    longest_pause_seconds: float = 300.0
    """… up to this."""
    longest_retry_after_seconds: float = 86_400.0
    """What a receiver's Retry-After may ask for at most."""


class _Batch(NamedTuple):
    """A message, and the places in the feed before and behind its items."""

    after: Cursor
    message: Message
    end: Cursor


class Sender:
    """Sends as long as it has the turn."""

    def __init__(
        self, feed: CapacityFeed, turn: Turn, receiver: Receiver, pace: Pace | None = None
    ) -> None:
        """Prepare to send what `feed` has to `receiver`, when `turn` allows it."""
        self._feed = feed
        self._turn = turn
        self._receiver = receiver
        self._pace = pace or Pace()
        self._stopping = asyncio.Event()
        self._batch: _Batch | None = None
        # What this sender has delivered and Redis does not know yet.
        self._delivered: Cursor | None = None
        self._is_away = False
        self._failures = 0
        self._retry_at = 0.0

    def stop(self) -> None:
        """End when the message that is on its way has been answered."""
        self._stopping.set()

    async def run(self) -> None:
        """Send until `stop`, or until the receiver says that it is gone."""
        try:
            while not self._stopping.is_set():
                await self._wait(await self._step())
        finally:
            with contextlib.suppress(StoreError):
                await self._turn.resign(self._delivered)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _step(self) -> float:
        """Do what comes next, and return how many seconds there is nothing to do."""
        try:
            seconds = await self._send_next()
        except (StoreError, OpenBookingError) as error:
            if not self._is_away:
                _log.warning("webhook.paused", reason=str(error))
            self._is_away = True
        except Exception:  # noqa: BLE001 - nobody watches this task: it must outlive every bug
            _log.exception("webhook.failed")
        else:
            self._is_away = False
            return seconds
        return self._pace.poll_seconds

    async def _send_next(self) -> float:
        delivered = await self._turn.claim(self._delivered)
        self._delivered = None
        if delivered is None:
            return self._pace.claim_seconds
        rest = self._retry_at - asyncio.get_running_loop().time()
        if rest > 0:
            return min(rest, self._pace.claim_seconds)
        batch = await self._batch_after(delivered)
        if batch is None:
            return self._pace.poll_seconds
        try:
            await self._receiver.deliver(batch.message)
        except NotDeliveredError as error:
            self._back_off(error)
        except ReceiverGoneError:
            _log.error("webhook.gone", advice="a restart tries again")
            self.stop()
        else:
            self._failures = 0
            self._delivered = batch.end
        return 0

    async def _batch_after(self, delivered: Cursor) -> _Batch | None:
        """Return the batch that failed before, or the next one; None: nothing has changed.

        A batch is tried again as it was, even where its Opportunities have changed meanwhile: an
        attempt that seemed to fail may have arrived, and the id says that it is the same message.
        """
        if self._batch is None or self._batch.after != delivered:
            changes = await self._feed.changes(delivered, self._pace.batch)
            if not changes:
                return None
            self._batch = _Batch(delivered, Message.of(changes), changes[-1].cursor)
        return self._batch

    def _back_off(self, error: NotDeliveredError) -> None:
        pace = self._pace
        doubled = pace.first_pause_seconds * 2 ** min(self._failures, 30)
        jitter = random.uniform(0.5, 1)  # noqa: S311 - spreads load, protects nothing
        seconds = max(
            min(doubled, pace.longest_pause_seconds) * jitter,
            min(error.retry_after_seconds, pace.longest_retry_after_seconds),
        )
        self._failures += 1
        self._retry_at = asyncio.get_running_loop().time() + seconds
        _log.warning(
            "webhook.not_delivered",
            reason=str(error),
            failures=self._failures,
            retry_seconds=round(seconds),
        )


@contextlib.asynccontextmanager
async def sending(
    feed: CapacityFeed,
    turn: Turn,
    url: WebhookUrl,
    secrets: Sequence[WebhookSecret],
    trace_configs: Sequence[aiohttp.TraceConfig] = (),
) -> AsyncIterator[None]:
    """Send in the background; at the end finish the message that is on its way.

    Args:
        feed: Where the changes come from.
        turn: Says when it is this process's turn.
        url: Where to send them.
        secrets: The keys to sign with.
        trace_configs: What follows each request, and may add headers to it.

    """
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[*trace_configs]
    ) as session:
        sender = Sender(feed, turn, Receiver(session, url, secrets))
        task = asyncio.create_task(sender.run())
        try:
            yield
        finally:
            sender.stop()
            # What is cut off is sent again, under the same id, by whoever sends next.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(task, _FINISH_SECONDS)
