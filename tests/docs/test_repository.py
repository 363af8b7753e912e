"""What a clone and a wheel of the project hold."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted(path.stem for path in (ROOT / "requirements").glob("*.lock"))


def pins(name: str) -> dict[str, str]:
    """Return the packages of a lock, each with its version."""
    lock = (ROOT / "requirements" / f"{name}.lock").read_text()
    return dict(re.findall(r"^(\S+)==(\S+)", lock, re.MULTILINE))


def test_a_wheel_carries_the_scripts_and_the_types(tmp_path: Path) -> None:
    """A wheel holds every Lua script beside the package, and says that it is typed."""
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
    assert "service/py.typed" in packed


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_depends_on_no_place(name: str) -> None:
    """A lock names versions and hashes only: no package index, no address, no path."""
    lock = (ROOT / "requirements" / f"{name}.lock").read_text()
    assert re.search(r"^[a-z]+==\S+ \\\n +--hash=sha256:", lock, re.MULTILINE)
    assert not re.search(r"^--|://|^\S+ @ |^[./]", lock, re.MULTILINE)


@pytest.mark.parametrize("name", LOCKS)
def test_the_locks_agree(name: str) -> None:
    """What runs and what is shipped is what was tested, to the version."""
    tested, others = pins("dev"), pins(name)
    assert others
    assert {package: tested.get(package, others[package]) for package in others} == others
    assert name == "image-build" or others.keys() <= tested.keys()
