"""Side by side: the service, the limits of its parts, and what one would build instead."""

from __future__ import annotations

import csv
import os
import subprocess
import urllib.parse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from bench import half_load, picture, traffic, wrk
from bench.calls import Caller
from bench.direct import direct
from bench.machine import SERVER_CORE, WORKER_CORE, on_core
from bench.peers.processes import SPREAD, Postgres, peer, register_for_watch, webdis
from bench.recorded import Recorded, recorded
from bench.report import Findings, Goal, Table, figure, progress, ratio
from bench.stage import Stage, new_crowd
from bench.traffic import Template, http_request
from bench.wrk import Load, LoadError, program
from tests.servers import RedisServer, free_port

C1: Final = "lease service: C1"
SPREAD_C1: Final = f"lease service: C1, {SPREAD} Opportunities"
C2: Final = "lease service: C2"
B: Final = "lease service: B"
RELEASE: Final = "lease service: release"
TEN_SPACES: Final = "lease service: C1, 10 spaces of one"
TEN_OPPORTUNITIES: Final = "lease service: C1, one space of 10"
WEBDIS: Final = "the same script through webdis"
BENCHMARK: Final = "the same script through redis-benchmark -P 16"
HELLO: Final = "aiohttp's bare hello"
POSTGRES: Final = "PostgreSQL"
POSTGRES_SPREAD: Final = f"PostgreSQL, {SPREAD} Opportunities"
WATCH: Final = "Redis with WATCH"

_OURS: Final = "lease service"
_PICTURE: Final = "bench-peers.png"
_PIPELINE: Final = 16
_BENCHMARK_CALLS: Final = 40_000
_SLOW_SECONDS: Final = 2

METHOD: Final = (
    "C1 as a front-end forwards it (the published example, ids of 80 characters, a new UUID each"
    " time), over 64 connections that stay open, for one space of one hot Opportunity unless the"
    " row says more; one worker process and one server process each, the service's and hello's"
    " worker on one core, the service's server on another; wrk, which shares the machine with"
    " them, sends as soon as it was answered. Medians of {rounds} rounds in which the rows"
    " take turns (PostgreSQL and WATCH: the better of 2), after one that does not count. C2, B and"
    " release are of leases that C1 made. *Ratio* is C1's rate by the row's. PostgreSQL with its"
    " own defaults (`fsync` and `synchronous_commit` on) and 512 MB of `shared_buffers`, 12"
    " connections on a unix socket: a transaction that locks the row of the Opportunity, drops"
    " what expired and keeps the sums;"
    " *not durable* is `synchronous_commit=off`, *function* the same as one stored function. The"
    " peers do less than the service: no policy, no feed, no guaranteed price."
)


class Contender(NamedTuple):
    """A row of the table."""

    name: str
    measure: Callable[[], Load]
    every: int = 1
    """In which rounds it takes part: slow ones less often, and longer."""


def measure(stage: Stage) -> Findings:
    """Measure all that can be started here, by turns."""
    with stage.folder() as folder, ExitStack() as resources:
        field = _Field(stage, folder, resources)
        loads = _by_turns(field.contenders(), stage, field.missing)
        rates = {name: load.rate for name, load in loads.items()}
        halves = [
            half_load.Contender(name, url, rates[name] / 2)
            for name, url in ((C1, field.url), (HELLO, field.hello))
            if name in rates
        ]
        half = half_load.measure(halves, stage, field.missing)
    pictures = []
    if rates:
        title = f"One worker, one server, {wrk.CONNECTIONS} connections, {os.cpu_count()} cores"
        pictures.append(
            picture.bars(stage.images / _PICTURE, title, "requests per second", rates, _OURS)
        )
    return Findings(
        _headline(rates),
        [_table(loads, stage.rounds), half_load.table(half, stage.rounds)],
        _goals(loads, half[C1].p99_by_p50 if C1 in half else None),
        pictures,
        field.missing,
    )


