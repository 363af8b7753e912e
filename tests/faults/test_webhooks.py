"""Whatever fails at either end, the front-end gets every change, in order, and signed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from service.ledger.feed import CapacityFeed
from service.ledger.feed_reads import Feed
from service.ledger.leader_lock import Turn
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.setting_types import WebhookSecret, WebhookUrl
from service.webhooks import Pace, Receiver, Sender, sending
from tests.hook import SECRET, Fault, Hook, answers, cuts, hangs
from tests.ledger.desk import CLASS, COURT, OFFER, Desk
from tests.polling import eventually
from tests.servers import RedisServer

QUICK = Pace(
    batch=2,
    poll_seconds=0.01,
    claim_seconds=0.01,
    first_pause_seconds=0.001,
    longest_pause_seconds=0.01,
)
HIDDEN = "correct-horse"

MakeSender = Callable[..., Sender]


@pytest.fixture
def hook() -> Hook:
    """Give a receiver that takes everything."""
    return Hook()


@pytest.fixture
async def url(hook: Hook) -> AsyncIterator[WebhookUrl]:
    """Give the address of the receiver, with something in it that nobody else may see."""
    # What hangs is cut off when the test is over.
    server = TestServer(hook.app())
    await server.start_server(shutdown_timeout=0)
    yield WebhookUrl(str(server.make_url(f"/hook?key={HIDDEN}")))
    await server.close()


@pytest.fixture
async def batcher(valkey_server: RedisServer) -> AsyncIterator[Batcher]:
    """Give a way to an empty Valkey."""
    batcher = Batcher(connection_factory(valkey_server.url))
    await batcher.command("FLUSHALL")
    yield batcher
    await batcher.close()


@pytest.fixture
def desk(batcher: Batcher) -> Desk:
    """Give a booking desk."""
    return Desk(batcher)


@pytest.fixture
async def make_sender(batcher: Batcher, url: WebhookUrl) -> AsyncIterator[MakeSender]:
    """Give senders to the receiver; each may have a connection, a hold and a pace of its own."""
    async with aiohttp.ClientSession() as session:

        def make_sender(
            batcher: Batcher = batcher,
            *,
            hold_seconds: float = 60,
            timeout_seconds: float = 20,
            pace: Pace = QUICK,
        ) -> Sender:
            return Sender(
                CapacityFeed(Feed(batcher, key_prefix="lease", partitions=64)),
                Turn(batcher, key_prefix="lease", hold_seconds=hold_seconds),
                Receiver(session, url, [WebhookSecret(SECRET)], timeout_seconds=timeout_seconds),
                pace,
            )

        yield make_sender


@contextlib.asynccontextmanager
async def running(*senders: Sender) -> AsyncIterator[None]:
    """Run senders, and let them finish what they are at."""
    async with asyncio.TaskGroup() as tasks:
        for sender in senders:
            tasks.create_task(sender.run())
        yield
        for sender in senders:
            sender.stop()


async def until(condition: Callable[[], bool]) -> None:
    """Return when something holds that changes in this process."""

    async def holds() -> bool:
        return condition()

    await eventually(holds)


def opportunity(number: int) -> str:
    """Return the `@id` of one of many Opportunities."""
    return f"{CLASS}/{number}"


async def register(desk: Desk, count: int) -> list[str]:
    """Register so many Opportunities, and return their ids."""
    ids = [opportunity(number) for number in range(count)]
    for id_ in ids:
        await desk.register(10, id_)
    return ids


def last_free(hook: Hook) -> dict[str, int]:
    """Return what the receiver knows to be free of each Opportunity."""
    return {item["data"]["@id"]: item["data"]["remainingAttendeeCapacity"] for item in hook.items}


async def test_every_change_arrives_from_the_start_of_the_feed(desk, hook, make_sender):
    """Rule 22: what changed before the first start arrives, and what changes then, in order."""
    await desk.register(10, CLASS)
    await desk.register(10, COURT)
    async with running(make_sender()):
        await until(lambda: last_free(hook) == {CLASS: 10, COURT: 10})
        await desk.quote(1, [(COURT, OFFER)] * 3)
        await until(lambda: last_free(hook) == {CLASS: 10, COURT: 7})
        await desk.release(1)
        await until(lambda: last_free(hook) == {CLASS: 10, COURT: 10})
    assert [item["data"]["@id"] for item in hook.items] == [CLASS, COURT, COURT, COURT]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(answers(500), id="500"),
        pytest.param(answers(404), id="404"),
        pytest.param(answers(599), id="no known status"),
        pytest.param(answers(307, Location="/elsewhere"), id="a redirect"),
        pytest.param(answers(429, Retry_After="0"), id="too fast"),
        pytest.param(answers(503, Retry_After="soon"), id="a strange Retry-After"),
        pytest.param(answers(503, Retry_After="9" * 5000), id="an endless Retry-After"),
        pytest.param(cuts, id="a broken connection"),
    ],
)
async def test_what_was_not_taken_is_sent_again(
    desk: Desk, hook: Hook, make_sender: MakeSender, fault: Fault
) -> None:
    """Anything but a 2xx means the same message again, with the same id, until it is taken."""
    await register(desk, 3)
    hook.faults.extend([fault] * 3)
    async with running(make_sender()):
        await until(lambda: len(hook.items) == 3)
    first, *_ = hook.attempts
    assert hook.attempts[:4] == [first] * 4
    assert hook.taken == [first, hook.attempts[4]]


async def test_a_receiver_that_hangs_is_given_up_and_tried_again(desk, hook, make_sender):
    """An attempt without an answer ends, and the message is sent again."""
    await register(desk, 1)
    hook.faults.append(hangs)
    async with running(make_sender(timeout_seconds=0.05)):
        await until(lambda: len(hook.taken) == 1)
    assert hook.attempts == hook.taken * 2


async def test_a_message_is_the_same_when_its_opportunities_change(desk, hook, make_sender):
    """A message that failed is sent again as it was, and what changed meanwhile comes after it."""
    await register(desk, 1)
    changing = asyncio.Event()

    async def fails_while_it_changes(request: web.Request) -> web.Response:
        await changing.wait()
        return web.Response(status=500)

    hook.faults.append(fails_while_it_changes)
    async with running(make_sender()):
        await until(lambda: bool(hook.attempts))
        await desk.quote(1, [(opportunity(0), OFFER)])
        changing.set()
        await until(lambda: last_free(hook) == {opportunity(0): 9})
    assert hook.attempts[0] == hook.attempts[1]
    assert [item["data"]["remainingAttendeeCapacity"] for item in hook.items] == [10, 9]


async def test_the_order_of_changes_survives_every_fault(desk, hook, make_sender):
    """Rule 22: per Opportunity no older state comes after a newer one, and the last one comes."""
    ids = await register(desk, 5)
    faults = [answers(500), cuts, answers(429, Retry_After="0"), hangs]
    async with running(make_sender(timeout_seconds=0.05)):
        for customer in range(1, 25):
            hook.faults.append(faults[customer % len(faults)])
            await desk.quote(customer, [(ids[customer % len(ids)], OFFER)])
        wanted = {id_: (await desk.spaces(id_))[2] for id_ in ids}
        await until(lambda: last_free(hook) == wanted)
    seen: dict[str, int] = {}
    for item in hook.items:
        assert item["modified"] > seen.get(item["id"], 0)
        seen[item["id"]] = item["modified"]


async def test_a_retry_after_is_honoured(desk, hook, make_sender, url):
    """A receiver that names a time is not tried before, up to a day; neither is it forgotten."""
    await register(desk, 1)
    hook.faults.extend(
        [
            answers(429, Retry_After="0"),
            answers(503, Retry_After="1000"),
        ]
    )
    with capture_logs() as logs:
        async with running(make_sender()):
            await until(lambda: len(_failures(logs)) == 2)
    assert [failure["retry_seconds"] for failure in _failures(logs)] == [0, 1000]
    assert not hook.taken


@pytest.mark.parametrize("retry_after", ["99999999", formatdate(4_102_444_800, usegmt=True)])
async def test_no_receiver_is_left_alone_for_more_than_a_day(
    desk: Desk, hook: Hook, make_sender: MakeSender, retry_after: str
) -> None:
    """A Retry-After in seconds or as a date counts up to a day."""
    await register(desk, 1)
    hook.faults.append(answers(503, Retry_After=retry_after))
    with capture_logs() as logs:
        async with running(make_sender()):
            await until(lambda: len(_failures(logs)) == 1)
    assert _failures(logs)[0]["retry_seconds"] == 86_400


async def test_pauses_grow_and_the_sender_never_gives_up(desk, hook, make_sender):
    """However often it fails, the pause stays bounded and the message is delivered."""
    await register(desk, 1)
    hook.faults.extend([answers(500)] * 60)
    async with running(make_sender()):
        await until(lambda: len(hook.taken) == 1)
    assert len(hook.attempts) == 61


async def test_a_receiver_that_is_gone_gets_nothing_more(desk, hook, make_sender):
    """After a 410 the sender ends, says so in one line, and a restart tries again."""
    await register(desk, 1)
    hook.faults.append(answers(410))
    with capture_logs() as logs:
        await make_sender().run()
    assert [line["event"] for line in logs] == ["webhook.gone"]
    assert len(hook.attempts) == 1
    async with running(make_sender()):
        await until(lambda: len(hook.taken) == 1)
    assert hook.attempts == hook.taken * 2


async def test_of_two_senders_one_sends(desk, hook, make_sender):
    """While two replicas live and nothing fails, every message is sent once."""
    first, second = make_sender(), make_sender()
    async with running(first, second):
        for customer, id_ in enumerate(await register(desk, 20)):
            await desk.quote(customer, [(id_, OFFER)])
        await until(lambda: set(last_free(hook).values()) == {9})
        first.stop()
        await desk.register(10, CLASS)
        await until(lambda: CLASS in last_free(hook))
        second.stop()
    assert len(set(hook.ids)) == len(hook.ids) == len(hook.attempts)


async def test_a_restart_goes_on_where_it_was(desk, hook, make_sender):
    """After a restart only what has not been delivered is sent."""
    await register(desk, 5)
    async with running(make_sender()):
        await until(lambda: len(hook.items) == 5)
    await desk.register(10, COURT)
    async with running(make_sender()):
        await until(lambda: len(hook.items) > 5)
    assert [item["data"]["@id"] for item in hook.items[5:]] == [COURT]


async def test_what_arrives_while_a_sender_is_stopped_is_not_sent_again(desk, hook, make_sender):
    """A sender that is stopped while a message is on its way still learns that it was taken."""
    await register(desk, 1)
    stopped = make_sender()

    async def stops(request: web.Request) -> web.Response:
        stopped.stop()
        hook.taken.append(hook.attempts[-1])
        return web.Response(status=202)

    hook.faults.append(stops)
    await stopped.run()
    await desk.register(10, COURT)
    async with running(make_sender()):
        await until(lambda: COURT in last_free(hook))
    assert [item["data"]["@id"] for item in hook.items] == [opportunity(0), COURT]


async def test_what_a_killed_sender_delivered_is_sent_again_under_its_id(
    desk, hook, make_sender, valkey_server
):
    """A sender that dies between delivery and saving sends twice, and the receiver can tell."""
    await register(desk, 1)
    dying = Batcher(connection_factory(valkey_server.url))

    async def kills(request: web.Request) -> web.Response:
        # Without its connection it can neither save the place nor give its turn back.
        await dying.close()
        return web.Response()

    hook.faults.append(kills)
    async with running(make_sender(dying, hold_seconds=0.1)):
        await until(lambda: bool(hook.attempts))
        async with running(make_sender()):
            await until(lambda: bool(hook.taken))
    assert hook.attempts == hook.taken * 2


async def test_a_sender_outlives_redis(desk, hook, make_sender, valkey_server):
    """Rule 25: while Redis is away nothing is sent, and then it goes on by itself."""
    await register(desk, 1)
    hasty = Batcher(connection_factory(valkey_server.url), deadline_seconds=0.1)
    async with running(make_sender(hasty)):
        await until(lambda: len(hook.taken) == 1)
        valkey_server.pause()
        with capture_logs() as logs:
            await until(lambda: any(line["event"] == "webhook.paused" for line in logs))
        valkey_server.resume()
        await desk.register(10, COURT)
        await until(lambda: len(hook.taken) == 2)
    await hasty.close()
    assert hook.attempts == hook.taken


async def test_nothing_secret_is_logged(desk, hook, url, batcher):
    """A failure's log line has neither the signing secret nor the address."""
    await register(desk, 1)
    hook.faults.extend([answers(500), cuts])
    feed = CapacityFeed(Feed(batcher, key_prefix="lease", partitions=64))
    turn = Turn(batcher, key_prefix="lease")
    with capture_logs() as logs:
        async with sending(feed, turn, url, [WebhookSecret(SECRET)]):
            await until(lambda: len(hook.taken) == 1)
    assert [line["reason"] for line in logs] == ["status 500", "ServerDisconnectedError"]
    assert HIDDEN not in str(logs)
    assert SECRET.removeprefix("whsec_") not in str(logs)


def _failures(logs: Any) -> list[dict[str, Any]]:
    return [line for line in logs if line["event"] == "webhook.not_delivered"]
