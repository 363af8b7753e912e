"""Generates the load: an open loop, in which Customers arrive whatever the service does."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from service.errors import OpenBookingError
from service.simulate.clock import RunOverError
from service.simulate.customers import customers
from service.simulate.inventory import capacity
from service.simulate.recorder import SpacesSample
from service.simulate.scenario import Scenario
from service.simulate.session import RunContext, Session

_SAMPLES: Final = 240
_SHORTEST_PAUSE: Final = 0.25


async def generate_load(context: RunContext, scenario: Scenario) -> None:
    """Start the clock, run a session for every Customer, and return when all have ended.

    Args:
        context: Whoever ends its clock ends the load.
        scenario: Says who arrives.

    """
    clock = context.clock
    crowd = customers(scenario)
    clock.start()
    cutoff = asyncio.get_running_loop().call_later(scenario.cutoff_seconds, clock.end)
    sampling = asyncio.create_task(_sample_until_over(context, scenario))
    async with asyncio.TaskGroup() as sessions:
        with contextlib.suppress(RunOverError):
            for customer in crowd:
                await clock.sleep_until(customer.arrives)
                context.recorder.arrived += 1
                sessions.create_task(Session(context, customer).run())
    cutoff.cancel()
    clock.end()
    await sampling


async def _sample_until_over(context: RunContext, scenario: Scenario) -> None:
    """Sample the ledgers from time to time, and once at the end."""
    pause = max(_SHORTEST_PAUSE, scenario.cutoff_seconds / _SAMPLES)
    with contextlib.suppress(RunOverError):
        while True:
            await _sample(context)
            await context.clock.sleep_until(context.clock.now() + pause)
    await _sample(context)


async def _sample(context: RunContext) -> None:
    recorder = context.recorder
    with contextlib.suppress(OpenBookingError):
        ledgers = await context.inventory.ledgers()
        booked = sum(ledger.booked for ledger in ledgers)
        leased = sum(ledger.leased for ledger in ledgers)
        free = sum(map(capacity, ledgers)) - booked - leased
        recorder.spaces.append(SpacesSample(context.clock.now(), free, leased, booked))
        for ledger in ledgers:
            if ledger.booked + ledger.leased > capacity(ledger):
                recorder.overcommitted.setdefault(ledger.id, ledger)
