"""The example front-end over a real service with two worker processes."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from examples.booking_front_end.app import opened
from examples.booking_front_end.settings import Settings
from examples.booking_front_end.storage import Storage
from tests.conftest import make_short_folder
from tests.front_end.broker import Broker
from tests.process.program import Program


@pytest.fixture(scope="session")
def service_url() -> Iterator[str]:
    """Give a lease service, started once for all tests."""
    settings = {"LEASE_WORKERS": "2", "LEASE_REJECTION_GRACE_SECONDS": "600"}
    with make_short_folder() as folder, Program(Path(folder), **settings) as program:
        yield program.url


@pytest.fixture
def settings(service_url: str, tmp_path: Path) -> Settings:
    """Give settings whose ids no other test has."""
    return Settings(
        host="127.0.0.1",
        port=0,
        base_url=f"https://{uuid.uuid4().hex}.example.com",
        database=tmp_path / "front-end.sqlite3",
        service_url=service_url,
    )


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Broker]:
    """Give a Booking Partner of a front-end that serves for as long as the block lasts."""
    async with opened(settings) as app, ClientSession() as session:
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, settings.host, settings.port).start()
        host, port = runner.addresses[0][:2]
        yield Broker(session, f"http://{host}:{port}", settings.base_url)
        await runner.cleanup()


async def edit(settings: Settings, id_: str, **properties: object) -> None:
    """Change properties of what is sold, in the front-end's database; None takes one away."""
    async with Storage.open(settings.database) as storage, storage.transaction() as transaction:
        row = await storage.row("SELECT data FROM item WHERE url = ?", id_)
        assert row is not None
        data = {**json.loads(row["data"]), **properties}
        text = json.dumps({name: value for name, value in data.items() if value is not None})
        await transaction.execute("UPDATE item SET data = ? WHERE url = ?", (text, id_))


@pytest.fixture
async def broker(settings: Settings) -> AsyncIterator[Broker]:
    """Give a Booking Partner of a front-end of the test's own."""
    async with serving(settings) as broker:
        yield broker
