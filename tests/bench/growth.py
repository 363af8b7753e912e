"""What C1 costs as everything around it grows; what a lease and an Opportunity weigh."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

from tests.bench import picture
from tests.bench.report import Findings, Goal, Table, figure, progress
from tests.bench.stage import Stage
from tests.bench.world import Cost, World, world

FEW: Final = 100
ROUNDS: Final = 2

ON_ONE: Final = "leases on one Opportunity"
SPREAD: Final = "leases, each on an Opportunity of its own"
REGISTERED: Final = "registered Opportunities"

METHOD: Final = (
    "C1 for one space on new UUIDs; means of {rounds} rounds in which a server of the row's"
    " size and one of 100 leases and Opportunities take turns. *Script* is the server's own"
    " figure (`INFO commandstats`, 2,000 calls in a row on one connection), *HTTP* what passes"
    " from one answer to the next over 64 connections to one worker (wrk, 1 second), *at 100* the"
    " same of the small server. Script and calls share the machine with their clients."
)
MEMORY_METHOD: Final = (
    "`used_memory` over what the last row added; ids of 80 characters, one item per lease, one"
    " priced Offer per Opportunity."
)

_Costs = dict[str, dict[int, tuple[Cost, Cost]]]


def measure(stage: Stage) -> Findings:
    """Measure at every power of ten."""
    sizes, rounds = _sizes(stage.largest), 1 if stage.brief else ROUNDS
    costs: _Costs = defaultdict(dict)
    weights: dict[str, float] = {}
    memory: list[int] = []
    with stage.folder() as folder, ExitStack() as resources:
        few, narrow, wide = (
            resources.enter_context(world(stage, folder / name)) for name in ("f", "n", "w")
        )
        for small in (few, narrow):
            small.register(FEW)
        few.lease(FEW)
        for size in sizes:
            progress(f"{size:,} leases on one Opportunity; {size:,} Opportunities")
            with ThreadPoolExecutor() as pool:
                lease = pool.submit(narrow.lease, size)
                weights[REGISTERED] = wide.register(size)
                weights[ON_ONE] = lease.result()
            _by_turns(costs, {ON_ONE: (narrow, 1), REGISTERED: (wide, size)}, few, size, rounds)
            memory.append(narrow.worker_bytes())
        for size in sizes[1:]:
            progress(f"{size:,} leases on as many Opportunities")
            weights[SPREAD] = wide.lease(size, stage.largest)
            _by_turns(costs, {SPREAD: (wide, stage.largest)}, few, size, rounds)
    return Findings(
        _headline(costs, weights, stage.largest),
        [*_tables(costs, rounds), _memory_table(weights, memory)],
        _goals(costs, weights, memory, stage.largest),
        _pictures(stage, costs),
    )


def _by_turns(
    costs: _Costs, grown: dict[str, tuple[World, int]], few: World, size: int, rounds: int
) -> None:
    """Note the mean costs of what has grown to this size, and of what has not beside it."""
    measured: dict[str, list[Cost]] = defaultdict(list)
    for _ in range(rounds):
        measured[""].append(few.cost())
        for name, (one, opportunities) in grown.items():
            measured[name].append(one.cost(opportunities))
    means = {
        name: Cost(*map(statistics.mean, zip(*each, strict=True)))
        for name, each in measured.items()
    }
    for name in grown:
        costs[name][size] = (means[name], means[""])


def _sizes(largest: int) -> list[int]:
    sizes = [FEW]
    while sizes[-1] < largest:
        sizes.append(min(sizes[-1] * 10, largest))
    return sizes


def _tables(costs: _Costs, rounds: int) -> list[Table]:
    columns = ("script µs", "at 100", "ratio", "HTTP µs", "at 100", "ratio")
    tables: list[Table] = []
    for name, rows in costs.items():
        cells = [
            (f"{size:,}", *_compared(many.script, few.script), *_compared(many.http, few.http))
            for size, (many, few) in rows.items()
        ]
        title = f"C1 by {name}"
        tables.append(
            Table(
                title,
                "As above." if tables else METHOD.format(rounds=rounds),
                (name, *columns),
                cells,
            )
        )
    return tables


def _compared(many: float, few: float) -> tuple[str, str, str]:
    return f"{many:.1f}", f"{few:.1f}", f"{many / few:.2f}"


def _memory_table(weights: dict[str, float], worker: Sequence[int]) -> Table:
    rows = [(name, f"{weight:,.0f}") for name, weight in weights.items()]
    mebibytes = " → ".join(f"{size / 2**20:.0f}" for size in (worker[0], worker[-1]))
    rows.append(("the service's worker, MiB resident, first row to last", mebibytes))
    return Table("Memory", MEMORY_METHOD, ("what", "bytes each"), rows)


def _goals(
    costs: _Costs, weights: dict[str, float], worker: Sequence[int], largest: int
) -> list[Goal]:
    goals = []
    for name, rows in costs.items():
        many, few = rows[largest]
        what = f"C1 over HTTP with {largest:,} {name}, by that with {FEW}"
        goals.append(Goal.at_most(what, 1.3, many.http / few.http))
    for name, most in ((ON_ONE, 400), (SPREAD, 400), (REGISTERED, 500)):
        goals.append(Goal.at_most(f"bytes per one of {name}", most, weights[name]))
    growth = worker[-1] / worker[0] if worker[0] else None
    goals.append(Goal.at_most(f"the worker's memory with {largest:,} leases", 1.2, growth))
    return goals


def _pictures(stage: Stage, costs: _Costs) -> list[str]:
    up = "µs per C1"
    on_leases = {
        f"{kind}, {where}": points
        for name, where in ((ON_ONE, "on one Opportunity"), (SPREAD, "spread"))
        for kind, points in _curves(costs[name]).items()
    }
    on_opportunities = _curves(costs[REGISTERED])
    images = stage.images
    return [
        picture.lines(
            images / "bench-leases.png", "C1 by live leases", "live leases", up, on_leases
        ),
        picture.lines(
            images / "bench-opportunities.png",
            "C1 by registered Opportunities",
            "Opportunities",
            up,
            on_opportunities,
        ),
    ]


def _curves(rows: dict[int, tuple[Cost, Cost]]) -> dict[str, list[tuple[float, float]]]:
    return {
        "over HTTP": [(size, many.http) for size, (many, _) in rows.items()],
        "script": [(size, many.script) for size, (many, _) in rows.items()],
    }


def _headline(costs: _Costs, weights: dict[str, float], largest: int) -> str:
    many, few = costs[ON_ONE][largest]
    return (
        f"C1 with {largest:,} leases on one Opportunity costs {figure(many.http / few.http)} ×"
        f" that with {FEW}; {weights[ON_ONE]:,.0f} bytes per lease,"
        f" {weights[REGISTERED]:,.0f} per Opportunity"
    )
