"""How many instructions the server runs for a call: the same on a busy machine and a quiet one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench import traffic
from bench.direct import direct
from bench.recorded import Recorded, recorded, recorded_registration
from bench.report import Findings, Table, progress
from bench.stage import Stage, new_crowd
from bench.wrk import program
from tests.servers import RedisServer

CALLS: Final = 200
METHOD: Final = (
    f"`valgrind --tool=callgrind` around the server: everything that it runs for {CALLS} calls"
    " in a row on one connection, by the number of calls."
)
_TOTALS: Final = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def measure(stage: Stage) -> Findings:
    """Count for each call."""
    progress("starting the server in valgrind")
    with stage.folder() as folder, ExitStack() as resources:
        server = resources.enter_context(RedisServer(_wrapped(stage.binary, folder), folder))
        service = resources.enter_context(stage.service(folder, server))
        connection = resources.enter_context(direct(server.socket))
        registration = recorded_registration(server, service)
        ten = range(10)
        connection.run(registration.fill(0, number) for number in ten)
        quote = recorded(server, service, traffic.c1())
        named = recorded(server, service, traffic.c2())
        book = recorded(server, service, traffic.b())
        release = recorded(server, service, traffic.release(), traffic.c1())
        spaces = recorded(server, service, traffic.c1(items=10, opportunities=(0,)))
        basket = recorded(server, service, traffic.c1(items=10, opportunities=ten))
        pid = int(connection.info("server")["process_id"])
        one, other = (range(first, first + CALLS) for first in (new_crowd(), new_crowd()))
        connection.run(quote.fill(customer) for customer in other)
        _control("--instr=on", pid, folder)
        rows = []
        for name, script, customers in (
            ("C1", quote, one),
            ("C2 of that", named, one),
            ("B of that", book, one),
            ("release", release, other),
            ("C1, 10 spaces of one Opportunity", spaces, _next_crowd()),
            ("C1, one space of 10 Opportunities", basket, _next_crowd()),
        ):
            progress(f"{CALLS} × {name}")
            _control("--zero", pid, folder)
            connection.run(script.fill(customer) for customer in customers)
            rows.append((name, _counted(pid, folder) // CALLS))
        _control("--zero", pid, folder)
        connection.run(_registrations(registration))
        rows.append(("registration of an Opportunity", _counted(pid, folder) // CALLS))
    table = Table(
        "Instructions of the server",
        METHOD,
        ("call", "instructions"),
        [(name, f"{count:,}") for name, count in rows],
    )
    return Findings(f"{rows[0][1]:,} instructions of the server per C1", [table])


def _next_crowd() -> range:
    first = new_crowd()
    return range(first, first + CALLS)


def _registrations(registration: Recorded) -> Iterable[bytes]:
    return (registration.fill(0, number) for number in range(1_000, 1_000 + CALLS))


def _wrapped(binary: str, folder: Path) -> str:
    """Return a program that runs the server in valgrind, which counts nothing until it is told."""
    script = folder / "counted-server"
    counting = f"{program('valgrind')} --tool=callgrind --instr-atstart=no"
    output = f"--callgrind-out-file={folder}/callgrind"
    script.write_text(f'#!/bin/sh\nexec {counting} {output} {binary} "$@" 2>/dev/null\n', "utf-8")
    script.chmod(0o700)
    return str(script)


def _control(option: str, pid: int, folder: Path) -> None:
    command = [program("callgrind_control"), option, str(pid)]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=60)


def _counted(pid: int, folder: Path) -> int:
    """Return the instructions since the counter was set to nothing."""
    for old in folder.glob("callgrind.*"):
        old.unlink()
    _control("--dump", pid, folder)
    [dump] = folder.glob("callgrind.*")
    return total(dump.read_text("utf-8"))


def total(dump: str) -> int:
    """Return the total of a file that callgrind wrote."""
    return max(map(int, _TOTALS.findall(dump)))
