"""`make bench`: measures, prints what it finds, and keeps it in docs/benchmarks.md."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench import (
    breadth,
    cluster,
    comparison,
    expiry,
    growth,
    instructions,
    lapse,
    page,
    reading,
    registration,
)
from bench.picture import IMAGES
from bench.report import Findings, progress
from bench.stage import Stage
from service.arguments import ArgumentParser
from tests.servers import redis_binary, valkey_binary


class Section(NamedTuple):
    """A part of the benchmark that can be run by itself."""

    title: str
    measure: Callable[[Stage], Findings]
    by_default: bool = True


SECTIONS: Final = {
    "peers": Section("Side by side", comparison.measure),
    "growth": Section("Growth", growth.measure),
    "items": Section("Items per Order", breadth.measure_items),
    "connections": Section("Connections", breadth.measure_connections),
    "cluster": Section("Cluster", cluster.measure),
    "instructions": Section("Instructions", instructions.measure, by_default=False),
    "registration": Section("Registration", registration.measure, by_default=False),
    "reading": Section("Reading the feed", reading.measure, by_default=False),
    "expiry": Section("Expiry", expiry.measure, by_default=False),
    "lapse": Section("Lapse", lapse.measure, by_default=False),
}
"""By the names of the command line, in the order in which they run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line, and return 1 where a section failed."""
    chosen = _parser().parse_args(arguments)
    # The servers that were started end as they do after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    stage = Stage(chosen.server, _binary(chosen.server), chosen.images, chosen.rounds, chosen.size)
    if chosen.brief:
        stage = stage._replace(rounds=1, largest=1_000, brief=True)
    failed = []
    for name in _names(chosen.sections):
        try:
            text = _run(name, stage, chosen.page)
        except Exception:  # noqa: BLE001 - one section must not cost the results of the others
            traceback.print_exc()
            failed.append(name)
        else:
            sys.stdout.write(f"\n{text}\n")
    progress(f"failed: {', '.join(failed)}" if failed else f"done; kept in {chosen.page}")
    return bool(failed)


def _run(name: str, stage: Stage, path: Path) -> str:
    """Run a section, put it into the page, and return its text."""
    section = SECTIONS[name]
    progress(f"{section.title} ({name})")
    began = time.monotonic()
    findings = section.measure(stage)
    seconds = time.monotonic() - began
    title, command = section.title, f"make bench BENCH={name}"
    if stage.server != next(iter(_servers())):
        title = f"{title}, {stage.server}"
        command = f'make bench BENCH="{name} --server {stage.server}"'
    return page.keep(path, stage, title, findings, command=command, seconds=seconds)


def _names(asked: Sequence[str]) -> Sequence[str]:
    if "all" in asked:
        return [*SECTIONS]
    return asked or [name for name, section in SECTIONS.items() if section.by_default]


def _servers() -> dict[str, str | None]:
    """Return the path of each kind of server, None where it is not installed."""
    return {"valkey": valkey_binary(), "redis": redis_binary()}


def _binary(server: str) -> str:
    found = _servers()[server]
    if found is None:
        sys.exit("redis-server is not on the PATH: install it, or leave --server out")
    return found


def _parser() -> ArgumentParser:
    listed = ", ".join(
        f"{name} ({section.title})" if section.by_default else f"{name} (not by default)"
        for name, section in SECTIONS.items()
    )
    parser = ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", choices=[*SECTIONS, "all", []], metavar="section", help=listed
    )
    parser.add_argument("--server", choices=_servers(), default="valkey", help="%(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="of the comparison (%(default)s)")
    parser.add_argument(
        "--size", type=int, default=1_000_000, help="leases and Opportunities (%(default)s)"
    )
    parser.add_argument(
        "--brief", action="store_true", help="only try everything: the figures mean nothing"
    )
    parser.add_argument("--page", type=Path, default=page.PAGE, help="kept here (%(default)s)")
    parser.add_argument("--images", type=Path, default=IMAGES, help="pictures (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
