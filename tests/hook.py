"""A front-end's end of the webhooks, which verifies what comes and fails as it is told."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeAlias

from aiohttp import web
from standardwebhooks import Webhook

SECRET = "whsec_" + "c2VjcmV0" * 4

Fault: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Attempt(NamedTuple):
    """One request of the sender."""

    id: str
    body: bytes

    @property
    def items(self) -> list[dict[str, Any]]:
        """The feed's items in it."""
        items: list[dict[str, Any]] = json.loads(self.body)["data"]["items"]
        return items


def answers(status: int, **headers: str) -> Fault:
    """Answer with a status that says that the message was not taken."""

    async def fault(request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return web.Response(status=status, headers=named)

    return fault


async def hangs(request: web.Request) -> web.Response:
    """Take the message and say nothing."""
    await asyncio.Event().wait()
    raise AssertionError


async def cuts(request: web.Request) -> web.Response:
    """Take the message and break the connection."""
    assert request.transport
    request.transport.abort()
    return web.Response()


class Hook:
    """What was attempted and what was taken, in order."""

    def __init__(self) -> None:
        """Take everything."""
        self.attempts: list[Attempt] = []
        self.taken: list[Attempt] = []
        self.faults: deque[Fault] = deque()

    @property
    def items(self) -> list[dict[str, Any]]:
        """The items of all messages that were taken."""
        return [item for attempt in self.taken for item in attempt.items]

    @property
    def ids(self) -> list[str]:
        """The ids of all messages that were taken."""
        return [attempt.id for attempt in self.taken]

    def app(self) -> web.Application:
        """Return it as an application: `/hook`, and `/elsewhere`, which would lose everything."""
        app = web.Application()
        app.router.add_post("/hook", self._take)
        app.router.add_route("*", "/elsewhere", answers(200))
        return app

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        # A message that is not signed well fails the test: aiohttp answers 500 for ever.
        Webhook(SECRET).verify(body, dict(request.headers))
        assert request.content_type == "application/json"
        attempt = Attempt(request.headers["webhook-id"], body)
        self.attempts.append(attempt)
        if self.faults:
            return await self.faults.popleft()(request)
        self.taken.append(attempt)
        return web.Response(status=202)
