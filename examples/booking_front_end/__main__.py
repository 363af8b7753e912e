"""`python -m examples.booking_front_end`: the front-end, and the service that it calls.

Unless `FRONT_END_SERVICE_URL` names one that runs already, it starts the lease service with a
Valkey of its own; Ctrl-C ends all of it. Its settings are the usual `LEASE_*` variables.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NoReturn

from aiohttp import web

try:
    from examples.booking_front_end.app import opened
    from examples.booking_front_end.customers import trickle
    from examples.booking_front_end.keys import CATALOGUE, SELLERS
    from examples.booking_front_end.settings import Settings, SettingsError
    from examples.booking_front_end.stock import STOCKS
    from service.client import LeaseService
    from service.errors import OpenBookingError
except ImportError as missing:
    sys.exit(f"booking_front_end: it needs {missing.name}: pip install 'lease-service[front-end]'")

_START_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.05
_PUBLISHED_AT_ONCE: Final = 500
_FAILED: Final = 500

# A rejected OrderProposal keeps its spaces for a while: OpenActive's suite expects that they do
# not come back at once.
_SERVICE: Final = {
    "LEASE_WORKERS": "2",
    "LEASE_DATA_DIR": ":memory:",
    "LEASE_REJECTION_GRACE_SECONDS": "600",
    "LEASE_LOG_LEVEL": "warning",
    "LEASE_LOG_FORMAT": "json",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with one line; `--help` shows the usage."""
        self.exit(2, f"{self.prog}: {message}\n")


def main() -> None:
    """Run it until Ctrl-C."""
    parser = _Parser(prog="booking_front_end", description=__doc__, allow_abbrev=False)
    parser.add_argument("--stock", choices=[*STOCKS], help="what is sold from the start")
    parser.add_argument("--customers", action="store_true", help="let simulated Customers come")
    arguments = parser.parse_args()
    ended = contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError)
    with ended, tempfile.TemporaryDirectory() as folder:
        try:
            settings = Settings.from_environ(os.environ, Path(folder))
            asyncio.run(_run(settings, arguments.stock, customers=arguments.customers))
        except (SettingsError, OpenBookingError) as error:
            sys.exit(f"booking_front_end: {error}")


async def _run(settings: Settings, stock: str | None, *, customers: bool) -> None:
    # SIGTERM ends it as Ctrl-C does: by cancelling what runs here.
    if (task := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with contextlib.AsyncExitStack() as resources:
        if settings.starts_service:
            await resources.enter_async_context(_service(settings.service_url))
        try:
            app = await resources.enter_async_context(opened(settings))
        except sqlite3.Error as error:
            raise SettingsError(f"FRONT_END_DATABASE={settings.database}: {error}") from error
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        resources.push_async_callback(runner.cleanup)
        if stock is not None:
            await _publish(app, settings, stock)
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as error:
            taken = f"FRONT_END_LISTEN={settings.host}:{settings.port}"
            raise SettingsError(f"{taken}: {error.strerror}") from error
        sys.stdout.write(_screen(settings))
        sys.stdout.flush()
        await (trickle(settings, app[CATALOGUE]) if customers else asyncio.Event().wait())


async def _publish(app: web.Application, settings: Settings, stock: str) -> None:
    catalogue = app[CATALOGUE]
    if await catalogue.on_sale():
        return
    listings = []
    async for each in STOCKS[stock](catalogue, settings.base_url, app[SELLERS]):
        listings.append(each)
        if len(listings) == _PUBLISHED_AT_ONCE:
            await catalogue.publish(listings)
            listings.clear()
    await catalogue.publish(listings)


@contextlib.asynccontextmanager
async def _service(url: str) -> AsyncIterator[None]:
    """Run the lease service, in a session of its own so that it ends last."""
    if await _is_ready(url):
        raise SettingsError(f"a service runs at {url} already: set FRONT_END_SERVICE_URL={url}")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "service",
        "serve",
        env={**_SERVICE, **os.environ},
        start_new_session=True,
    )
    try:
        await _until_ready(url, process)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _until_ready(url: str, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while not await _is_ready(url):
            if process.returncode is not None:
                # It has said why.
                sys.exit(process.returncode or 1)
            await asyncio.sleep(_PAUSE_SECONDS)


async def _is_ready(url: str) -> bool:
    try:
        async with LeaseService.connect(url, patience_seconds=0) as service:
            await service.policy("default")
    except OpenBookingError as error:
        # Whatever it refuses, it answers.
        return error.status_code < _FAILED
    return True


def _screen(settings: Settings) -> str:
    return f"""
  The example front-end

  Dataset site      {settings.base_url}/openactive
  Open Booking API  {settings.api_url}
  Lease service     {settings.service_url}/docs
  Dashboard         {settings.service_url}/dashboard

  Ctrl-C ends all of it.

"""


if __name__ == "__main__":
    main()
