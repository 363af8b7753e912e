"""A server that is filled with Opportunities and leases, and the service in front of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bench import traffic, wrk
from bench.direct import Direct, direct
from bench.machine import resident_bytes
from bench.recorded import Recorded, recorded, recorded_registration
from bench.report import progress
from bench.stage import Stage, new_crowd
from bench.traffic import Template
from tests.process.program import Program
from tests.servers import RedisServer

SCRIPTS: Final = 500
"""Calls in a row of one measurement: they take some 50 ms."""

# What wrk had sent when its time was over is done all the same: one request per connection.
_UNDER_WAY: Final = 1_000

# So many commands take some ten seconds.
_TOLD: Final = 200_000

# Those who fill a server have numbers of their own, above all others.
_FILLERS: Final = 10**10


class World:
    """Opportunities of which each has room for everyone, numbered from 0."""

    def __init__(self, server: RedisServer, program: Program, connection: Direct) -> None:
        self.server = server
        self.program = program
        self.direct = connection
        self.opportunities = self.leases = 0
        self._quote = recorded(server, program, traffic.c1())
        self._release = recorded(server, program, traffic.release(), traffic.c1())
        self._registration = recorded_registration(server, program)

    def register(self, opportunities: int) -> float:
        """Register Opportunities until there are so many; return the bytes that each weighs."""
        numbers = range(self.opportunities, opportunities)
        self.opportunities = opportunities
        return self._bytes_each(len(numbers), (self._registration.fill(0, n) for n in numbers))

    def lease(self, leases: int, opportunities: int = 1) -> float:
        """Make leases until there are so many; return the bytes that each weighs.

        Args:
            leases: How many.
            opportunities: Over how many Opportunities they are spread evenly.

        """
        numbers = range(self.leases, leases)
        self.leases = leases
        calls = (self._quote.fill(_FILLERS + n, n % opportunities) for n in numbers)
        return self._bytes_each(len(numbers), calls)

    def script_cost(self, opportunities: int = 1) -> float:
        """Return the microseconds that the server says C1's script takes on new UUIDs.

        What they lease is given back, here and in `http_cost`.

        Args:
            opportunities: How many the customers choose from.

        """
        first = new_crowd()
        customers = range(first, first + SCRIPTS)
        microseconds = self.script_microseconds(self._quote, customers, opportunities)
        self.release(customers, opportunities)
        return microseconds

    def http_cost(self, opportunities: int = 1) -> float:
        """Return the microseconds from one answer of C1 to the next, over 64 connections."""
        first = new_crowd()
        load = wrk.load(
            self.program.url, traffic.c1(), seconds=1, first=first, opportunities=opportunities
        )
        self.release(range(first, first + load.requests + _UNDER_WAY), opportunities)
        return load.microseconds

    def script_microseconds(
        self, script: Recorded, customers: Iterable[int], opportunities: int = 1
    ) -> float:
        """Return what a script takes on average, as the server says."""
        calls = (
            script.fill(customer, traffic.choice(customer, opportunities))
            for customer in customers
        )
        return self.direct.script_microseconds(lambda: self.direct.run(calls))

    def recorded(self, request: Template) -> Recorded:
        """Return the script call that a request comes to."""
        return recorded(self.server, self.program, request)

    def release(self, customers: Iterable[int], opportunities: int = 1) -> None:
        """Give back what customers lease."""
        self.direct.run(
            self._release.fill(customer, traffic.choice(customer, opportunities))
            for customer in customers
        )

    def worker_bytes(self) -> int:
        """Return the memory that the service's worker has resident; 0 where nobody tells."""
        return resident_bytes(self.program.events("worker.listening")[0]["pid"]) or 0

    def _bytes_each(self, count: int, commands: Iterable[bytes]) -> float:
        before = self.direct.used_memory()
        self.direct.run(_told(commands, count))
        return (self.direct.used_memory() - before) / max(1, count)


def _told(commands: Iterable[bytes], count: int) -> Iterator[bytes]:
    """Yield commands, and say from time to time how many they were."""
    for number, command in enumerate(commands):
        if number and number % _TOLD == 0:
            progress(f"{number:,} of {count:,}")
        yield command


@contextmanager
def world(stage: Stage, folder: Path, **settings: str) -> Iterator[World]:
    """Give an empty world, with its server in a new folder; `settings` are the service's."""
    folder.mkdir()
    with ExitStack() as resources:
        server = resources.enter_context(stage.redis(folder))
        program = resources.enter_context(stage.service(folder, server, **settings))
        yield World(server, program, resources.enter_context(direct(server.socket)))
