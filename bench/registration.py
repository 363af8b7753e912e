"""How long it takes to register very many Opportunities, and what that weighs."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from bench.crowd import OFFER, OPPORTUNITY, SELLER
from bench.direct import direct
from bench.machine import peak_bytes
from bench.report import Findings, Table, progress
from bench.stage import Stage
from tests.process.program import Program

REQUESTS = 2
PATIENCE_SECONDS = 600.0
METHOD = (
    f"{REQUESTS} requests `PUT /opportunities`, each one NDJSON stream, to one worker; an entry"
    " has a capacity and one priced Offer, ids of 80 characters. *Peak memory* is the most that"
    " the worker had resident, before and after; *bytes* is the server's `used_memory` per"
    " Opportunity, over all of them."
)


def measure(stage: Stage) -> Findings:
    """Measure with a tenth of the Opportunities there may be in each request."""
    count = stage.largest // 10
    with (
        stage.folder() as folder,
        stage.redis(folder) as server,
        Program(folder, LEASE_REDIS_URL=server.url) as it,
        direct(server.socket) as connection,
    ):
        empty = connection.used_memory()
        worker = it.events("worker.listening")[0]["pid"]
        before = peak_bytes(worker)
        seconds = []
        for request in range(REQUESTS):
            progress(f"{count:,} Opportunities in one request")
            seconds.append(register(it.url, range(request * count, (request + 1) * count)))
        weight = (connection.used_memory() - empty) / (REQUESTS * count)
        after = peak_bytes(worker)
    columns = ("Opportunities", "seconds", "peak memory MiB", "bytes per Opportunity")
    row = (
        f"{REQUESTS} × {count:,}",
        ", ".join(f"{each:.1f}" for each in seconds),
        f"{mebibytes(before)} → {mebibytes(after)}",
        f"{weight:,.0f}",
    )
    headline = f"{count:,} Opportunities in {min(seconds):.1f} s"
    return Findings(headline, [Table("Registration over HTTP", METHOD, columns, [row])])


def register(url: str, numbers: range) -> float:
    """Register Opportunities, named by these numbers, and return the seconds that it took."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=PATIENCE_SECONDS
    )
    with contextlib.closing(connection):
        began = time.perf_counter()
        connection.request(
            "PUT",
            "/opportunities",
            _chunks(numbers),
            {"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"},
            encode_chunked=True,
        )
        answer: dict[str, Any] = json.load(connection.getresponse())
        seconds = time.perf_counter() - began
    assert answer["registered"] == len(numbers), answer
    return seconds


def _chunks(numbers: range) -> Iterator[bytes]:
    for start in range(0, len(numbers), 100):
        yield b"".join(map(_line, numbers[start : start + 100]))


def _line(number: int) -> bytes:
    offer = {"@type": "Offer", "@id": _numbered(OFFER, number), "price": 10}
    entry = {
        "@type": "ScheduledSession",
        "@id": _numbered(OPPORTUNITY, number),
        "seller": SELLER,
        "maximumAttendeeCapacity": 30,
        "modified": number,
        "offers": [offer | {"priceCurrency": "GBP"}],
    }
    return json.dumps(entry).encode() + b"\n"


def _numbered(id_: str, number: int) -> str:
    """Return an id of the same length that ends in the number."""
    return f"{id_[:-10]}{number:010}"


def mebibytes(size: int | None) -> str:
    """Return bytes in mebibytes, for a table."""
    return "?" if size is None else f"{size / 2**20:.0f}"
