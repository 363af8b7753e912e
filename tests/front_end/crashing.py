"""A front-end that dies at a step of its own choice, and what it books: run by test_crash.py.

Arguments: the service's URL, the database, the base URL, where to die, and what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web

from examples.booking_front_end import app as front_end
from examples.booking_front_end.settings import Settings
from examples.booking_front_end.storage import Storage, Transaction
from service.client import LeaseService
from tests.front_end.broker import API, Broker
from tests.front_end.test_booking import cancel

STEPS = ("before the service", "after the service", "after the commit")
VERBS = ("book", "propose", "cancel", "delete", "decide")


def die() -> None:
    """End this process as a crash does."""
    os.kill(os.getpid(), signal.SIGKILL)


def mortal(step: str, verb: str) -> tuple[type[Storage], type[LeaseService]]:
    """Return a database and a client of which one dies at a step of a verb."""

    class MortalStorage(Storage):
        @contextlib.asynccontextmanager
        async def transaction(self) -> AsyncIterator[Transaction]:
            async with super().transaction() as transaction:
                yield transaction
            if step == STEPS[2] and asked:
                die()

    class MortalService(LeaseService):
        pass

    asked: list[str] = []

    def dying(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def wrapped(*values: Any, **named: Any) -> Any:
            if step == STEPS[0]:
                die()
            answer = await call(*values, **named)
            asked.append(verb)
            if step == STEPS[1]:
                die()
            return answer

        return wrapped

    setattr(MortalService, verb, dying(getattr(LeaseService, verb)))
    return MortalStorage, MortalService


async def main(service_url: str, database: str, base_url: str, step: str, verb: str) -> None:
    """Make what is needed, then do what ends in death."""
    settings = Settings("127.0.0.1", 0, base_url, Path(database), service_url)
    storage_type, service_type = mortal(step, verb)
    async with (
        storage_type.open(settings.database) as storage,
        service_type.connect(settings.service_url) as service,
        ClientSession() as session,
    ):
        runner = web.AppRunner(front_end.create_app(settings, storage, service))
        await runner.setup()
        await web.TCPSite(runner, settings.host, settings.port).start()
        host, port = runner.addresses[0][:2]
        await act(Broker(session, f"http://{host}:{port}", base_url), verb)


ORDER = "e11429ea-467f-4270-ab62-e47368996fe8"


async def act(broker: Broker, verb: str) -> None:
    """Do, as its Broker, what lets the front-end carry out this verb."""
    id_ = await broker.create(flow="Approval" if verb in {"propose", "decide"} else "Simple")
    sys.stdout.write(id_)
    sys.stdout.flush()
    if verb in {"propose", "decide"}:
        proposal = await broker.p(ORDER, id_)
        await broker.act("SellerAcceptOrderProposal", proposal)
    else:
        booked = await broker.b(ORDER, id_)
        if verb == "cancel":
            await cancel(broker, booked, 0)
        await broker.call("DELETE", f"{API}/orders/{ORDER}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