class _Field:
    """The servers of one run."""

    def __init__(self, stage: Stage, folder: Path, resources: ExitStack) -> None:
        self.missing: list[str] = []
        self.url = self.hello = ""
        self._stage = stage
        self._folder = folder
        self._resources = resources
        self._journey = 0

    def contenders(self) -> Iterator[Contender]:
        """Start every server, and yield the rows that can be measured, in their order."""
        port = free_port()
        with on_core(SERVER_CORE):
            self._server = self._resources.enter_context(
                self._stage.redis(self._folder, port=port, bind="127.0.0.1")
            )
        with on_core(WORKER_CORE):
            service = self._resources.enter_context(
                self._stage.service(self._folder, self._server)
            )
        self.url = service.url
        quote = recorded(self._server, service, traffic.c1())
        with Caller(self.url) as caller:
            caller.register(range(SPREAD))
            answer = caller.succeed(traffic.c1().fill()).body
        yield from self._of_the_service()
        yield Contender(BENCHMARK, partial(_redis_benchmark, self._server, quote))
        for name, peers in (
            (HELLO, self._hello(answer)),
            (WEBDIS, self._webdis(port, quote)),
            (WATCH, self._watch()),
            (POSTGRES, self._postgres()),
        ):
            try:
                yield from peers
            except Exception as error:  # noqa: BLE001 - a peer that fails must not cost the others
                self.missing.append(f"{name}: {error}")

    def _of_the_service(self) -> Iterator[Contender]:
        hot = partial(wrk.load, self.url)
        ten = range(10)
        yield Contender(C1, self._c1)
        yield Contender(C2, lambda: hot(traffic.c2(), seconds=1, first=self._journey))
        yield Contender(B, lambda: hot(traffic.b(), seconds=1, first=self._journey))
        yield Contender(RELEASE, self._release)
        yield Contender(SPREAD_C1, lambda: _load(self.url, traffic.c1(), SPREAD))
        yield Contender(TEN_SPACES, lambda: _load(self.url, traffic.c1(items=10)))
        basket = traffic.c1(items=10, opportunities=ten)
        yield Contender(TEN_OPPORTUNITIES, lambda: _load(self.url, basket))

    def _c1(self) -> Load:
        """Make leases for C2, B and release too: they have a third of the time each."""
        self._journey = new_crowd()
        seconds = 1 if self._stage.brief else 3
        load = wrk.load(self.url, traffic.c1(), seconds=seconds, first=self._journey)
        self._leased = load.requests
        return load

    def _release(self) -> Load:
        # C2 and B had those who came first.
        first = self._journey + self._leased // 2
        return wrk.load(self.url, traffic.release(), seconds=1, first=first)

    def _webdis(self, port: int, quote: Recorded) -> Iterator[Contender]:
        url = self._resources.enter_context(webdis(port, self._folder))
        request = through_webdis(quote)
        with Caller(url) as caller:
            answer = caller.succeed(request.fill(new_crowd()))
        assert answer.body.startswith(b'{"EVALSHA":[1,'), answer
        yield Contender(WEBDIS, lambda: _load(url, request))

    def _hello(self, answer: bytes) -> Iterator[Contender]:
        body = self._folder / "hello-body"
        body.write_bytes(answer)
        with on_core(WORKER_CORE):
            self.hello = self._resources.enter_context(peer("hello", self._folder, str(body)))
        yield Contender(HELLO, lambda: _load(self.hello, traffic.c1()))

    def _watch(self) -> Iterator[Contender]:
        with direct(self._server.socket) as server:
            register_for_watch(server)
        url = self._resources.enter_context(peer("watch", self._folder, self._server.url))
        yield from self._hot_and_spread(WATCH, url)

    def _postgres(self) -> Iterator[Contender]:
        folder = self._folder / "pg"
        folder.mkdir()
        postgres = Postgres(folder)
        self._resources.enter_context(postgres.running())
        for name, durable, words in (
            (POSTGRES, True, ()),
            (f"{POSTGRES}, not durable", False, ()),
            (f"{POSTGRES}, function, not durable", False, ("function",)),
        ):
            address = postgres.url(durable=durable)
            url = self._resources.enter_context(peer("postgres", self._folder, address, *words))
            yield from self._hot_and_spread(name, url)

    def _hot_and_spread(self, name: str, url: str) -> Iterator[Contender]:
        seconds = 1 if self._stage.brief else _SLOW_SECONDS
        for opportunities, suffix in ((1, ""), (SPREAD, f", {SPREAD} Opportunities")):
            load = partial(_load, url, traffic.c1(), opportunities, seconds=seconds)
            yield Contender(name + suffix, load, every=4)


def _load(url: str, request: Template, opportunities: int = 1, seconds: int = 1) -> Load:
    first = new_crowd()
    return wrk.load(url, request, seconds=seconds, first=first, opportunities=opportunities)


