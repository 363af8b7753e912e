"""What C1 costs by the items of an Order, and by the connections that call."""

from __future__ import annotations

import resource
from contextlib import ExitStack
from typing import Final

from bench import picture, traffic, wrk
from bench.report import Findings, Table, figure, progress
from bench.stage import Stage, new_crowd
from bench.world import World, world

ITEMS: Final = (1, 2, 5, 10, 20, 50, 100)
LARGE: Final = 20
CONNECTIONS: Final = (1, 4, 16, 64, 256, 1_000, 2_000)
MANY: Final = 1_000
OF_ONE: Final = "spaces of one Opportunity"
OF_MANY: Final = "one space each of as many Opportunities"

ITEMS_METHOD: Final = (
    "C1 for so many items on new UUIDs: the server's own figure for the script (300 calls), and"
    " what passes from one answer to the next over 64 connections (wrk, 1 to 3 seconds)."
)
CONNECTIONS_METHOD: Final = (
    "C1 for one space over so many connections, each of which sends when it was answered (wrk,"
    " 2 to 5 seconds; `LEASE_MAXIMUM_IN_FLIGHT` is set above them all): with twice the connections"
    " each waits twice as long, once the worker is busy."
)

_CALLS: Final = 300
_OPEN_FILES: Final = 100


def measure_items(stage: Stage) -> Findings:
    """Measure Orders of 1 to 100 items."""
    rows = []
    curves: dict[str, list[tuple[float, float]]] = {}
    with stage.folder() as folder, world(stage, folder / "w") as one:
        one.register(max(ITEMS))
        for name, of_many in ((OF_ONE, False), (OF_MANY, True)):
            progress(f"1 to {max(ITEMS)} {name}")
            for items in ITEMS[:2] if stage.brief else ITEMS:
                script, http = _item_costs(one, items, of_many=of_many)
                rows.append((f"{items} {name}", f"{script:.1f}", f"{http:.1f}"))
                curves.setdefault(f"over HTTP, {name}", []).append((items, http))
                curves.setdefault(f"script, {name}", []).append((items, script))
    title, across = "C1 by items of an Order", "items"
    name = picture.lines(
        stage.images / "bench-items.png", title, across, "µs per C1", curves, logarithmic=False
    )
    curve = curves[f"over HTTP, {OF_MANY}"]
    (_, first), (most, last) = curve[0], curve[-1]
    headline = f"{most} items of as many Opportunities cost {figure(last / first)} × one"
    table = Table(title, ITEMS_METHOD, ("items", "script µs", "HTTP µs"), rows)
    return Findings(headline, [table], pictures=[name])


def _item_costs(one: World, items: int, *, of_many: bool) -> tuple[float, float]:
    """Return the microseconds of the script, and over HTTP."""
    request = traffic.c1(items=items, opportunities=range(items) if of_many else (0,))
    first = new_crowd()
    script = one.script_microseconds(one.recorded(request), range(first, first + _CALLS))
    # 64 connections that ask for much: what is on its way at the end must not count for much.
    seconds = 1 if items < LARGE else 3
    load = wrk.load(one.program.url, request, seconds=seconds, first=new_crowd())
    return script, load.microseconds


def measure_connections(stage: Stage) -> Findings:
    """Measure 1 to 2,000 connections, as far as this process may open as many files."""
    rows, missing = [], []
    points: dict[str, list[tuple[float, float]]] = {"over HTTP": []}
    allowed = _allow_open_files()
    with stage.folder() as folder, ExitStack() as resources:
        unlimited = {"LEASE_MAXIMUM_IN_FLIGHT": str(2 * max(CONNECTIONS))}
        one = resources.enter_context(world(stage, folder / "w", **unlimited))
        one.register(1)
        for connections in CONNECTIONS[:2] if stage.brief else CONNECTIONS:
            if connections + _OPEN_FILES > allowed:
                missing.append(f"{connections:,} connections: `ulimit -n` is {allowed:,}")
                continue
            progress(f"{connections:,} connections")
            load = wrk.load(
                one.program.url,
                traffic.c1(),
                seconds=2 if connections < MANY else 5,
                first=new_crowd(),
                connections=connections,
            )
            milliseconds = map(figure, (load.p50_ms, load.p99_ms))
            rows.append((f"{connections:,}", f"{load.rate:,.0f}", *milliseconds))
            points["over HTTP"].append((connections, load.microseconds))
    title = "C1 by connections"
    name = picture.lines(
        stage.images / "bench-connections.png", title, "connections", "µs per C1", points
    )
    table = Table(
        title, CONNECTIONS_METHOD, ("connections", "requests/s", "p50 ms", "p99 ms"), rows
    )
    (most, last) = points["over HTTP"][-1]
    best = min(cost for _, cost in points["over HTTP"])
    headline = f"{most:,.0f} connections: {figure(last / best)} × the least cost of a call"
    return Findings(headline, [table], pictures=[name], missing=missing)


def _allow_open_files() -> int:
    """Raise this process's limit, which its children inherit, as far as it may; return it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
