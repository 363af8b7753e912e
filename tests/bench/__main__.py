"""`make bench`: measures on every server there is, and adds a section to docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import uvloop

from tests.bench import expiry, growth, lapse, registration
from tests.bench.machine import describe
from tests.bench.report import Table, append, progress, section
from tests.servers import redis_binary, valkey_binary

Benchmark = Callable[[str, str, Path], Awaitable[list[Table]]]


def servers() -> dict[str, str]:
    """Return the path of each server there is, by the name that the tables use."""
    found = {"embedded Valkey": valkey_binary()}
    installed = redis_binary()
    return found | ({"redis-server": installed} if installed else {})


async def measure(leases: int) -> list[Table]:
    """Run every benchmark on every server.

    Args:
        leases: How many live leases there are at the most.

    """
    benchmarks: list[Benchmark] = [
        partial(growth.measure, largest=leases),
        partial(registration.measure, count=leases // 10),
        partial(expiry.measure, count=leases // 10),
    ]
    tables = []
    for benchmark in benchmarks:
        for name, binary in servers().items():
            # A short path: that of a unix socket has at most 107 bytes.
            with tempfile.TemporaryDirectory(prefix="lease-") as folder:
                tables += await benchmark(name, binary, Path(folder))
    with tempfile.TemporaryDirectory(prefix="lease-") as folder:
        tables += await lapse.measure(*next(iter(servers().items())), Path(folder), leases // 10)
    return tables


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--leases", type=int, default=1_000_000, help="at the most (%(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="print the section, keep no file")
    chosen = parser.parse_args()
    tables = uvloop.run(measure(chosen.leases))
    command = " ".join(["python -m tests.bench", *sys.argv[1:]])
    text = section(describe(servers()), command, tables)
    sys.stdout.write(f"\n{text}\n")
    if not chosen.dry_run:
        append(text)
        progress("added to docs/benchmarks.md")


if __name__ == "__main__":
    main()
