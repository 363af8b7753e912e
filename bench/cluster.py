"""C1 on a cluster of 1, 2 and 3 primaries, and what more machines would give."""

from __future__ import annotations

import statistics
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from bench import traffic, wrk
from bench.calls import Caller
from bench.machine import cpu_seconds
from bench.report import Findings, Table, figure, progress
from bench.stage import HOLD_SECONDS, Stage, new_crowd
from bench.traffic import Template, http_request
from tests.process.program import Program
from tests.topology import ClusterServers

PRIMARIES: Final = (1, 2, 3)
WORKERS: Final = 2
SELLERS: Final = 120
ROUNDS: Final = 3

METHOD: Final = (
    f"C1 for one space over 64 connections to {WORKERS} workers, which share the machine with"
    f" all primaries and wrk; {SELLERS} Sellers with an Opportunity each, so that every primary"
    f" has its part; medians of {ROUNDS} rounds of 2 seconds by turns. *Worker µs* and *primary"
    " µs* are the processor time that all workers, and all primaries, spend on a call."
)
PAPER_METHOD: Final = (
    "From those times: a primary that has a core to itself, kept busy by workers that have theirs,"
    " with nothing lost on the network. Sellers are spread over the primaries; one hot Seller is"
    " on one primary, and gets no more than the first row."
)

_SELLER: Final = traffic.SELLER[:-7]


class Share(NamedTuple):
    """A round on one cluster."""

    rate: float
    worker: float
    """Microseconds of processor time per call, of all workers."""
    primary: float
    """Likewise, of all primaries."""


class _Cluster:
    """Primaries, and the service in front of them."""

    def __init__(self, folder: Path, primaries: int, resources: ExitStack) -> None:
        folder.mkdir()
        servers = ClusterServers(folder, replicas=False, primaries=primaries)
        resources.enter_context(servers)
        settings = {
            "LEASE_REDIS_URL": servers.url,
            "LEASE_WORKERS": str(WORKERS),
            "LEASE_ANONYMOUS_SECONDS": str(HOLD_SECONDS),
        }
        service = resources.enter_context(Program(folder, **settings))
        self._url = service.url
        self._workers = [event["pid"] for event in service.events("worker.listening")]
        self._primaries = [member.info("server")["process_id"] for member in servers.primaries]
        with Caller(self._url) as caller:
            caller.succeed(registration().fill())

    def load(self) -> Share:
        """Return what a round finds."""
        before = self._computed()
        load = wrk.load(self._url, request(), seconds=2, first=new_crowd(), opportunities=SELLERS)
        worker, primary = (
            (now - then) / load.requests * 1e6
            for now, then in zip(self._computed(), before, strict=True)
        )
        return Share(load.rate, worker, primary)

    def _computed(self) -> tuple[float, float]:
        workers, primaries = (
            sum(map(cpu_seconds, pids)) for pids in (self._workers, self._primaries)
        )
        return workers, primaries


def measure(stage: Stage) -> Findings:
    """Measure clusters of each size, by turns."""
    rounds = 1 if stage.brief else ROUNDS
    shares: defaultdict[int, list[Share]] = defaultdict(list)
    with stage.folder() as folder, ExitStack() as resources:
        clusters = {}
        for primaries in PRIMARIES:
            progress(f"starting a cluster of {primaries}")
            clusters[primaries] = _Cluster(folder / str(primaries), primaries, resources)
        for turn in range(rounds + 1):
            progress(f"round {turn} of {rounds}" if turn else "warming up")
            for primaries, cluster in clusters.items():
                share = cluster.load()
                shares[primaries] += [share] if turn else []
    medians = {
        primaries: Share(*(statistics.median(figures) for figures in zip(*each, strict=True)))
        for primaries, each in shares.items()
    }
    one, three = medians[PRIMARIES[0]], medians[PRIMARIES[-1]]
    rows = [
        (str(primaries), f"{share.rate:,.0f}", f"{share.worker:.0f}", f"{share.primary:.0f}")
        for primaries, share in medians.items()
    ]
    columns = ("primaries", "requests/s", "worker µs", "primary µs")
    return Findings(
        f"3 primaries on this machine: {figure(three.rate / one.rate)} × the C1 of one",
        [Table("On this machine", METHOD, columns, rows), _paper_table(three)],
    )


def _paper_table(share: Share) -> Table:
    rows = [
        (f"{primaries}", f"{rate:,.0f}", f"{workers:,.1f}")
        for primaries in (1, 2, 3, 6)
        for rate, workers in [on_paper(share, primaries)]
    ]
    columns = ("primaries", "C1 per second", "cores for workers")
    return Table("With more machines, on paper", PAPER_METHOD, columns, rows)


def on_paper(share: Share, primaries: int) -> tuple[float, float]:
    """Return what so many primaries can do, and how many cores of workers keep them busy."""
    rate = primaries * 1e6 / share.primary if share.primary else 0.0
    return rate, rate * share.worker / 1e6


def request() -> Template:
    """Return C1 at the Seller who has the number of the Opportunity."""
    return Template(traffic.c1().text.replace(traffic.SELLER, f"{_SELLER}@number@"))


def registration() -> Template:
    """Return the request that registers an Opportunity for each Seller."""
    entries = [
        traffic.registration(number) | {"seller": f"{_SELLER}{number:07}"}
        for number in range(SELLERS)
    ]
    body = msgspec.json.encode(entries).decode()
    return http_request("PUT", "/opportunities", body, Content_Type="application/json")
