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
from service.simulate.inventory import OWN_SELLER, Inventory
from service.simulate.load import generate_load
from service.simulate.oversell import check_ledgers
from service.simulate.recorder import BookingStep, Recorder, SessionOutcome
from service.simulate.scenario import Scenario
from service.simulate.session import RunContext
from tests.simulate.liar import Interlude, Liar

CROWD = Scenario(customers=40, duration_seconds=0.2, spaces=5, think_seconds=0)
TICK = 0.001  # what a timer may come too early


@contextlib.asynccontextmanager
async def context_of(
    liar: Liar, scenario: Scenario, connections: int = 100
) -> AsyncIterator[RunContext]:
    """Give everything that Customers need, with the Opportunities of this server on sale."""
    server = TestServer(liar.app())
    await server.start_server()
    async with LeaseService.connect(
        str(server.make_url("")), patience_seconds=0, connections=connections
    ) as service:
        inventory = Inventory(service, scenario, OWN_SELLER, "test")
        await inventory.register()
        semaphore = asyncio.Semaphore(connections)
        yield RunContext(service, inventory, Clock(), semaphore, Recorder())
    await server.close()


async def test_nobody_waits_for_anybody_elses_answer() -> None:
    """All Customers come although none of them has been answered: the loop is open."""
    everybody_asks = asyncio.Event()

    async def wait_for_all() -> None:
        if liar.calls["C1"] == CROWD.customers:
            everybody_asks.set()
        await everybody_asks.wait()

    liar = Liar(before_c1=wait_for_all)
    async with context_of(liar, CROWD) as context:
        await generate_load(context, CROWD)
    assert context.recorder.arrived == CROWD.customers
    assert context.recorder.sessions == {SessionOutcome.BOOKED: CROWD.customers}
    # Each of them waited until the last had come, and that is what their latency says.
    c1 = context.recorder.calls[BookingStep.C1]
    last = max(customer.arrives for customer in customers(CROWD))
    assert all(due + took > last - TICK for due, took in zip(c1.due, c1.seconds, strict=True))


async def test_waiting_for_a_connection_is_in_the_latency() -> None:
    """With one connection those who queue for it are counted, and wait as long as they do."""
    may_answer = asyncio.Event()
    liar = Liar(before_c1=may_answer_of(may_answer))
    async with context_of(liar, CROWD, connections=1) as context:
        playing = asyncio.create_task(generate_load(context, CROWD))
        while context.recorder.arrived < CROWD.customers:
            await asyncio.sleep(0.01)
        released = context.clock.now()
        may_answer.set()
        await playing
    c1 = context.recorder.calls[BookingStep.C1]
    assert context.recorder.queued >= CROWD.customers - 1
    assert all(due + took >= released for due, took in zip(c1.due, c1.seconds, strict=True))


async def test_whoever_waits_at_the_end_is_sent_home() -> None:
    """The end of a run cuts no call short and lets nobody begin another one."""
    long_thought = Scenario(customers=20, duration_seconds=0.1, think_seconds=3600)
    async with context_of(Liar(), long_thought) as context:
        playing = asyncio.create_task(generate_load(context, long_thought))
        while context.recorder.leases < long_thought.customers:
            await asyncio.sleep(0.01)
        context.clock.end()
        await playing
        check = await check_ledgers(context.service, context.inventory, context.recorder)
    assert context.recorder.sessions[SessionOutcome.CUT_OFF] == long_thought.customers
    assert context.recorder.failures.total() == 0
    assert not check.problems


async def test_a_customer_who_changes_their_mind_releases() -> None:
    """Those who abandon release or fall silent; none of them books."""
    fickle = Scenario(customers=40, duration_seconds=0.1, abandon=1, think_seconds=0)
    liar = Liar()
    async with context_of(liar, fickle) as context:
        await generate_load(context, fickle)
    sessions = context.recorder.sessions
    assert set(sessions) == {SessionOutcome.RELEASED, SessionOutcome.SILENT}
    assert (
        len(context.recorder.calls[BookingStep.RELEASE].due) == sessions[SessionOutcome.RELEASED]
    )
    assert liar.calls["B"] == 0


async def test_an_answer_that_cannot_be_read_is_a_failure() -> None:
    """What no lease service says counts as failed, and the Customer has nothing."""

    async def interfere() -> None:
        raise web.HTTPOk(text="<p>Please sign in.</p>")

    async with context_of(Liar(before_c1=interfere), CROWD) as context:
        await generate_load(context, CROWD)
    assert context.recorder.sessions == {SessionOutcome.FAILED: CROWD.customers}
    assert context.recorder.failures == {"C1: an answer that cannot be read": CROWD.customers}


@pytest.mark.parametrize(("admits", "said"), [(True, "are booked"), (False, "were accepted")])
async def test_an_oversell_is_found(admits: bool, said: str) -> None:  # noqa: FBT001 - the table's
    """More bookings than spaces are found out, whether the ledger admits them or not (rule 8)."""
    async with context_of(Liar(admits=admits), CROWD) as context:
        await generate_load(context, CROWD)
        check = await check_ledgers(context.service, context.inventory, context.recorder)
    assert check.accepted == CROWD.customers
    assert any(said in problem for problem in check.problems)


async def test_a_lost_booking_is_found() -> None:
    """A booking that was accepted and is not in the ledger is a problem too."""
    async with context_of(Liar(), CROWD) as context:
        context.recorder.booked[context.inventory.ids[0]] += 1
        check = await check_ledgers(context.service, context.inventory, context.recorder)
    assert "0 booked, and bookings of 1 were accepted" in check.problems[0]


def may_answer_of(event: asyncio.Event) -> Interlude:
    """Return an interlude that lasts until something has happened."""

    async def wait() -> None:
        await event.wait()

    return wait
