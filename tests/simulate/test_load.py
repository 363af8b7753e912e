"""The open loop, with servers that keep their Customers waiting, and one that lies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.client import LeaseService
from service.simulate.clock import Clock
from service.simulate.customers import customers
from service.simulate.load import play
from service.simulate.scenario import Scenario
from service.simulate.site import OWN_SELLER, Site
from service.simulate.tape import Outcome, Step, Tape
from service.simulate.verdict import judge
from service.simulate.visit import Bookings, World
from tests.simulate.liar import Interlude, Liar

CROWD = Scenario(customers=40, duration_seconds=0.2, spaces=5, think_seconds=0)
TICK = 0.001  # what a timer may come too early


@contextlib.asynccontextmanager
async def world_of(liar: Liar, scenario: Scenario, connections: int = 100) -> AsyncIterator[World]:
    """Give everything that Customers need, with the Opportunities of this server on sale."""
    server = TestServer(liar.app())
    await server.start_server()
    async with LeaseService.connect(
        str(server.make_url("")), patience_seconds=0, connections=connections
    ) as service:
        site = Site(service, scenario, OWN_SELLER, "test")
        await site.open()
        places = asyncio.Semaphore(connections)
        yield World(service, site, Clock(), places, Tape(), Bookings())
    await server.close()


async def test_nobody_waits_for_anybody_elses_answer() -> None:
    """All Customers come although none of them has been answered: the loop is open."""
    everybody_asks = asyncio.Event()

    async def wait_for_all() -> None:
        if liar.calls["C1"] == CROWD.customers:
            everybody_asks.set()
        await everybody_asks.wait()

    liar = Liar(before_c1=wait_for_all)
    async with world_of(liar, CROWD) as world:
        await play(world, CROWD)
    assert world.tape.arrived == CROWD.customers
    assert world.tape.outcomes == {Outcome.BOOKED: CROWD.customers}
    # Each of them waited until the last had come, and that is what their latency says.
    c1 = world.tape.series[Step.C1]
    last = max(customer.arrives for customer in customers(CROWD))
    assert all(due + took > last - TICK for due, took in zip(c1.due, c1.seconds, strict=True))


async def test_waiting_for_a_connection_is_in_the_latency() -> None:
    """With one connection those who queue for it are counted, and wait as long as they do."""
    may_answer = asyncio.Event()
    liar = Liar(before_c1=may_answer_of(may_answer))
    async with world_of(liar, CROWD, connections=1) as world:
        playing = asyncio.create_task(play(world, CROWD))
        while world.tape.arrived < CROWD.customers:
            await asyncio.sleep(0.01)
        released = world.clock.now()
        may_answer.set()
        await playing
    c1 = world.tape.series[Step.C1]
    assert world.tape.queued >= CROWD.customers - 1
    assert all(due + took >= released for due, took in zip(c1.due, c1.seconds, strict=True))


async def test_whoever_waits_at_the_end_is_sent_home() -> None:
    """The end of a run cuts no call short and lets nobody begin another one."""
    long_thought = Scenario(customers=20, duration_seconds=0.1, think_seconds=3600)
    async with world_of(Liar(), long_thought) as world:
        playing = asyncio.create_task(play(world, long_thought))
        while world.tape.leases < long_thought.customers:
            await asyncio.sleep(0.01)
        world.clock.end()
        await playing
        verdict = await judge(world.service, world.site, world.bookings, world.tape)
    assert world.tape.outcomes[Outcome.SENT_HOME] == long_thought.customers
    assert world.tape.failures.total() == 0
    assert not verdict.problems


async def test_a_customer_who_changes_their_mind_releases() -> None:
    """Those who abandon release or fall silent; none of them books."""
    fickle = Scenario(customers=40, duration_seconds=0.1, abandon=1, think_seconds=0)
    liar = Liar()
    async with world_of(liar, fickle) as world:
        await play(world, fickle)
    outcomes = world.tape.outcomes
    assert set(outcomes) == {Outcome.RELEASED, Outcome.SILENT}
    assert len(world.tape.series[Step.RELEASE].due) == outcomes[Outcome.RELEASED]
    assert liar.calls["B"] == 0


async def test_an_answer_that_cannot_be_read_is_a_failure() -> None:
    """What no lease service says counts as failed, and the Customer has nothing."""

    async def interfere() -> None:
        raise web.HTTPOk(text="<p>Please sign in.</p>")

    async with world_of(Liar(before_c1=interfere), CROWD) as world:
        await play(world, CROWD)
    assert world.tape.outcomes == {Outcome.FAILED: CROWD.customers}
    assert world.tape.failures == {(Step.C1, "an answer that cannot be read"): CROWD.customers}


@pytest.mark.parametrize(("admits", "said"), [(True, "are booked"), (False, "were accepted")])
async def test_an_oversell_is_found(admits: bool, said: str) -> None:  # noqa: FBT001 - the table's
    """More bookings than spaces are found out, whether the ledger admits them or not (rule 8)."""
    async with world_of(Liar(admits=admits), CROWD) as world:
        await play(world, CROWD)
        verdict = await judge(world.service, world.site, world.bookings, world.tape)
    assert verdict.accepted == CROWD.customers
    assert any(said in problem for problem in verdict.problems)
    assert "NOT as promised" in str(verdict)


async def test_a_lost_booking_is_found() -> None:
    """A booking that was accepted and is not in the ledger is a problem too."""
    async with world_of(Liar(), CROWD) as world:
        world.bookings.add(world.site.ids[0], 1)
        verdict = await judge(world.service, world.site, world.bookings, world.tape)
    assert "0 booked, and bookings of 1 were accepted" in verdict.problems[0]


def may_answer_of(event: asyncio.Event) -> Interlude:
    """Return an interlude that lasts until something has happened."""

    async def wait() -> None:
        await event.wait()

    return wait
