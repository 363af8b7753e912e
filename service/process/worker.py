"""One worker process: an event loop, the HTTP edge, the ledger, and one connection to Redis."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Final, NamedTuple

import structlog
import uvloop
from aiohttp import TraceConfig

from service import telemetry
from service.http import TokensFile, create_admin_app, create_app
from service.http.serving import serving
from service.ledger import Ledger
from service.ledger.conflicts import Conflicts
from service.ledger.dashboard import Dashboard
from service.ledger.dashboard_reads import Overview
from service.ledger.feed import CapacityFeed
from service.ledger.feed_order import FeedOrder
from service.ledger.feed_reads import Feed
from service.ledger.leader_lock import Turn
from service.ledger.statistics import Censuses
from service.ledger.store import Store
from service.ledger.sweep import DueList
from service.process.supervisor import UNUSABLE, Lifeline
from service.process.tls import Certificate
from service.redis.address import Location
from service.redis.check import ServerCheck, examine
from service.redis.connect import open_nodes
from service.redis.durability import Confirmation
from service.redis.errors import StoreError, UnusableServerError
from service.redis.fsync import keep_fsyncing
from service.redis.nodes import Nodes
from service.settings import Settings
from service.sweeper import Sweeper
from service.telemetry import Meter, Metrics
from service.webhooks import sending

_PAUSE_SECONDS: Final = 0.5

# So many objects more than were freed, and the collector has a look.
_GARBAGE: Final = 20_000

_log = structlog.stdlib.get_logger(__name__)


class Assignment(NamedTuple):
    """What the parent gives a worker."""

    nth: int
    metrics: Metrics
    settings: Settings
    tokens: TokensFile | None
    certificate: Certificate | None
    redis: Location
    server_check: ServerCheck
    api: Sequence[socket.socket]
    admin: Sequence[socket.socket]
    lifeline: Lifeline


def run(assignment: Assignment) -> int:
    """Serve until the lifeline says to finish, or breaks.

    Args:
        assignment: The settings, and what the parent opened.

    Returns:
        The process's exit code.

    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(assignment))


