"""The embedded Valkey: who may use its data folder, and what keeps it from starting."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.redis.embedded import EmbeddedValkey, EmbeddedValkeyError


@pytest.fixture
def zombie() -> Iterator[int]:
    """Give a process that has ended, and that nobody has waited for."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    yield child.pid
    child.wait()


@pytest.fixture
def locked(short_folder: Path) -> Iterator[int]:
    """Give the lock on the data folder, which others must wait for."""
    lock = os.open(short_folder / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield lock
    os.close(lock)


def test_what_a_killed_service_left_is_waited_for(
    short_folder: Path, locked: int, zombie: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner that is only a zombie is dead: its orphans let go of the folder in a moment."""
    os.write(locked, f"{zombie}\n".encode())
    monkeypatch.setattr("time.sleep", lambda _: fcntl.flock(locked, fcntl.LOCK_UN))
    with EmbeddedValkey(str(short_folder)) as valkey:
        assert valkey.exit_code() is None


@pytest.mark.parametrize("lacking", ["tempfile.mkdtemp", "subprocess.Popen"])
def test_what_the_system_does_not_give_is_one_line(
    short_folder: Path, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a folder for its socket, or a process, it says what it needs."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(lacking, refuse)
    with pytest.raises(EmbeddedValkeyError, match=r"No space left on device.*TMPDIR"):
        EmbeddedValkey(str(short_folder)).start()


def test_a_service_that_runs_is_not_waited_for(short_folder: Path, locked: int) -> None:
    """A second service on one folder is refused at once, with the first one's process."""
    os.write(locked, f"{os.getpid()}\n".encode())
    with pytest.raises(EmbeddedValkeyError, match=f"in use by process {os.getpid()}"):
        EmbeddedValkey(str(short_folder)).start()
