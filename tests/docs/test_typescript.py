"""The types for front-ends in TypeScript are those of the API, and of use."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.process.program import ROOT, Program

HERE = Path(__file__).parent
EXAMPLE = ROOT / "examples" / "typescript"
ADDRESS = "http://127.0.0.1:8080"
TOOLS = HERE / "node_modules" / ".bin"


@pytest.fixture(scope="module")
def node() -> str:
    """Give the program that the tools run in."""
    program = shutil.which("node")
    if program is None or not (TOOLS / "tsc").exists():
        pytest.skip("TypeScript is not installed: npm ci --prefix tests/docs")
    return program


def run(*command: str | Path) -> str:
    """Run a tool, and return what it says; fail with that where it fails."""
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_types_are_up_to_date(tmp_path: Path, node: str) -> None:
    """examples/typescript/lease-service.d.ts is what docs/openapi.json says; else `make types`."""
    made = tmp_path / "made.d.ts"
    openapi = ROOT / "docs" / "openapi.json"
    run(TOOLS / "openapi-typescript", openapi, "--default-non-nullable=false", "--output", made)
    assert made.read_text() == (EXAMPLE / "lease-service.d.ts").read_text()


@pytest.fixture
def here(short_folder: Path, node: str) -> Path:
    """Give a folder with the example, and an `npm` that installs what tests/docs has."""
    shutil.copytree(
        EXAMPLE,
        short_folder / "examples/typescript",
        ignore=shutil.ignore_patterns("build", "node_*"),
    )
    npm = short_folder / "bin/npm"
    npm.parent.mkdir()
    npm.write_text(f'#!/bin/sh -e\n[ "$*" = ci ]\nln -sfn {HERE}/node_modules node_modules\n')
    npm.chmod(0o755)
    return short_folder


def documented(here: Path, url: str) -> subprocess.CompletedProcess[str]:
    """Paste what README.md says to do, with the service at another address."""
    [commands] = re.findall(r"```bash\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    assert ADDRESS in commands
    # With nothing from the registry: the compiler has to be a dependency.
    ours = {"PATH": f"{here}/bin:{os.environ['PATH']}", "npm_config_offline": "true"}
    return subprocess.run(
        ["/bin/sh", "-ec", commands.replace(ADDRESS, url)],
        cwd=here,
        env=os.environ | ours | {"npm_config_cache": f"{here}/cache"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_example_leases_and_books(here: Path) -> None:
    """Compiled as README.md says, by the strictest checks of tsc, it books on a service."""
    with Program(here) as program:
        session = {"@type": "ScheduledSession", "@id": "yoga", "maximumAttendeeCapacity": 1}
        program.call("PUT", "/opportunities", [session])
        first, second = (documented(here, program.url) for _ in range(2))
    assert first.stdout.splitlines()[1:] == ["booked 1"], first.stdout + first.stderr
    assert second.stdout.startswith("refused: Every space of this Opportunity is booked.")


@pytest.fixture(scope="module")
def built(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the compiled example."""
    folder = tmp_path_factory.mktemp("built")
    run(TOOLS / "tsc", "--project", EXAMPLE, "--outDir", folder)
    shutil.copy(EXAMPLE / "package.json", folder)
    return folder / "book.js"


@pytest.mark.parametrize(
    ("status", "retry_after", "waited"),
    [
        (503, "3", [3000] * 4),
        (429, "2", [2000] * 4),
        (503, None, [200, 400, 600, 800]),
        (429, "300", []),
        (404, None, []),
    ],
)
def test_the_example_heeds_retry_after(
    node: str, built: Path, status: int, retry_after: str | None, waited: list[int]
) -> None:
    """It waits as long as it is told, not for minutes, and not where repeating does not help."""

    class Refusing(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            if retry_after is not None:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(b'{"@type": "RefusedError", "description": "not now"}')

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            command: list[str | Path] = [
                node,
                "--import",
                (HERE / "no_waiting.mjs").as_uri(),
                built,
                url,
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        finally:
            server.shutdown()
    assert "RefusedError: not now" in done.stderr, done.stdout
    assert [int(found) for found in re.findall(r"waits (\d+)", done.stdout)] == waited


def test_the_compiler_is_the_one_of_the_tests() -> None:
    """What `npm ci` installs for the example is the version that it is tested with."""
    locks = [json.loads((folder / "package-lock.json").read_text()) for folder in (HERE, EXAMPLE)]
    ours, theirs = (lock["packages"]["node_modules/typescript"] for lock in locks)
    assert theirs.pop("dev")
    assert ours == theirs
    manifest = json.loads((EXAMPLE / "package.json").read_text())
    assert manifest["devDependencies"] == {"typescript": ours["version"]}
