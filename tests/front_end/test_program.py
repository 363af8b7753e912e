"""`make front-end` and `make demo` as processes, and what the example may know of the service."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.program import ROOT, eventually
from tests.servers import free_port

COMMAND = [sys.executable, "-m", "examples.booking_front_end"]
ALLOWED = {"service.client", "service.errors", "service.model"}


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return an environment with these settings and none else."""
    inherited = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("LEASE_", "FRONT_END_"))
    }
    return inherited | {"TMPDIR": str(folder)} | settings


class FrontEnd:
    """A front-end with its service, on ports of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Start it."""
        self.service = f"127.0.0.1:{free_port()}"
        self.address = f"127.0.0.1:{free_port()}"
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, *options],
                cwd=ROOT,
                env=environment(folder, LEASE_LISTEN=self.service, FRONT_END_LISTEN=self.address),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        eventually(lambda: self.process.poll() is not None or self.feed() is not None)
        assert self.process.poll() is None, (folder / "log").read_text()

    def feed(self) -> list[dict[str, Any]] | None:
        """Return the first page of the sessions; None while nobody answers."""
        try:
            page = self.get(self.address, "/feeds/scheduled-sessions")
        except urllib.error.URLError:
            return None
        items: list[dict[str, Any]] = page["items"]
        return items

    def get(self, address: str, path: str) -> Any:
        """Return what is at an address."""
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as response:
            return json.load(response)


@pytest.fixture
def demo(short_folder: Path) -> Iterator[FrontEnd]:
    """Give what `make demo` starts."""
    front_end = FrontEnd(short_folder, "--stock", "demo", "--customers")
    yield front_end
    if front_end.process.poll() is None:
        os.killpg(front_end.process.pid, signal.SIGTERM)
        front_end.process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_moves_and_ends(demo: FrontEnd, number: signal.Signals) -> None:
    """Customers lease and book, and one signal ends front-end and service."""

    def something_moved() -> bool:
        return any(
            item["data"]["remainingAttendeeCapacity"] < item["data"]["maximumAttendeeCapacity"]
            for item in demo.feed() or ()
        )

    eventually(something_moved)
    demo.process.send_signal(number)
    assert demo.process.wait(30) == 0
    with pytest.raises(urllib.error.URLError):
        demo.get(demo.service, "/livez")


def refused(folder: Path, **settings: str) -> str:
    """Start a front-end that cannot start, and return the one line that it says."""
    done = subprocess.run(
        [*COMMAND, "--stock", "demo"],
        cwd=ROOT,
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in {1, 2}
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_a_database_that_cannot_be_is_one_line(short_folder: Path) -> None:
    """Where no service has to be started or ended either, nothing is said but the setting."""
    settings = {"FRONT_END_SERVICE_URL": "http://127.0.0.1:1", "FRONT_END_DATABASE": "/nope/x"}
    for _ in range(5):
        assert "FRONT_END_DATABASE" in refused(short_folder, **settings)


@pytest.fixture
def used() -> Iterator[str]:
    """Give an address at which something listens that is no lease service."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_used_port_is_one_line(short_folder: Path, used: str) -> None:
    """Where its address is taken, the demo says which one, and ends with the service."""
    service = f"127.0.0.1:{free_port()}"
    line = refused(short_folder, LEASE_LISTEN=service, FRONT_END_LISTEN=used)
    assert used in line
    assert "FRONT_END_LISTEN" in line
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(service.rpartition(":")[2])))


def test_a_used_port_of_the_service_is_one_line(short_folder: Path, used: str) -> None:
    """Where the service's address is taken by something else, the service's line is the one."""
    free = f"127.0.0.1:{free_port()}"
    assert used in refused(short_folder, LEASE_LISTEN=used, FRONT_END_LISTEN=free)


def test_a_second_demo_is_one_line(demo: FrontEnd, short_folder: Path) -> None:
    """Where a service runs already, it is not started again beside it."""
    free = f"127.0.0.1:{free_port()}"
    line = refused(short_folder, LEASE_LISTEN=demo.service, FRONT_END_LISTEN=free)
    assert "FRONT_END_SERVICE_URL" in line


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("FRONT_END_LISTNE", "127.0.0.1:1", "FRONT_END_LISTEN?"),
        ("FRONT_END_SERVICE", "http://127.0.0.1:1", "FRONT_END_SERVICE_URL?"),
        ("FRONT_END_DB", "x", "FRONT_END_"),
        ("FRONT_END_LISTEN", "127.0.0.1", "FRONT_END_LISTEN"),
        ("FRONT_END_LISTEN", "127.0.0.1:many", "FRONT_END_LISTEN"),
        ("FRONT_END_LISTEN", "127.0.0.1:70000", "FRONT_END_LISTEN"),
        ("FRONT_END_DATABASE", "/nowhere/at/all.sqlite3", "FRONT_END_DATABASE"),
        ("FRONT_END_SERVICE_URL", "127.0.0.1:8080", "FRONT_END_SERVICE_URL"),
        ("FRONT_END_URL", "example.com", "FRONT_END_URL"),
        ("FRONT_END_FEED_OPPORTUNITY", "false", "FRONT_END_FEED_OPPORTUNITIES?"),
        ("FRONT_END_FEED_OPPORTUNITIES", "maybe", "FRONT_END_FEED_OPPORTUNITIES"),
        ("LEASE_LISTNE", "127.0.0.1:1", "LEASE_LISTEN?"),
    ],
)
def test_a_wrong_setting_is_one_line(
    short_folder: Path, variable: str, text: str, expected: str
) -> None:
    """A misspelt variable is refused with the nearest right one, a wrong value with its name."""
    ports = {name: f"127.0.0.1:{free_port()}" for name in ("LEASE_LISTEN", "FRONT_END_LISTEN")}
    line = refused(short_folder, **ports | {variable: text})
    assert variable in line
    assert expected in line


def test_only_the_client_is_used() -> None:
    """The front-end knows of the service what every front-end may: its client and the wire."""
    imported = {
        node.module or ""
        for path in (ROOT / "examples").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ImportFrom)
    }
    assert {name for name in imported if name.split(".")[0] == "service"} <= ALLOWED
