"""A run from its first call to its last: register, load, check, withdraw."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

import uvloop

from service.client import LeaseService
from service.errors import OpenBookingError
from service.simulate.clock import Clock
from service.simulate.environment import environment_of
from service.simulate.inventory import Inventory
from service.simulate.load import generate_load
from service.simulate.oversell import check_ledgers, check_redis
from service.simulate.recorder import Recorder
from service.simulate.result import Result, intervals_of, simulator_of, steps_of
from service.simulate.scenario import Scenario
from service.simulate.session import RunContext

_PATIENCE_SECONDS: Final = 4.0
_REFRESH_SECONDS: Final = 0.5


class Plan(NamedTuple):
    """What to run, against which service."""

    command: str
    """The command line, for the report."""
    url: str
    token: str | None
    seller: str
    preset: str
    scenario: Scenario
    connections: int
    keeps: bool
    """Whether the Opportunities stay on sale at the end."""
    redis_url: str | None
    """The service's Redis, if that is to be verified."""


Show = Callable[[Recorder, float], None]
"""Shows how far a run is, given the seconds since the start; called several times a second."""


def run_plan(plan: Plan, show: Show) -> Result:
    """Run a plan to its end, or to the first Ctrl-C.

    Args:
        plan: What to run.
        show: Shows how far it is.

    Raises:
        OpenBookingError: The service cannot be used.
        InventoryError: It does not accept the Opportunities.
        KeyboardInterrupt: A second Ctrl-C came, or one outside the load.

    """
    # Keeps what exists already out of the garbage collector's rounds: each stops the clock.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(plan, show))


async def _run(plan: Plan, show: Show) -> Result:
    async with (
        LeaseService.connect(
            plan.url, token=plan.token, patience_seconds=_PATIENCE_SECONDS, connections=2
        ) as patient,
        LeaseService.connect(
            plan.url, token=plan.token, patience_seconds=0, connections=plan.connections
        ) as service,
    ):
        # Without patience: an absent service is noticed at once.
        await service.inspect(plan.seller, [plan.seller])
        environment = await environment_of(service, plan.command)
        inventory = Inventory(patient, plan.scenario, plan.seller, secrets.token_hex(4))
        connections = asyncio.Semaphore(plan.connections)
        context = RunContext(service, inventory, Clock(), connections, recorder := Recorder())
        began = datetime.now(UTC)
        async with _on_sale(inventory, keeps=plan.keeps):
            cpu_seconds = _cpu_seconds()
            with _ended_by_signals(context.clock):
                showing = asyncio.create_task(_show(context, show))
                await generate_load(context, plan.scenario)
                seconds = context.clock.now()
                cores = (_cpu_seconds() - cpu_seconds) / seconds
                await showing
            check = await check_ledgers(patient, inventory, recorder)
            if plan.redis_url is not None:
                check.problems.extend(await check_redis(plan.redis_url))
    scenario = plan.scenario
    is_whole = recorder.arrived == scenario.customers
    arriving = scenario.duration_seconds if is_whole else min(seconds, scenario.duration_seconds)
    return Result(
        environment=environment,
        url=plan.url,
        seller=plan.seller,
        preset=plan.preset,
        began=began.strftime("%Y-%m-%dT%H:%M:%SZ"),
        is_whole=is_whole,
        seconds=seconds,
        scenario=scenario,
        arrived=recorder.arrived,
        offered_per_second=recorder.arrived / arriving,
        achieved_per_second=recorder.first_answered / max(arriving, recorder.last_first_answer),
        calls=recorder.call_count,
        calls_per_second=recorder.call_count / seconds,
        steps=steps_of(recorder),
        refusals=dict(recorder.refusals.most_common()),
        failures=dict(recorder.failures.most_common()),
        outcomes=dict(recorder.sessions.most_common()),
        leases=recorder.leases,
        bookings=recorder.orders,
        capacity=scenario.opportunities * scenario.spaces,
        **check._asdict(),
        is_audited=plan.redis_url is not None,
        simulator=simulator_of(recorder, cores),
        moments=intervals_of(recorder, seconds),
        spaces=recorder.spaces,
    )


@contextlib.asynccontextmanager
async def _on_sale(inventory: Inventory, *, keeps: bool) -> AsyncIterator[None]:
    try:
        await inventory.register()
        yield
    finally:
        if not keeps:
            # A service that is gone by now must not take the report with it.
            with contextlib.suppress(OpenBookingError):
                await inventory.withdraw()


@contextlib.contextmanager
def _ended_by_signals(clock: Clock) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end the load, and the second everything."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def restore() -> None:
        for number in signals:
            loop.remove_signal_handler(number)

    def end() -> None:
        restore()
        clock.end()

    for number in signals:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        restore()


async def _show(context: RunContext, show: Show) -> None:
    while not context.clock.is_over:
        show(context.recorder, context.clock.now())
        await asyncio.sleep(_REFRESH_SECONDS)
    show(context.recorder, context.clock.now())


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
