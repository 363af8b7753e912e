"""The open loop: everybody comes when they come, whatever the service does."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from typing import Final

from service.errors import OpenBookingError
from service.simulate.clock import SentHomeError
from service.simulate.customers import customers
from service.simulate.scenario import Scenario
from service.simulate.site import capacity
from service.simulate.tape import Spaces
from service.simulate.visit import Visit, World

_LOOKS: Final = 240
_SHORTEST_PAUSE: Final = 0.25


async def play(world: World, scenario: Scenario) -> None:
    """Let everybody come, and return when they have gone or the time is over.

    Args:
        world: Its clock starts now; whoever ends it ends the run.
        scenario: Who comes.

    """
    clock = world.clock
    crowd = customers(scenario)
    pause = max(_SHORTEST_PAUSE, scenario.longest_seconds / _LOOKS)
    with _undisturbed():
        clock.start()
        ending = asyncio.get_running_loop().call_later(scenario.longest_seconds, clock.end)
        looking = asyncio.create_task(_watch(world, pause))
        async with asyncio.TaskGroup() as visits:
            with contextlib.suppress(SentHomeError):
                for customer in crowd:
                    await clock.reach(customer.arrives)
                    world.tape.arrived += 1
                    visits.create_task(Visit(world, customer).run())
        ending.cancel()
        clock.end()
        await looking


async def look(world: World) -> None:
    """Write down what is free, leased and booked now; nothing where the service does not say."""
    try:
        ledgers = await world.site.ledgers()
    except OpenBookingError:
        return
    total = sum(map(capacity, ledgers))
    booked = sum(ledger.booked for ledger in ledgers)
    leased = sum(ledger.leased for ledger in ledgers)
    free = total - booked - leased
    world.tape.spaces.append(Spaces(world.clock.now(), free, leased, booked))
    for ledger in ledgers:
        if ledger.booked + ledger.leased > capacity(ledger):
            world.tape.too_much.setdefault(ledger.id, ledger)


async def _watch(world: World, pause: float) -> None:
    """Look from time to time, and once more at the end."""
    with contextlib.suppress(SentHomeError):
        while True:
            await look(world)
            await world.clock.reach(world.clock.now() + pause)
    await look(world)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep what exists already out of the garbage collector's rounds: each stops the clock."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
