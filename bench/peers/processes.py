"""Starts the servers that the service is compared with, each in a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg

from bench import traffic
from bench.direct import Direct
from bench.wrk import MissingProgramError, program
from tests.process.program import ROOT
from tests.servers import free_port

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0

_SCHEMA: Final = Path(__file__).with_name("schema.sql")
_DATABASE: Final = "postgres"

# PostgreSQL does not run as root; Debian's package makes this user.
_POSTGRES_USER: Final = "postgres"


@contextlib.contextmanager
def peer(name: str, folder: Path, *arguments: str) -> Iterator[str]:
    """Give the URL of one of the Python servers beside this file.

    Args:
        name: Of its module.
        folder: Where its output goes.
        arguments: What it needs besides its port.

    """
    port = free_port()
    command = [sys.executable, "-m", f"bench.peers.{name}", str(port), *arguments]
    with _running(command, folder / f"{name}-{port}.log", _accepts(port), cwd=ROOT):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def webdis(redis_port: int, folder: Path) -> Iterator[str]:
    """Give the URL of a webdis with one thread, in front of a Redis on loopback."""
    port = free_port()
    config = folder / "webdis.json"
    settings = {
        "redis_host": "127.0.0.1",
        "redis_port": redis_port,
        "redis_auth": None,
        "http_host": "127.0.0.1",
        "http_port": port,
        "threads": 1,
        "pool_size": 8,
        "daemonize": False,
        "websockets": False,
        "database": 0,
        "verbosity": 0,
        "logfile": str(folder / "webdis.log"),
    }
    config.write_text(json.dumps(settings), "utf-8")
    with _running([program("webdis"), str(config)], folder / "webdis.out", _accepts(port)):
        yield f"http://127.0.0.1:{port}"


class Postgres:
    """A PostgreSQL with a database of leases, on a unix socket."""

    def __init__(self, folder: Path) -> None:
        """Prepare it; `folder` is empty, and its path short."""
        self._folder = folder

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Start it with the schema and what can be booked in it.

        Raises:
            MissingProgramError: PostgreSQL is not installed.

        """
        binaries = postgres_binaries()
        account: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = {"user": _POSTGRES_USER, "group": _POSTGRES_USER, "extra_groups": []}
            shutil.chown(self._folder, _POSTGRES_USER, _POSTGRES_USER)
            # The folder above is private to whom it was made for.
            self._folder.parent.chmod(0o711)
        data = self._folder / "data"
        initdb = [str(binaries / "initdb"), "-D", str(data), "-U", _DATABASE, "-A", "trust"]
        subprocess.run(
            [*initdb, "-E", "UTF8", "--locale=C", "--no-instructions"],
            check=True,
            capture_output=True,
            cwd=self._folder,
            **account,
        )
        command = [str(binaries / "postgres"), "-D", str(data), "-k", str(self._folder)]
        for setting in ("listen_addresses=", "max_connections=200", "shared_buffers=512MB"):
            command += ["-c", setting]
        ready = self._folder / ".s.PGSQL.5432"
        log = self._folder / "postgres.log"
        with _running(command, log, _connects(ready), cwd=self._folder, **account):
            asyncio.run(self._fill())
            yield

    def url(self, *, durable: bool) -> str:
        """Return its address; not durable is one that does not wait for the disk at a commit."""
        address = f"postgresql://{_DATABASE}@/{_DATABASE}?host={self._folder}"
        return address if durable else f"{address}&synchronous_commit=off"

    async def _connection(self) -> asyncpg.Connection[Any]:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return await asyncpg.connect(self.url(durable=True))
            except asyncpg.CannotConnectNowError:
                # It listens a moment before it is ready.
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)

    async def _fill(self) -> None:
        connection = await self._connection()
        await connection.execute(_SCHEMA.read_text("utf-8"))
        await connection.executemany(
            "INSERT INTO opportunity (id, type, price, capacity) VALUES ($1, $2, $3, $4)",
            [
                (traffic.opportunity(number), "ScheduledSession", traffic.PRICE, traffic.CAPACITY)
                for number in range(SPREAD)
            ],
        )
        await connection.execute("VACUUM ANALYZE")
        await connection.close()


SPREAD: Final = 100
"""How many Opportunities the Customers choose from where they do not all want the same."""


def postgres_binaries() -> Path:
    """Return the folder of the newest PostgreSQL's programs; Debian has them off the PATH.

    Raises:
        MissingProgramError: There is none.

    """
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").is_file():
            return folder
    raise MissingProgramError("PostgreSQL (initdb) is not installed")


def register_for_watch(server: Direct) -> None:
    """Make the Opportunities known to the peer that uses WATCH."""
    for number in range(SPREAD):
        server.command(
            "HSET",
            f"watch:opportunity:{traffic.opportunity(number)}",
            *("type", "ScheduledSession", "price", traffic.PRICE),
            *("capacity", traffic.CAPACITY, "booked", 0, "leased", 0),
        )


def _accepts(port: int) -> Callable[[], bool]:
    def ready() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return True
        return False

    return ready


def _connects(path: Path) -> Callable[[], bool]:
    def ready() -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            return True
        return False

    return ready


@contextlib.contextmanager
def _running(
    command: Sequence[str], log: Path, ready: Callable[[], bool], **options: Any
) -> Iterator[None]:
    """Run a server, in a session of its own, from when it is ready until the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start: {log.read_text()[-500:]}")
            time.sleep(0.02)
        yield
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a server; PostgreSQL takes SIGINT for an order to be quick."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            return
