"""What a clone and a wheel of the project hold."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_a_wheel_carries_the_scripts(tmp_path: Path) -> None:
    """A wheel holds every Lua script beside the package that runs it."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    scripts = {f"service/lua/{script.name}" for script in (ROOT / "lua").glob("*.lua")}
    assert scripts
    assert scripts <= packed


@pytest.mark.parametrize("name", ["run", "dev"])
def test_a_lock_depends_on_no_place(name: str) -> None:
    """A lock names versions and hashes only: no package index, no address, no path."""
    lock = (ROOT / "requirements" / f"{name}.lock").read_text()
    assert re.search(r"^aiohttp==\S+ \\\n +--hash=sha256:", lock, re.MULTILINE)
    assert not re.search(r"^--|://|^\S+ @ |^[./]", lock, re.MULTILINE)


def test_both_locks_agree() -> None:
    """What the service runs with is what it was tested with, to the version."""
    pin = re.compile(r"^(\S+==\S+)", re.MULTILINE)
    run, dev = (
        set(pin.findall((ROOT / "requirements" / f"{name}.lock").read_text()))
        for name in ("run", "dev")
    )
    assert run <= dev
