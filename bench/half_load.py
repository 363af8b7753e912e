"""How fast the service and its yardstick answer at half of what they can."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from bench import open_loop, traffic
from bench.machine import SERVER_CORE, on_core
from bench.report import Table, figure, progress
from bench.stage import Stage, new_crowd
from bench.wrk import LoadError

_SECONDS: Final = 3
_KEPT_UP: Final = 0.95

METHOD: Final = (
    f"C1 at half of the rate above for {_SECONDS} seconds, {{rounds}} rounds in which the rows"
    f" take turns. Requests are made before, and leave evenly spaced over {open_loop.CONNECTIONS}"
    " connections, whether or not others were answered; latency counts from the instant at which"
    " a request should have left until its answer is read (bench/open_loop.py, which shares"
    " the core of the server, not the worker's). Each figure is the median of the rounds', *p99 /"
    " p50* too: every round has its own."
)


class Contender(NamedTuple):
    """Who is measured."""

    name: str
    url: str
    rate: float
    """Requests per second: half of what it can."""


class Latency(NamedTuple):
    """What was seen of it."""

    rate: float
    p50_ms: float
    p99_ms: float
    p99_by_p50: float


def measure(
    contenders: Sequence[Contender], stage: Stage, missing: list[str]
) -> dict[str, Latency]:
    """Return what was seen, by name; who fails drops out, and `missing` says why."""
    field = list(contenders)
    seen: defaultdict[str, list[Latency]] = defaultdict(list)
    for turn in range(1, stage.rounds + 1):
        progress(f"half load, round {turn} of {stage.rounds}")
        for contender in tuple(field):
            try:
                seen[contender.name].append(_once(contender, 1 if stage.brief else _SECONDS))
            except (LoadError, OSError) as error:
                missing.append(f"{contender.name} at half load: {error}")
                field.remove(contender)
    return {each.name: median(seen[each.name]) for each in field}


def median(seen: Sequence[Latency]) -> Latency:
    """Return the median of each figure."""
    return Latency(*map(statistics.median, zip(*seen, strict=True)))


def table(half: dict[str, Latency], rounds: int) -> Table:
    """Return the rows, and how they were measured."""
    columns = ("", "requests/s", "p50 ms", "p99 ms", "p99 / p50")
    rows = [
        (name, f"{rate:,.0f}", *map(figure, latencies))
        for name, (rate, *latencies) in half.items()
    ]
    return Table("At half load", METHOD.format(rounds=rounds), columns, rows)


def _once(contender: Contender, seconds: int) -> Latency:
    rate, first = contender.rate, new_crowd()
    # What filling them takes would be taken from the servers while it counts.
    customers = range(first, first + int(rate * seconds) + 1)
    requests = [*map(traffic.c1().fill, customers)]
    latencies: list[float] = []

    def note(answered: open_loop.Answered) -> None:
        if answered.status != HTTPStatus.OK:
            raise LoadError(f"a request was answered with {answered.status}")
        latencies.append(answered.latency * 1e3)

    with on_core(SERVER_CORE):
        answered_rate = open_loop.run(
            contender.url, requests, rate=rate, seconds=seconds, note=note
        )
    if answered_rate < _KEPT_UP * rate:
        raise LoadError(f"only {answered_rate:,.0f} of {rate:,.0f} requests per second")
    p50, p99 = (open_loop.percentile(latencies, percent) for percent in (50, 99))
    return Latency(rate, p50, p99, p99 / p50)
