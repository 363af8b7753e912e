"""A front-end that is killed between the service and its own database repairs itself."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import aiosqlite
import pytest

from examples.booking_front_end.settings import Settings
from tests.front_end.broker import API, Broker
from tests.front_end.crashing import ORDER, STEPS, VERBS
from tests.process.program import ROOT


@pytest.fixture(params=STEPS)
def step(request: pytest.FixtureRequest) -> str:
    """Give each step at which a front-end may die."""
    return str(request.param)


@pytest.fixture(params=VERBS)
def verb(request: pytest.FixtureRequest) -> str:
    """Give each verb during which it may."""
    return str(request.param)


@pytest.fixture
async def killed(settings: Settings, step: str, verb: str) -> str:
    """Kill a front-end over the test's database, and return the id of what it sold."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.front_end.crashing",
        settings.service_url,
        settings.database,
        settings.base_url,
        step,
        verb,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == -signal.SIGKILL
    return output.decode()


async def open_intents(database: Path) -> int:
    """Return how much was begun and not finished."""
    async with aiosqlite.connect(database) as connection:
        rows = await connection.execute_fetchall("SELECT * FROM intent")
        return len(list(rows))


async def test_nothing_is_half_done(
    settings: Settings, killed: str, step: str, verb: str, broker: Broker
) -> None:
    """After a crash at any step both sides agree, and the Broker's next try is answered alike."""
    # A booking that never reached the service was not made: the Broker had no answer, and asks
    # again. What takes something back is finished.
    assert await open_intents(settings.database) == 0
    if verb in {"propose", "decide"}:
        found = await broker.call("GET", f"{API}/order-proposals/{ORDER}")
        assert (found.status == 200) == (verb == "decide" or step != STEPS[0])
        again = await broker.p(ORDER, killed)
        assert (again.status, await broker.p(ORDER, killed)) == (201, again)
        current = await broker.call("GET", f"{API}/order-proposals/{ORDER}")
        assert found.status == 404 or found.body == current.body
        decided = "SellerAccepted" if verb == "decide" else "AwaitingSellerConfirmation"
        assert current.body["orderProposalStatus"] == f"https://openactive.io/{decided}"
        await broker.sees(killed, 9)
        return
    was_made = verb != "book" or step != STEPS[0]
    status = (await broker.call("GET", f"{API}/orders/{ORDER}")).status
    found_as = 200 if was_made else 404
    assert status == (410 if verb == "delete" else found_as)
    again = await broker.b(ORDER, killed)
    if verb == "delete":
        assert again.body["@type"] == "OrderAlreadyExistsError"
    else:
        assert (again.status, await broker.b(ORDER, killed)) == (201, again)
    await broker.sees(killed, 9 if verb == "book" else 10)