def _spare_the_collector() -> None:
    """Look for cyclic garbage seldom, and never among what stays as long as the process.

    By default a call in ten sets off a search, which finds next to nothing: the service makes no
    cycles of its own on the way of a call.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE)


async def check(redis: Location, server_check: ServerCheck, metrics: Metrics) -> None:
    """Look once whether Redis can be used, and say so in the log and the metrics.

    Args:
        redis: Where it is.
        server_check: What it is looked at for.
        metrics: Are told which server it is.

    Raises:
        UnusableServerError: It can not, for a reason that the operator has to see to.
        StoreError: It does not answer; it may later.

    """
    servers = await examine(redis, server_check)
    server = servers[0]
    metrics.redis = server.name, server.version
    _log.info("redis.usable", server=server.name, version=server.version, nodes=len(servers))
    confirmation = Confirmation.of(server_check.durability)
    fewest = min(len(server.replicas) for server in servers)
    if confirmation is not None and fewest < confirmation.replicas:
        # No refusal: a replica that is away for a while must not keep C1 and C2 from starting.
        _log.warning(
            "redis.replicas_missing",
            wanted=confirmation.replicas,
            connected=fewest,
            consequence="B, cancel and delete answer 503 until there are as many",
        )


async def _serve(assignment: Assignment) -> int:
    settings = assignment.settings
    tracing = telemetry.tracing_of(settings)
    meter = assignment.metrics.of_worker(assignment.nth, tracing.script if tracing else None)
    nodes = open_nodes(
        assignment.redis,
        durability=settings.durability,
        on_exchange=meter.exchanged,
        check_server=assignment.server_check,
    )
    store = Store(
        nodes,
        key_prefix=settings.key_prefix,
        partitions=settings.partitions,
        observer=meter,
    )
    ledger = Ledger(store, settings)
    feed = Feed(nodes, key_prefix=settings.key_prefix, partitions=settings.partitions)
    due = DueList(
        nodes,
        key_prefix=settings.key_prefix,
        partitions=settings.partitions,
        observer=meter,
    )
    order = FeedOrder(
        nodes,
        key_prefix=settings.key_prefix,
        partitions=settings.partitions,
        observer=meter,
    )
    dashboard = _dashboard(nodes, settings)
    file = assignment.tokens
    tokens = None if file is None else file.tokens
    api = create_app(
        ledger,
        settings,
        tokens,
        CapacityFeed(feed),
        dashboard,
        observer=meter,
        around=tracing.around if tracing else None,
    )
    admin = create_admin_app(api.services)
    trace_configs = [tracing.of_client()] if tracing else []
    async with contextlib.AsyncExitStack() as resources:
        if tracing:
            await resources.enter_async_context(tracing.until_the_end())
        resources.push_async_callback(nodes.close)
        await resources.enter_async_context(_in_background(Sweeper(due, meter, order).run()))
        if assignment.nth == 0:
            await resources.enter_async_context(_census(nodes, settings, meter))
            if settings.redis_url is None and settings.durability == "disk":
                fsyncing = keep_fsyncing(nodes.of(""), settings.data_dir)
                await resources.enter_async_context(_in_background(fsyncing))
        webhooks = _webhooks(nodes, CapacityFeed(feed), settings, trace_configs)
        await resources.enter_async_context(webhooks)
        await resources.enter_async_context(_in_background(dashboard.keep_counting()))
        if file is not None:
            await resources.enter_async_context(_in_background(file.follow()))
        context = None
        if assignment.certificate is not None:
            context = assignment.certificate.context
            await resources.enter_async_context(_in_background(assignment.certificate.follow()))
        await resources.enter_async_context(serving(admin, assignment.admin))
        await resources.enter_async_context(serving(api, assignment.api, context))
        _spare_the_collector()
        _log.info("worker.listening", pid=os.getpid())
        checking = asyncio.create_task(_check_until_usable(assignment))
        ending = asyncio.create_task(_end_of_service(assignment.lifeline))
        await asyncio.wait((ending, checking), return_when=asyncio.FIRST_COMPLETED)
        if checking.done() and not await checking:
            return UNUSABLE
        await ending
        checking.cancel()
        api.services.draining = True
        # An orphan hurries: it has no Valkey any more, and its successor waits for the port.
        if not assignment.lifeline.is_broken():
            await asyncio.sleep(settings.drain_seconds)
        # They would be in flight for ever.
        api.services.broadcast.close()
    return 0


def _dashboard(nodes: Nodes, settings: Settings) -> Dashboard:
    overview = Overview(nodes, key_prefix=settings.key_prefix, partitions=settings.partitions)
    return Dashboard(overview, Conflicts(nodes, key_prefix=settings.key_prefix))


def _census(
    nodes: Nodes, settings: Settings, meter: Meter
) -> contextlib.AbstractAsyncContextManager[None]:
    censuses = Censuses(nodes, key_prefix=settings.key_prefix, partitions=settings.partitions)
    return _in_background(censuses.run(meter.counted))


def _webhooks(
    nodes: Nodes,
    feed: CapacityFeed,
    settings: Settings,
    trace_configs: Sequence[TraceConfig],
) -> contextlib.AbstractAsyncContextManager[None]:
    if settings.webhook_url is None:
        return contextlib.nullcontext()
    turn = Turn(nodes, key_prefix=settings.key_prefix)
    return sending(feed, turn, settings.webhook_url, settings.webhook_secret, trace_configs)


@contextlib.asynccontextmanager
async def _in_background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Let something run, which never ends by itself, until the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _check_until_usable(assignment: Assignment) -> bool:
    """Return whether Redis can be used, as soon as it answers."""
    while not assignment.server_check.has_passed:
        try:
            await check(assignment.redis, assignment.server_check, assignment.metrics)
        except UnusableServerError as error:
            _log.error("redis.unusable", reason=str(error))
            return False
        except StoreError:
            await asyncio.sleep(_PAUSE_SECONDS)
    return True


async def _end_of_service(lifeline: Lifeline) -> None:
    """Wait until the parent says so, or is gone."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(lifeline.watched, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(lifeline.watched)
