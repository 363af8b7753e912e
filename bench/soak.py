"""`make soak`: long enough at 70 % of what the machine can do, does memory level off?"""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple, Self

from bench import open_loop, page, picture, traffic, wrk
from bench.calls import Caller
from bench.direct import Direct, direct
from bench.machine import resident_bytes
from bench.picture import IMAGES
from bench.report import Findings, Goal, Table, figure, progress
from bench.stage import Stage, new_crowd
from service.arguments import ArgumentParser
from tests.process.program import COMMAND, Program, environment
from tests.servers import RedisServer, valkey_binary

LOAD: Final = 0.7
OPPORTUNITIES: Final = 100
LEASE_SECONDS: Final = 60
MAXIMUM_HOLD_SECONDS: Final = 120
BOOKERS: Final = 50
"""One Customer in so many books; of the others every second one gives back what was leased."""

# C2 comes so many Customers after C1, and the end as many after C2: long after the answer.
_BEHIND: Final = 1_000

_CAPACITY_SECONDS: Final = 5
_WEIGHED_ORDERS: Final = 2_000
_SAMPLES: Final = 400
_PAUSE_SECONDS: Final = 0.1
_REPORT_SECONDS: Final = 15.0
_VERIFY_SECONDS: Final = 1_800
_LEVEL: Final = 0.02

VERIFY: Final = "lease-service verify"
_JUDGED: Final = 2
"""The first so many series have to be level."""

METHOD: Final = (
    "One worker and one server; {rate:,.0f} requests per second, evenly spaced, which is"
    f" {LOAD:.0%} of the C1 that wrk got answered over 64 connections just before;"
    " {achieved:,.0f} were achieved. Customers of"
    f" {OPPORTUNITIES} Opportunities: C1, C2, then one in {BOOKERS} books, every second one"
    f" releases, the others let their lease of {LEASE_SECONDS} s lapse. Booked Orders are kept for"
    " ever, and a server grows by them: *beyond Orders* is without what they weigh ({weight:,.0f}"
    " bytes each, measured before). *Slope* is that of the second half, by least squares; a memory"
    f" is level that grows by less than {_LEVEL:.0%} in that time."
)


class Sample(NamedTuple):
    """What was in use at a moment; sizes in bytes."""

    seconds: float
    worker: int
    redis: int
    redis_resident: int
    orders: int


class Trend(NamedTuple):
    """How something went in the second half."""

    before: float
    after: float
    per_hour: float

    @property
    def is_level(self) -> bool:
        """Tell whether it has stopped growing."""
        return self.after - self.before <= _LEVEL * max(self.before, 1.0)


def trend(seconds: Sequence[float], values: Sequence[float]) -> Trend:
    """Return the trend of the second half of a series, by least squares."""
    half = len(values) // 2
    times, later = seconds[half:], values[half:]
    slope, start = statistics.linear_regression(times, later)
    return Trend(start + slope * times[0], start + slope * times[-1], slope * 3_600)


