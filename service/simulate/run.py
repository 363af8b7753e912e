"""A run from its first call to its last: register, play, judge, withdraw."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

import uvloop

from service import __version__
from service.client import LeaseService
from service.errors import OpenBookingError
from service.simulate import findings
from service.simulate.audit import audit
from service.simulate.clock import Clock
from service.simulate.findings import Findings
from service.simulate.load import play
from service.simulate.scenario import Scenario
from service.simulate.site import Site
from service.simulate.tape import Tape
from service.simulate.verdict import Verdict, judge
from service.simulate.visit import Bookings, World

_PATIENCE_SECONDS: Final = 4.0
_REFRESH_SECONDS: Final = 0.5


class Plan(NamedTuple):
    """What is to be run, and against which service."""

    url: str
    token: str | None
    seller: str
    preset: str
    scenario: Scenario
    connections: int
    keeps: bool
    """Whether the Opportunities stay when it is over."""
    redis_url: str | None
    """Where the service keeps what it stores, if that is to be verified too."""


Show = Callable[[World, Scenario], None]
"""Shows how far a run is; called a few times per second."""


def run(plan: Plan, show: Show) -> Findings:
    """Run a plan to its end, or to the first Ctrl-C.

    Args:
        plan: What is to be run.
        show: Shows how far it is.

    Raises:
        OpenBookingError: The service cannot be used, from the beginning.
        SiteError: It does not take the Opportunities.
        KeyboardInterrupt: A second Ctrl-C came.

    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(plan, show))


async def _run(plan: Plan, show: Show) -> Findings:
    async with (
        LeaseService.connect(
            plan.url, token=plan.token, patience_seconds=_PATIENCE_SECONDS, connections=2
        ) as patient,
        LeaseService.connect(
            plan.url, token=plan.token, patience_seconds=0, connections=plan.connections
        ) as service,
    ):
        # Whoever is not there is noticed at once, without patience.
        await service.inspect(plan.seller, [plan.seller])
        site = Site(patient, plan.scenario, plan.seller, secrets.token_hex(4))
        places = asyncio.Semaphore(plan.connections)
        world = World(service, site, Clock(), places, Tape(), Bookings())
        began = datetime.now(UTC)
        async with _opened(site, keeps=plan.keeps):
            cpu = _cpu_seconds()
            with _ended_by_signals(world.clock):
                showing = asyncio.create_task(_show(world, plan.scenario, show))
                await play(world, plan.scenario)
                seconds = world.clock.now()
                cores = (_cpu_seconds() - cpu) / seconds
                await showing
            verdict = await _verdict(patient, world, plan.redis_url)
        return _findings(plan, world, verdict, began=began, seconds=seconds, cores=cores)


async def _verdict(patient: LeaseService, world: World, redis_url: str | None) -> Verdict:
    """Judge the run; a service that is gone by now has not kept its promise."""
    try:
        verdict = await judge(patient, world.site, world.bookings, world.tape)
    except OpenBookingError as error:
        accepted = world.bookings.spaces.total()
        return Verdict(0, accepted, [f"the ledgers cannot be read: {error.description}"])
    if redis_url is None:
        return verdict
    found = await audit(redis_url)
    problems = [] if found.is_clean else [f"«lease-service verify» says: {found.said}"]
    return verdict._replace(problems=[*verdict.problems, *problems], is_audited=True)


@contextlib.asynccontextmanager
async def _opened(site: Site, *, keeps: bool) -> AsyncIterator[None]:
    """Have the Opportunities on sale within the block, whatever happens in it."""
    try:
        await site.open()
        yield
    finally:
        if not keeps:
            # A service that is gone by now must not take the report with it.
            with contextlib.suppress(OpenBookingError):
                await site.close()


@contextlib.contextmanager
def _ended_by_signals(clock: Clock) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end the run, with its report; the second ends everything."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def end() -> None:
        for number in signals:
            loop.remove_signal_handler(number)
        clock.end()

    for number in signals:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def _show(world: World, scenario: Scenario, show: Show) -> None:
    while not world.clock.is_over:
        show(world, scenario)
        await asyncio.sleep(_REFRESH_SECONDS)
    show(world, scenario)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _findings(
    plan: Plan, world: World, verdict: Verdict, *, began: datetime, seconds: float, cores: float
) -> Findings:
    tape, scenario = world.tape, plan.scenario
    is_whole = tape.arrived == scenario.customers
    coming = scenario.duration_seconds if is_whole else min(seconds, scenario.duration_seconds)
    return Findings(
        version=__version__,
        url=plan.url,
        seller=plan.seller,
        preset=plan.preset,
        began=began.strftime("%Y-%m-%dT%H:%M:%SZ"),
        is_whole=is_whole,
        seconds=seconds,
        scenario=scenario,
        arrived=tape.arrived,
        offered_per_second=tape.arrived / coming,
        achieved_per_second=tape.first_answered / max(coming, tape.last_first_answer),
        calls=tape.calls,
        calls_per_second=tape.calls / seconds,
        steps=findings.steps_of(tape),
        refusals=findings.refusals_of(tape),
        failures=findings.failures_of(tape),
        outcomes={outcome.value: count for outcome, count in tape.outcomes.most_common()},
        leases=tape.leases,
        bookings=world.bookings.orders,
        capacity=scenario.opportunities * scenario.spaces,
        booked=verdict.booked,
        accepted=verdict.accepted,
        problems=list(verdict.problems),
        is_audited=verdict.is_audited,
        simulator=findings.simulator_of(tape, cores),
        moments=findings.moments_of(tape, seconds),
        spaces=tape.spaces,
    )
