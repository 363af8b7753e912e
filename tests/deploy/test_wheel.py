"""The wheel, by itself: what an image installs and nothing of this folder."""

import contextlib
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.process.program import ITEMS, OPPORTUNITY, ROOT, Program, connect
from tests.servers import RedisServer


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a virtual environment with the wheel, and the packages that it needs, alone."""
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
    # Where packages are, but not where this project is: a .pth file in there is not read.
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()))
    return environment


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
    """Installed, with no sources in reach, it finds its scripts and pages, and leases."""
    program = Program(
        short_folder,
        command=[str(installed / "bin" / "lease-service")],
        PYTHONPATH="",
        PYTHONWARNINGS="error",
        LEASE_REDIS_URL=server.url,
        LEASE_KEY_PREFIX="wheel",
    )
    with program:
        opportunity = {"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 1}
        assert program.call("PUT", "/opportunities", [opportunity]).status == 200
        path = "/order-quote-templates/e11429ea-467f-4270-ab62-e47368996fe8"
        assert "lease" in program.call("PUT", path, ITEMS).body
        for page in ("/dashboard", "/dashboard/main.js", "/docs", "/docs/swagger-ui.css"):
            assert status(program, page) == 200
        assert program.stop() == 0


def status(program: Program, path: str) -> int:
    """Return the status of a GET whose answer may be no JSON."""
    with contextlib.closing(connect(program.url)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status
