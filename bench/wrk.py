"""wrk, a closed-loop load generator: each connection sends as soon as it was answered."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.traffic import Template

CONNECTIONS = 64
# What stands in a queue behind 2,000 others is late, not lost.
PATIENCE_SECONDS = 30
GIVE_UP_SECONDS = 60

_SCRIPT = Path(__file__).with_suffix(".lua")
_RESULT = re.compile(r"^result (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)$", re.MULTILINE)


class MissingProgramError(Exception):
    """A program that a measurement needs is not installed; the message says which."""


class LoadError(Exception):
    """A load was not answered as it should be."""


class Load(NamedTuple):
    """What a load found."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    @property
    def microseconds(self) -> float:
        """From one answer to the next."""
        return 1e6 / self.rate


def program(name: str) -> str:
    """Return the path of an installed program.

    Raises:
        MissingProgramError: It is not on the PATH.

    """
    found = shutil.which(name)
    if found is None:
        raise MissingProgramError(f"{name} is not on the PATH")
    return found


def load(
    url: str,
    request: Template,
    *,
    seconds: int,
    first: int = 1,
    opportunities: int = 1,
    connections: int = CONNECTIONS,
) -> Load:
    """Load a server, and return what came of it.

    Args:
        url: `http://host:port`.
        request: What to send.
        seconds: For how long; wrk knows whole ones only.
        first: The first customer; each request is of the next.
        opportunities: How many they choose from.
        connections: How many there are at once.

    Raises:
        MissingProgramError: wrk is not installed.
        LoadError: A request was not answered, or not with success.

    """
    command = [program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s"]
    command += [f"--timeout={PATIENCE_SECONDS}s", f"--script={_SCRIPT}", url, "--"]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as file:
        file.write(request.text)
        file.flush()
        command += [file.name, str(first), str(opportunities)]
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + GIVE_UP_SECONDS,
        )
    return parsed(ended.stdout, ended.stderr)


def parsed(output: str, errors: str = "") -> Load:
    """Return what wrk says.

    Raises:
        LoadError: It says nothing, or that something failed.

    """
    found = _RESULT.search(output)
    if found is None:
        raise LoadError(f"wrk ended early: {(output + errors).strip()[-300:]}")
    requests, microseconds, refused, lost, p50, p99 = map(int, found.groups())
    if refused or lost or not requests:
        raise LoadError(f"of {requests} requests {refused} were refused and {lost} not answered")
    return Load(requests, microseconds / 1e6, p50 / 1e3, p99 / 1e3)


def median(loads: Sequence[Load]) -> Load:
    """Return the median of each figure; of requests and seconds, those of the median rate."""
    middle = sorted(loads, key=lambda each: each.rate)[len(loads) // 2]
    return middle._replace(
        p50_ms=statistics.median(each.p50_ms for each in loads),
        p99_ms=statistics.median(each.p99_ms for each in loads),
    )
