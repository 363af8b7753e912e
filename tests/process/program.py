"""The real program as a process of a test's own, and a plain client for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 30.0
COMMAND = (sys.executable, "-W", "error", "-m", "service")

OPPORTUNITY = "https://example.com/events/452/subEvents/132"
ITEMS = {
    "orderedItem": [
        {"position": 0, "orderedItem": OPPORTUNITY, "acceptedOffer": "https://example.com/offer"}
    ]
}


class Answer(NamedTuple):
    """What the program answered."""

    status: int
    body: Any


def eventually(condition: Callable[[], bool]) -> None:
    """Return as soon as the condition holds; fail when it does not for a long time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never came: {condition}"
        time.sleep(0.02)


def environment(folder: Path, settings: dict[str, str]) -> dict[str, str]:
    """Return an environment with these settings and a data folder of the test's own."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("LEASE_")}
    ours = {"LEASE_LISTEN": "127.0.0.1:0", "LEASE_DATA_DIR": str(folder / "data")}
    own = {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    return inherited | ours | own | settings


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end; for what is refused at start."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(folder, settings),
        timeout=PATIENCE_SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )


class Program:
    """`lease-service serve`, started in a folder of its own."""

    def __init__(self, folder: Path, *, command: Sequence[str] = COMMAND, **settings: str) -> None:
        """Prepare it.

        Args:
            folder: Where it runs and logs; its data goes to `data` in it.
            command: Another way to start it than from this folder of sources.
            settings: `LEASE_*` variables.

        """
        self._folder = folder
        self._command = command
        self._environment = environment(folder, settings)
        self._log = folder / f"log-{time.monotonic_ns()}"
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        """Start it, and return when a worker listens."""
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*self._command, "serve"],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        workers = int(self._environment.get("LEASE_WORKERS", "1"))
        eventually(lambda: self._has_ended() or len(self.events("worker.listening")) >= workers)
        assert not self._has_ended(), self.output()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it, if the test has not."""
        if not self._has_ended():
            self.stop()

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self.events("process.listening")[0]["api"][0])

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines of this event."""
        return [
            line for line in map(_parse, self.output().split("\n")) if line.get("event") == name
        ]

    def output(self) -> str:
        """Return everything that it has written."""
        return self._log.read_text()

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Return the exit code once it has ended."""
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """Make one call over a connection of its own.

        Raises:
            OSError: Nobody listens, or nobody answers within a second.

        """
        with contextlib.closing(connect(self.url)) as connection:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
            return Answer(response.status, json.loads(text) if text else None)

    def answers(self, path: str, status: int) -> bool:
        """Tell whether a GET of this path is answered with this status."""
        try:
            return self.call("GET", path).status == status
        except OSError:
            return False

    def refuses_connections(self) -> bool:
        """Tell whether nobody listens any more."""
        with contextlib.closing(connect(self.url)) as connection:
            try:
                connection.connect()
            except OSError:
                return True
        return False

    def _has_ended(self) -> bool:
        return self.process.poll() is not None


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def connect(self) -> None:
        """Connect to the path that stands for the host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(1.0)
        self.sock.connect(self.host)


def connect(url: str) -> http.client.HTTPConnection:
    """Return a connection to `http://host:port` or `unix:/path`; it waits a second at most."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return UnixConnection(parts.path)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=1.0)


def _parse(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