def _by_turns(
    contenders: Iterator[Contender], stage: Stage, missing: list[str]
) -> dict[str, Load]:
    """Return the median of each, after a round that does not count; what fails drops out."""
    progress("starting the servers")
    field = list(contenders)
    loads: defaultdict[str, list[Load]] = defaultdict(list)
    for turn in range(stage.brief, stage.rounds + 1):
        progress(f"round {turn} of {stage.rounds}" if turn else "warming up")
        for contender in tuple(field):
            if turn and (turn - 1) % contender.every:
                continue
            try:
                load = contender.measure()
            except Exception as error:  # noqa: BLE001 - as above
                missing.append(f"{contender.name}: {error}")
                field.remove(contender)
            else:
                loads[contender.name] += [load] if turn else []
    return {name: wrk.median(measured) for name, measured in loads.items() if measured}


def through_webdis(quote: Recorded) -> Template:
    """Return a script call as webdis takes it: the words parted by slashes, as a body."""
    # Only the service makes an Order's digest; any name of its own is as good here.
    hot = (
        word.replace("@ref@", traffic.ref(0)).replace("@order@", "@hex16@") for word in quote.words
    )
    words = [urllib.parse.quote(word, safe="@").replace(".", "%2e") for word in hot]
    return http_request("POST", "/", "/".join(words))


def _redis_benchmark(server: RedisServer, quote: Recorded) -> Load:
    """Run the script for random customers, many calls in a row on each connection."""
    options = ["-s", str(server.socket), "-c", str(wrk.CONNECTIONS), "-P", str(_PIPELINE)]
    options += ["-n", str(_BENCHMARK_CALLS), "-r", str(10**12), "--csv"]
    ended = subprocess.run(
        [program("redis-benchmark"), *options, *map(at_random, quote.words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=wrk.GIVE_UP_SECONDS,
    )
    return benchmark_load(ended.stdout, ended.stderr)


def at_random(word: str) -> str:
    """Return a word of a script call with random digits where customers differ."""
    return (
        Template(
            word.replace("@uuid@", "00000000-0000-4000-8000-__rand_int__")
            .replace("@order@", "@hex16@")
            .replace("@hex16@", "0000__rand_int__")
        )
        .fill()
        .decode()
    )


def benchmark_load(output: str, errors: str = "") -> Load:
    """Return what `redis-benchmark --csv` says.

    Raises:
        LoadError: It says nothing, or that a call failed.

    """
    rows = list(csv.reader(output.splitlines()))
    if len(rows) < 2:
        raise LoadError(f"redis-benchmark: {(errors + output).strip()[-300:]}")
    rate, _average, _least, p50, _p95, p99, _most = map(float, rows[-1][-7:])
    return Load(_BENCHMARK_CALLS, _BENCHMARK_CALLS / rate, p50, p99)


def _table(loads: dict[str, Load], rounds: int) -> Table:
    ours = loads.get(C1)
    rows = [
        (
            name,
            f"{load.rate:,.0f}",
            figure(ours.rate / load.rate) if ours else "",
            figure(load.p50_ms),
            figure(load.p99_ms),
        )
        for name, load in loads.items()
    ]
    columns = ("", "requests/s", "ratio", "p50 ms", "p99 ms")
    return Table("At full load", METHOD.format(rounds=rounds), columns, rows)


def _goals(loads: dict[str, Load], p99_by_p50: float | None) -> Sequence[Goal]:
    rate = {name: load.rate for name, load in loads.items()}.get
    costs = [
        Goal.at_most(f"{name.partition(': ')[2]}: cost by C1's", most, ratio(rate(C1), rate(name)))
        for name, most in ((C2, 1.3), (B, 1.3), (TEN_SPACES, 3), (TEN_OPPORTUNITIES, 3))
    ]
    return [
        Goal.at_least("C1 by webdis", 0.4, ratio(rate(C1), rate(WEBDIS))),
        Goal.at_least("C1 by aiohttp's hello", 0.6, ratio(rate(C1), rate(HELLO))),
        Goal.at_least("C1 by PostgreSQL, hot", 20, ratio(rate(C1), rate(POSTGRES))),
        Goal.at_least(
            "C1 by PostgreSQL, spread", 10, ratio(rate(SPREAD_C1), rate(POSTGRES_SPREAD))
        ),
        Goal.at_most("p99 by p50 at half load", 3, p99_by_p50),
        *costs,
    ]


def _headline(rates: dict[str, float]) -> str:
    ours = rates.get(C1)
    if ours is None:
        return "C1 was not measured"
    by = {
        "webdis": ratio(ours, rates.get(WEBDIS)),
        "aiohttp's hello": ratio(ours, rates.get(HELLO)),
        "PostgreSQL, hot": ratio(ours, rates.get(POSTGRES)),
    }
    ratios = [f"{figure(value)} × {name}" for name, value in by.items() if value]
    return ", ".join([f"{ours:,.0f} C1 per second", *ratios])
