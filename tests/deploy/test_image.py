"""The Dockerfile; no container engine runs here, so its parts are tried one by one."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from service import __version__
from tests.deploy import dockerfile
from tests.process.program import ROOT, Program
from tests.servers import free_port

IMAGES = ("service", "front-end")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def locked(name: str) -> set[str]:
    """Return the names of the packages in a lock."""
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    return {*re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)}


def imported(folder: str) -> set[str]:
    """Return the packages that the modules of a folder import, wherever they do."""
    nodes = [
        node
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
    ]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    known = packages_distributions()
    return {
        distribution.lower().replace("_", "-")
        for top in {name.partition(".")[0] for name in names} - {"service", "examples"}
        for distribution in known.get(top, [])
    }


def test_hadolint_finds_nothing() -> None:
    """The linter of Dockerfiles has nothing to say."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_copied_is_there() -> None:
    """Every path that is copied from the project exists, and .dockerignore lets it through."""
    let_through = (ROOT / ".dockerignore").read_text().split("\n")
    copied = [
        source
        for stage in dockerfile.stages().values()
        for copy in stage.all("COPY")
        if not copy.text.startswith("--from=")
        for source in copy.words[:-1]
    ]
    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert {source.partition("/")[0] for source in copied} == {
        line.removeprefix("!") for line in let_through if line.startswith("!")
    }


def test_the_image_is_the_service() -> None:
    """Without a target the service is built, in the version that it says it has."""
    assert [*dockerfile.stages()][-1] == "service"
    assert dockerfile.arguments()["VERSION"] == __version__


def test_the_python_is_the_oldest_supported_one() -> None:
    """The image's Python is the one that the tests are run on, and slim: without a compiler."""
    python = dockerfile.arguments()["PYTHON"]
    assert PROJECT["requires-python"] == f">={python.partition('-')[0]}"
    assert python.partition("-")[2].startswith("slim-")


@pytest.mark.parametrize("image", IMAGES)
def test_nobody_in_particular_runs_it(image: str) -> None:
    """The process is no root, by number, and everything is started without a shell."""
    line = dockerfile.lineage(image)
    [user] = [each.text for stage in line for each in stage.all("USER")]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    commands = line[0].all("ENTRYPOINT") + line[0].all("CMD")
    assert commands
    assert all(command.text.startswith("[") for command in commands)
    assert dockerfile.health_command(image)[0] == "python"


@pytest.mark.parametrize("image", IMAGES)
def test_nothing_is_installed_in_what_is_shipped(image: str) -> None:
    """What is shipped only copies what other stages have built: no package manager ran in it."""
    assert [stage.name for stage in dockerfile.lineage(image)] == [image, "base"]
    assert not [each for stage in dockerfile.lineage(image) for each in stage.all("RUN")]


def test_what_is_installed_is_locked() -> None:
    """Packages come by their hash, or without any index from the wheels made of these."""
    installs = [
        command
        for stage in dockerfile.stages().values()
        for run in stage.all("RUN")
        for command in run.text.split(" && ")
        if re.match(r"pip\b", command)
    ]
    assert len(installs) > 3
    assert all("--require-hashes" in each or "--no-index" in each for each in installs)


def test_the_lock_has_what_is_imported() -> None:
    """The images have every package that they import, but no Valkey."""
    extras = PROJECT["optional-dependencies"]
    left_out = {re.split("[^a-z-]", each)[0] for each in extras["embedded"]}
    needed = imported("service") | imported("examples")
    assert needed - locked("image") <= left_out
    assert not left_out & locked("image")


def test_the_health_check_tells(short_folder: Path) -> None:
    """The image's health check passes while the service lives, and fails once it is gone."""
    port = str(free_port())
    [_, *command] = dockerfile.health_command("service")
    check = [sys.executable, *(word.replace("9090", port) for word in command)]
    with Program(short_folder, LEASE_ADMIN_LISTEN=f"127.0.0.1:{port}") as program:
        assert subprocess.run(check, capture_output=True, check=False).returncode == 0
        assert program.stop() == 0
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0


def test_the_health_check_asks_where_the_image_listens() -> None:
    """The port of the health check is that of the probes' address, and is exposed."""
    service = dockerfile.stages()["service"]
    [environment] = [each.text for each in service.all("ENV")]
    [exposed] = [each.words for each in service.all("EXPOSE")]
    assert environment == "LEASE_ADMIN_LISTEN=0.0.0.0:9090"
    assert "http://127.0.0.1:9090/livez" in dockerfile.health_command("service")[-1]
    assert exposed == ["8080", "9090"]
