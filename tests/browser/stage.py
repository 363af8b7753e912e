"""The service as a browser meets it: the real edge and ledger, the sweeper and the counter."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import msgspec
from aiohttp import ClientSession
from yarl import URL

from service.http import Tokens
from service.http.serving import serving
from service.ledger import OrderKey
from service.ledger.sweep import DueList
from service.model import OrderRequest
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.settings import Settings
from service.sweeper import Sweeper
from tests.http.application import api

SELLER = "https://leisure.example.com/sellers/riverside"
YOGA = "https://leisure.example.com/classes/sunrise-yoga"
SPIN = "https://leisure.example.com/classes/spin-45"

_PATHS = {"C1": "order-quote-templates", "C2": "order-quotes", "B": "orders"}


class Stage:
    """One service of a test's own on a loopback port, and calls to it in few words."""

    def __init__(self, redis_url: str, *, tokens: Tokens | None = None, **settings: Any) -> None:
        """Prepare it.

        Args:
            redis_url: The Redis; keys of other tests may be there.
            tokens: Who may call it.
            settings: Fields of `Settings`.

        """
        self.settings = Settings(**{"key_prefix": f"test-{uuid4().hex}"} | settings)
        self.batcher = Batcher(connection_factory(redis_url), deadline_seconds=0.5)
        self._app = api(self.batcher, self.settings, tokens)
        self._resources = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start it."""
        due = DueList(
            self.batcher,
            key_prefix=self.settings.key_prefix,
            partitions=self.settings.partitions,
        )
        self._resources.push_async_callback(self.batcher.close)
        bound = socket.create_server(("127.0.0.1", 0))
        await self._resources.enter_async_context(serving(self._app, [bound]))
        self._resources.callback(self._app.services.broadcast.close)
        for work in (Sweeper(due).run(), self._app.services.dashboard.keep_counting()):
            self._resources.callback(asyncio.create_task(work).cancel)
        self.url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        self._client = await self._resources.enter_async_context(ClientSession())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        await self._resources.aclose()

    async def register(
        self,
        capacity: int,
        id_: str = YOGA,
        *,
        seller: str = SELLER,
        kind: str = "ScheduledSession",
        pools: Sequence[str] = (),
    ) -> None:
        """Register an Opportunity, of which a space takes one of each of its pools."""
        name = "maximumUses" if kind == "Slot" else "maximumAttendeeCapacity"
        draws_on = [{"@id": pool, "spaces": 1} for pool in pools]
        entry = {"@type": kind, "@id": id_, "seller": seller, name: capacity}
        entry |= {"capacityPools": draws_on} if pools else {}
        await self.call("PUT", "opportunities", [entry])

    async def order(
        self, step: str, customer: int, spaces: int, id_: str = YOGA, *, seller: str = SELLER
    ) -> int:
        """Make C1, C2 or B for so many spaces, and return the status."""
        items = _items(spaces, id_)
        path = f"{_PATHS[step]}/{UUID(int=customer)}"
        return await self.call("PUT", path, {"seller": seller, "orderedItem": items})

    async def propose(self, customer: int, spaces: int, id_: str = YOGA) -> None:
        """Make P for so many spaces."""
        key = OrderKey(SELLER, "default", str(UUID(int=customer)))
        request = msgspec.convert({"orderedItem": _items(spaces, id_)}, OrderRequest)
        await self._app.services.ledger.propose(key, request)

    async def call(self, method: str, path: str, body: object) -> int:
        """Make a call, and return the status."""
        url = URL(f"{self.url}/{path}")
        async with self._client.request(method, url, json=body) as response:
            await response.read()
            return response.status


def _items(spaces: int, id_: str) -> list[dict[str, str]]:
    return [{"orderedItem": id_, "acceptedOffer": f"{id_}#offer"}] * spaces
