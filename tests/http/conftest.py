"""The edge over a real ledger, and over one that only remembers what it was asked."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator

import pytest

from service.http import body, connection, serving
from service.http.middleware import App
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.setting_types import ByteCount
from service.settings import Settings
from tests.http.application import api, recorded
from tests.http.caller import MakeCaller, callers
from tests.http.front_end import FrontEnd
from tests.http.recording import RecordingLedger
from tests.http.served import Client, MakeClient
from tests.servers import RedisServer


@pytest.fixture
async def aiohttp_client() -> AsyncIterator[MakeClient]:
    """Give a maker of clients of an application that is served as a worker does it."""
    async with contextlib.AsyncExitStack() as clients:

        async def make(app: App) -> Client:
            return await clients.enter_async_context(Client(app))

        yield make


@pytest.fixture
def settings() -> Settings:
    """Give settings whose keys no other test has."""
    return Settings(key_prefix=f"test-{uuid.uuid4().hex}")


@pytest.fixture
async def client(
    aiohttp_client: MakeClient, valkey_server: RedisServer, settings: Settings
) -> AsyncIterator[Client]:
    """Give a client of the API over the embedded Valkey."""
    batcher = Batcher(connection_factory(valkey_server.url))
    yield await aiohttp_client(api(batcher, settings))
    await batcher.close()


@pytest.fixture
def recording() -> RecordingLedger:
    """Give a ledger that remembers what the edge asked."""
    return RecordingLedger()


@pytest.fixture
async def edge(aiohttp_client: MakeClient, recording: RecordingLedger) -> Client:
    """Give a client of the edge over the recording ledger, with a body limit of 4 KiB."""
    settings = Settings(body_limit=ByteCount(4096))
    return await aiohttp_client(recorded(recording, settings))


@pytest.fixture
def desk(client: Client) -> FrontEnd:
    """Give a booking front-end whose requests reach the embedded Valkey."""
    return FrontEnd(client)


@pytest.fixture
async def call(recording: RecordingLedger) -> AsyncIterator[MakeCaller]:
    """Serve the edge over a ledger that remembers; give what connects to it."""
    async with callers(recorded(recording, Settings(body_limit=ByteCount(4096)))) as connect:
        yield connect


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the service lose its patience within a test's."""
    monkeypatch.setattr(serving, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(connection, "TAKE_SECONDS", 0.3)
    monkeypatch.setattr(body, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(body, "MOVE_SECONDS", 0.3)
