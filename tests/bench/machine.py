"""Where a benchmark runs: the machine and the versions."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("aiohttp", "msgspec", "redis", "hiredis", "uvloop")
ROOT = Path(__file__).parents[2]


def describe(binaries: dict[str, str]) -> list[str]:
    """Return a line for the machine, the versions, and each server.

    Args:
        binaries: The path of each server, by the name that the tables use.

    """
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    lines = [
        f"{_processor()}, {os.cpu_count()} cores, {_memory()}, {platform.system()}",
        f"Python {platform.python_version()}, {libraries}; commit {_commit()}",
    ]
    return lines + [f"{name}: {_version(path)}" for name, path in binaries.items()]


def peak_bytes(pid: int) -> int | None:
    """Return the most memory that a process has had resident, where the system tells (Linux)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if "VmHWM" in line)


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


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    words = [git, "describe", "--always", "--dirty=, changed since"]
    answer = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


def _version(binary: str) -> str:
    answer = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    words = answer.stdout.split()
    return " ".join(word for word in words if word.startswith(("v=", "malloc=")))
