"""What C1 costs as everything around it grows; what a lease and an Opportunity weigh."""

from __future__ import annotations

import operator
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final, NamedTuple

from bench import picture
from bench.open_loop import percentile
from bench.report import Findings, Goal, Table, figure, progress
from bench.stage import Stage
from bench.world import SCRIPTS, World, world

FEW: Final = 100
ROUNDS: Final = 2
LAST_ROUNDS: Final = 7
"""Of the last row, which the goals are about."""
SCRIPT_TURNS: Final = 4
"""In each round: scripts take so little that they can take turns more often."""

ON_ONE: Final = "leases on one Opportunity"
SPREAD: Final = "leases, each on an Opportunity of its own"
REGISTERED: Final = "registered Opportunities"

METHOD: Final = (
    "C1 for one space on new UUIDs; medians of {rounds} rounds ({last_rounds} in the last row) in"
    " which a server of the row's size and one of 100 leases and Opportunities take turns."
    f" *Script* is the server's own figure (`INFO commandstats`, {SCRIPT_TURNS} times a round"
    f" {SCRIPTS} calls in a row on one connection), *HTTP* what passes from one answer to the next"
    " over 64 connections to one worker (wrk, 1 second), *at 100* the same of the small server,"
    " *ratio* the median of the turns' ratios, and from where to where half of these go. Script"
    " and calls share the machine with their clients."
)
MEMORY_METHOD: Final = (
    "`used_memory` over what the last row added; ids of 80 characters, one item per lease, one"
    " priced Offer per Opportunity."
)


class Compared(NamedTuple):
    """Microseconds that were measured by turns."""

    many: float
    """Of the world that has grown: the median."""
    few: float
    """Of the small one."""
    ratio: float
    """The median of the turns' ratios: in one turn the machine was as busy for both."""
    middle: tuple[float, float]
    """From where to where half of these ratios go."""

    @classmethod
    def by_turns(cls, many: Sequence[float], few: Sequence[float]) -> Compared:
        """Return what each turn's figures come to."""
        ratios = [*map(operator.truediv, many, few)]
        median = statistics.median
        middle = percentile(ratios, 25), percentile(ratios, 75)
        return cls(median(many), median(few), median(ratios), middle)


class Cost(NamedTuple):
    """Of one C1."""

    script: Compared
    """What the server says that the script takes."""
    http: Compared
    """What passes from one answer to the next."""


_Costs = dict[str, dict[int, Cost]]


def measure(stage: Stage) -> Findings:
    """Measure at every power of ten."""
    sizes = _sizes(stage.largest)
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
            grown = {ON_ONE: (narrow, 1), REGISTERED: (wide, size)}
            _measure(costs, grown, few, size, _rounds(stage, size))
            memory.append(narrow.worker_bytes())
        for size in sizes[1:]:
            progress(f"{size:,} leases on as many Opportunities")
            weights[SPREAD] = wide.lease(size, stage.largest)
            grown = {SPREAD: (wide, stage.largest)}
            _measure(costs, grown, few, size, _rounds(stage, size))
    return Findings(
        _headline(costs, weights, stage.largest),
        [*_tables(costs, stage), _memory_table(weights, memory)],
        _goals(costs, weights, memory, stage.largest),
        _pictures(stage, costs),
    )


def _rounds(stage: Stage, size: int) -> int:
    if stage.brief:
        return 1
    return LAST_ROUNDS if size == stage.largest else ROUNDS


def _measure(
    costs: _Costs, grown: dict[str, tuple[World, int]], few: World, size: int, rounds: int
) -> None:
    """Note the costs of what has grown to this size, and of what has not beside it."""
    worlds = {"": (few, 1)} | grown
    scripts = _by_turns(World.script_cost, worlds, rounds * SCRIPT_TURNS)
    calls = _by_turns(World.http_cost, worlds, rounds)
    for name in grown:
        costs[name][size] = Cost(
            Compared.by_turns(scripts[name], scripts[""]),
            Compared.by_turns(calls[name], calls[""]),
        )


def _by_turns(
    cost: Callable[[World, int], float], worlds: dict[str, tuple[World, int]], turns: int
) -> dict[str, list[float]]:
    measured: dict[str, list[float]] = defaultdict(list)
    order = list(worlds.items())
    for _ in range(turns):
        for name, (one, opportunities) in order:
            measured[name].append(cost(one, opportunities))
        # There and back: a machine that gets busier is not always busiest for the last.
        order.reverse()
    return measured


def _sizes(largest: int) -> list[int]:
    sizes = [FEW]
    while sizes[-1] < largest:
        sizes.append(min(sizes[-1] * 10, largest))
    return sizes


def _tables(costs: _Costs, stage: Stage) -> list[Table]:
    columns = ("script µs", "at 100", "ratio", "HTTP µs", "at 100", "ratio")
    method = METHOD.format(rounds=_rounds(stage, FEW), last_rounds=_rounds(stage, stage.largest))
    tables: list[Table] = []
    for name, rows in costs.items():
        cells = [
            (f"{size:,}", *_cells(cost.script), *_cells(cost.http)) for size, cost in rows.items()
        ]
        title = f"C1 by {name}"
        tables.append(
            Table(
                title,
                "As above." if tables else method,
                (name, *columns),
                cells,
            )
        )
    return tables


def _cells(compared: Compared) -> tuple[str, str, str]:
    low, high = compared.middle
    ratio = f"{compared.ratio:.2f} ({low:.2f} to {high:.2f})"
    return f"{compared.many:.1f}", f"{compared.few:.1f}", ratio


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
        what = f"C1 over HTTP with {largest:,} {name}, by that with {FEW}"
        goals.append(Goal.at_most(what, 1.3, rows[largest].http.ratio))
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


def _curves(rows: dict[int, Cost]) -> dict[str, list[tuple[float, float]]]:
    return {
        "over HTTP": [(size, cost.http.many) for size, cost in rows.items()],
        "script": [(size, cost.script.many) for size, cost in rows.items()],
    }


def _headline(costs: _Costs, weights: dict[str, float], largest: int) -> str:
    http = costs[ON_ONE][largest].http
    return (
        f"C1 with {largest:,} leases on one Opportunity costs {figure(http.ratio)} ×"
        f" that with {FEW}; {weights[ON_ONE]:,.0f} bytes per lease,"
        f" {weights[REGISTERED]:,.0f} per Opportunity"
    )
