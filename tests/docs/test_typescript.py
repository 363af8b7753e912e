"""The types for front-ends in TypeScript are those of the API, and of use."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.process.program import ROOT, Program

HERE = Path(__file__).parent
EXAMPLE = ROOT / "examples" / "typescript"
TOOLS = HERE / "node_modules" / ".bin"


@pytest.fixture
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


def test_the_example_leases_and_books(short_folder: Path, node: str) -> None:
    """The example passes the strictest checks of tsc, and books on a running service."""
    run(TOOLS / "tsc", "--project", EXAMPLE, "--outDir", short_folder)
    shutil.copy(EXAMPLE / "package.json", short_folder)
    with Program(short_folder) as program:
        session = {"@type": "ScheduledSession", "@id": "yoga", "maximumAttendeeCapacity": 1}
        program.call("PUT", "/opportunities", [session])
        first, second = (run(node, short_folder / "book.js", program.url) for _ in range(2))
        assert first.splitlines()[1] == "booked 1"
        assert second.startswith("refused: Every space of this Opportunity is booked.")
