"""What every section of the benchmark gets: folders, a kind of server, and how much to do."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.process.program import Program
from tests.servers import RedisServer

HOLD_SECONDS: Final = 3_600
_customers: Final = itertools.count(1)

# docs/operations.md, «Redis settings that matter».
_AS_ADVISED: Final[dict[str, str | int]] = {"hash_max_listpack_value": 2048, "hz": 100}

# No load sends as many.
_CROWD: Final = 1_000_000


class Stage(NamedTuple):
    """Where a section plays."""

    server: str
    """The kind of server that keeps the leases, as the tables call it."""
    binary: str
    images: Path
    """The folder of the pictures."""
    rounds: int = 5
    """Of the comparison."""
    largest: int = 1_000_000
    """How many leases and Opportunities there are at the most."""
    brief: bool = False
    """Whether it is enough that everything is tried."""

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """Give an empty folder with a short path: that of a unix socket has at most 107 bytes."""
        with tempfile.TemporaryDirectory(prefix="lease-") as folder:
            yield Path(folder)

    @contextlib.contextmanager
    def redis(self, folder: Path, **config: str | int) -> Iterator[RedisServer]:
        """Give a server that keeps leases, on a unix socket in the folder, set as advised."""
        with RedisServer(self.binary, folder, **(_AS_ADVISED | config)) as server:
            yield server

    @contextlib.contextmanager
    def service(self, folder: Path, server: RedisServer, **settings: str) -> Iterator[Program]:
        """Give the service with one worker, whose leases last for an hour."""
        defaults = {
            "LEASE_REDIS_URL": server.url,
            "LEASE_WORKERS": "1",
            "LEASE_ANONYMOUS_SECONDS": str(HOLD_SECONDS),
            "LEASE_NAMED_SECONDS": str(HOLD_SECONDS),
        }
        with Program(folder, **(defaults | settings)) as program:
            yield program


def new_crowd() -> int:
    """Return the first of a million customers who have never called."""
    return next(_customers) * _CROWD
