"""Where a benchmark runs: the machine and the versions."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from ctypes.util import find_library
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("aiohttp", "msgspec", "redis", "hiredis", "uvloop")
ROOT = Path(__file__).parents[1]

WORKER_CORE = 0
SERVER_CORE = 1


def machine() -> str:
    """Return what the machine is."""
    return f"{_processor()}, {os.cpu_count()} cores, {_memory()}, {platform.system()}"


def versions(server: str, binary: str) -> str:
    """Return what was measured.

    Args:
        server: The kind of server that keeps the leases, as the tables call it.
        binary: Its path.

    """
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    python = f"Python {platform.python_version()}, {libraries}"
    return f"{python}; {server} {_version(binary)}; commit {commit()}"


def peak_bytes(pid: int) -> int | None:
    """Return the most memory that a process has had resident, where the system tells (Linux)."""
    return _status_bytes(pid, "VmHWM")


def resident_bytes(pid: int) -> int | None:
    """Return the memory that a process has resident, where the system tells (Linux)."""
    return _status_bytes(pid, "VmRSS")


def cpu_seconds(pid: int) -> float:
    """Return the time that a process has computed, where the system tells (Linux), else 0."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def on_core(number: int) -> Iterator[None]:
    """Keep this process to one core, and for good what it starts meanwhile.

    Where the system cannot, or has one core only, all go where it puts them. Linux likes to put a
    worker and the server that it talks to on the same core, where they take turns.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) <= number:
        yield
        return
    os.sched_setaffinity(0, {cores[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _status_bytes(pid: int, field: str) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if field in line)


def _processor() -> str:
    return next(_fields("/proc/cpuinfo", "model name"), platform.processor() or platform.machine())


def _memory() -> str:
    kilobytes = next(_fields("/proc/meminfo", "MemTotal"), "")
    return f"{int(kilobytes.split()[0]) / 2**20:.0f} GiB" if kilobytes else "memory unknown"


def _fields(path: str, name: str) -> Iterator[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    yield from (line.partition(":")[2].strip() for line in lines if line.startswith(name))


def commit() -> str:
    """Return the commit that is measured."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    words = [git, "describe", "--always", "--dirty=, changed since"]
    answer = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


def _version(binary: str) -> str:
    """Return the version of a server, and whose memory it gets."""
    answer = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    words = [word for word in answer.stdout.split() if word.startswith(("v=", "malloc="))]
    return " ".join([*words, "with the system's", find_library("jemalloc") or "malloc"])
