"""`make front-end` and `make demo` as processes, and what the example may know of the service."""

from __future__ import annotations

import ast
import json
import os
import signal
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

ALLOWED = {"service.client", "service.errors", "service.model"}


class FrontEnd:
    """A front-end with its service, on ports of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Start it."""
        self.service = f"127.0.0.1:{free_port()}"
        self.address = f"127.0.0.1:{free_port()}"
        inherited = {name: text for name, text in os.environ.items() if "LEASE_" not in name}
        addresses = {"LEASE_LISTEN": self.service, "FRONT_END_LISTEN": self.address}
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "examples.booking_front_end", *options],
                cwd=ROOT,
                env=inherited | addresses | {"TMPDIR": str(folder)},
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


def test_only_the_client_is_used() -> None:
    """The front-end knows of the service what every front-end may: its client and the wire."""
    imported = {
        node.module or ""
        for path in (ROOT / "examples").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ImportFrom)
    }
    assert {name for name in imported if name.split(".")[0] == "service"} <= ALLOWED