class Customers:
    """Their requests in order, and how they were answered."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.orders = 0
        self.latencies: list[float] = []
        self._first = new_crowd() * 1_000

    def requests(self) -> Iterator[bytes]:
        """Yield one request after the other, without end."""
        c1, c2, b, release = traffic.c1(), traffic.c2(), traffic.b(), traffic.release()
        for newest in count(self._first):
            for template, customer in ((c1, newest), (c2, newest - _BEHIND)):
                if customer >= self._first:
                    yield template.fill(customer, traffic.choice(customer, OPPORTUNITIES))
            leaving = newest - 2 * _BEHIND
            if leaving < self._first:
                continue
            if leaving % BOOKERS == 0:
                self.orders += 1
                yield b.fill(leaving, traffic.choice(leaving, OPPORTUNITIES))
            elif leaving % 2 == 0:
                yield release.fill(leaving)

    def note(self, answered: open_loop.Answered) -> None:
        """Take down an answer."""
        self.statuses[answered.status] += 1
        self.latencies.append(answered.latency)

    def recent_p99_ms(self) -> float:
        """Return the p99 since the last time it was asked for."""
        recent, self.latencies = self.latencies, []
        return open_loop.percentile(recent, 99) * 1e3 if recent else 0.0

    @property
    def refused(self) -> int:
        """How many were not answered with success."""
        return sum(many for status, many in self.statuses.items() if status >= 300)


def measure(stage: Stage, minutes: float) -> Findings:
    """Keep the service busy for so many minutes, and look at its memory meanwhile."""
    settings = {
        "LEASE_ANONYMOUS_SECONDS": str(LEASE_SECONDS),
        "LEASE_NAMED_SECONDS": str(LEASE_SECONDS),
        "LEASE_MAXIMUM_HOLD_SECONDS": str(MAXIMUM_HOLD_SECONDS),
    }
    with stage.folder() as folder, ExitStack() as resources:
        server = resources.enter_context(stage.redis(folder))
        service = resources.enter_context(stage.service(folder, server, **settings))
        connection = resources.enter_context(direct(server.socket))
        with Caller(service.url) as caller:
            caller.register(range(OPPORTUNITIES))
            weight = _order_bytes(caller, connection)
        progress("measuring what the machine can do")
        load = wrk.load(service.url, traffic.c1(), seconds=_CAPACITY_SECONDS, first=new_crowd())
        rate, customers = LOAD * load.rate, Customers()
        progress(f"{rate:,.0f} requests per second for {minutes:g} minutes")
        with _Sampler(service, connection, customers, minutes) as sampler:
            achieved = open_loop.run(
                service.url,
                customers.requests(),
                rate=rate,
                seconds=60 * minutes,
                note=customers.note,
            )
        is_clean = _verify(folder, server)
    method = METHOD.format(rate=rate, achieved=achieved, weight=weight)
    series: dict[str, list[float]] = {
        "the worker, resident": [sample.worker for sample in sampler.samples],
        "the server's data, beyond Orders": [
            sample.redis - weight * sample.orders for sample in sampler.samples
        ],
        "the server's data": [sample.redis for sample in sampler.samples],
        "the server, resident": [sample.redis_resident for sample in sampler.samples],
    }
    seconds = [sample.seconds for sample in sampler.samples]
    trends = {name: trend(seconds, values) for name, values in series.items()}
    drawn = _picture(stage, seconds, series)
    starts = [values[0] for values in series.values()]
    return Findings(
        _headline(trends, minutes, customers, is_clean=is_clean),
        [_table(trends, starts, method)],
        _goals(trends, customers, is_clean=is_clean),
        [drawn],
    )


def _order_bytes(caller: Caller, connection: Direct) -> float:
    """Return what a booked Order weighs."""
    first, before = new_crowd(), connection.used_memory()
    for customer in range(first, first + _WEIGHED_ORDERS):
        caller.succeed(traffic.b().fill(customer, traffic.choice(customer, OPPORTUNITIES)))
    return (connection.used_memory() - before) / _WEIGHED_ORDERS


class _Sampler:
    """Looks at the memory every few seconds, and says how it goes."""

    def __init__(
        self, service: Program, connection: Direct, customers: Customers, minutes: float
    ) -> None:
        self.samples: list[Sample] = []
        self._worker = service.events("worker.listening")[0]["pid"]
        self._connection = connection
        self._customers = customers
        self._minutes = minutes
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._began = self._reported = time.monotonic()

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(max(_PAUSE_SECONDS, 60 * self._minutes / _SAMPLES)):
            memory = self._connection.info("memory")
            now = time.monotonic()
            sample = Sample(
                now - self._began,
                resident_bytes(self._worker) or 0,
                int(memory["used_memory"]),
                int(memory["used_memory_rss"]),
                self._customers.orders,
            )
            self.samples.append(sample)
            if now - self._reported > _REPORT_SECONDS:
                self._reported = now
                self._report(sample)

    def _report(self, sample: Sample) -> None:
        answered = self._customers.statuses.total()
        progress(
            f"{sample.seconds / 60:.1f} of {self._minutes:g} minutes: {answered:,} answers,"
            f" {self._customers.refused} refused, p99 {self._customers.recent_p99_ms():.1f} ms;"
            f" worker {_mebibytes(sample.worker)}, server {_mebibytes(sample.redis)} MiB"
        )


def _verify(folder: Path, server: RedisServer) -> bool:
    progress("lease-service verify")
    ended = subprocess.run(
        [*COMMAND, "verify"],
        cwd=folder,
        env=environment(folder, {"LEASE_REDIS_URL": server.url}),
        timeout=_VERIFY_SECONDS,
        check=False,
    )
    return ended.returncode == 0


def _table(trends: dict[str, Trend], starts: Sequence[float], method: str) -> Table:
    rows = [
        (
            name,
            *map(_mebibytes, (start, found.before, found.after)),
            f"{found.per_hour / 2**20:+.2f}",
            "yes" if found.is_level else "no",
        )
        for (name, found), start in zip(trends.items(), starts, strict=True)
    ]
    columns = ("MiB", "at the start", "after half", "at the end", "slope per hour", "level")
    return Table("Memory in the long run", method, columns, rows)


def _goals(trends: dict[str, Trend], customers: Customers, *, is_clean: bool) -> list[Goal]:
    goals = [
        Goal(name, "level", "level" if found.is_level else "grows", found.is_level)
        for name, found in tuple(trends.items())[:_JUDGED]
    ]
    goals.append(Goal(VERIFY, "clean", "clean" if is_clean else "differences", is_clean))
    refused = f"refused, of {customers.statuses.total():,}"
    return [*goals, Goal.at_most(refused, 0, float(customers.refused))]


def _headline(
    trends: dict[str, Trend], minutes: float, customers: Customers, *, is_clean: bool
) -> str:
    levels = all(found.is_level for found in tuple(trends.values())[:_JUDGED])
    return (
        f"memory {'levels off' if levels else 'grows'} over {minutes:g} minutes and"
        f" {customers.statuses.total():,} requests,"
        f" verify {'is clean' if is_clean else 'finds differences'}"
    )


def _picture(stage: Stage, seconds: Sequence[float], series: dict[str, list[float]]) -> str:
    curves = {
        name: [(at / 60, value / 2**20) for at, value in zip(seconds, values, strict=True)]
        for name, values in series.items()
    }
    return picture.lines(
        stage.images / "bench-soak.png",
        f"Memory at {LOAD:.0%} of full load",
        "minutes",
        "MiB",
        curves,
        logarithmic=False,
    )


def _mebibytes(size: float) -> str:
    return figure(size / 2**20)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return 1 where `verify` finds a difference."""
    parser = ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="%(default)g")
    parser.add_argument("--page", type=Path, default=page.PAGE, help="kept here (%(default)s)")
    parser.add_argument("--images", type=Path, default=IMAGES, help="picture (%(default)s)")
    chosen = parser.parse_args(arguments)
    # The servers that were started end as they do after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    stage = Stage("valkey", valkey_binary(), chosen.images)
    began = time.monotonic()
    findings = measure(stage, chosen.minutes)
    command = f"make soak SOAK_MINUTES={chosen.minutes:g}"
    text = page.keep(
        chosen.page, stage, "Soak", findings, command=command, seconds=time.monotonic() - began
    )
    sys.stdout.write(f"\n{text}\n")
    return 0 if all(goal.met for goal in findings.goals if goal.what == VERIFY) else 1


if __name__ == "__main__":
    sys.exit(main())
