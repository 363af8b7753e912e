"""How long it takes to read the whole capacity feed, and what that weighs (contract, rule 22)."""

from __future__ import annotations

import contextlib
import http.client
import json
import statistics
import time
from typing import NamedTuple
from urllib.parse import urlsplit

from bench.machine import peak_bytes
from bench.registration import PATIENCE_SECONDS, mebibytes, register
from bench.report import Findings, Table, progress
from bench.stage import Stage
from tests.process.program import Program

PORTION = 100_000
METHOD = (
    "One reader follows `next` from the first page of `/capacity-feed` to the last, 500 entries a"
    " page, on one connection to one worker. *Peak memory* is the most that the worker had"
    " resident: after the registrations, and after the reading."
)


class _Reading(NamedTuple):
    entries: int
    pages: int
    seconds: float
    page_seconds: float
    """The median."""


def measure(stage: Stage) -> Findings:
    """Measure with as many Opportunities as there may be."""
    with (
        stage.folder() as folder,
        stage.redis(folder) as server,
        Program(folder, LEASE_REDIS_URL=server.url) as it,
    ):
        worker = it.events("worker.listening")[0]["pid"]
        for first in range(0, stage.largest, PORTION):
            progress(f"Opportunities from {first:,} on")
            register(it.url, range(first, min(first + PORTION, stage.largest)))
        before = peak_bytes(worker)
        reading = _read(it.url)
        after = peak_bytes(worker)
    assert reading.entries == stage.largest, reading
    columns = ("entries", "pages", "seconds", "median ms per page", "peak memory MiB")
    row = (
        f"{reading.entries:,}",
        f"{reading.pages:,}",
        f"{reading.seconds:.1f}",
        f"{reading.page_seconds * 1000:.1f}",
        f"{mebibytes(before)} → {mebibytes(after)}",
    )
    headline = f"{reading.entries:,} entries in {reading.seconds:.0f} s"
    return Findings(headline, [Table("The whole feed over HTTP", METHOD, columns, [row])])


def _read(url: str) -> _Reading:
    """Read the feed to its end."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=PATIENCE_SECONDS
    )
    entries, seconds, path = 0, [], "/capacity-feed"
    with contextlib.closing(connection):
        while True:
            began = time.perf_counter()
            connection.request("GET", path)
            page = json.load(connection.getresponse())
            seconds.append(time.perf_counter() - began)
            if not page["items"]:
                break
            entries += len(page["items"])
            progress(f"{entries:,} entries")
            following = urlsplit(page["next"])
            path = f"{following.path}?{following.query}"
    return _Reading(entries, len(seconds), sum(seconds), statistics.median(seconds))
