"""deploy/compose.yaml; no container engine runs here, so it is judged by its schema and read."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.booking_front_end import settings as front_end
from service import __version__
from service.redis.batcher import Batcher
from service.redis.check import check_nodes
from service.redis.connect import connection_factory
from service.settings import Settings
from tests.deploy import dockerfile
from tests.deploy.manifests import FOLDER, containers, options, pods, render
from tests.process.program import ROOT
from tests.servers import RedisServer, redis_binary, valkey_binary

COMPOSE = ROOT / "deploy" / "compose.yaml"
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]


def environment(name: str) -> dict[str, str]:
    """Return the environment of a service, with what its image adds."""
    built = SERVICES[name].get("build", {}).get("target", "service")
    image = dict(each.text.split("=", 1) for each in dockerfile.stages()[built].all("ENV"))
    told: dict[str, str] = SERVICES[name]["environment"]
    assert all(isinstance(text, str) for text in told.values())
    return image | told


def test_the_schema_has_nothing_to_say() -> None:
    """The file is what Compose reads."""
    check = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [check, "--builtin-schema", "vendor.compose-spec", COMPOSE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_image_has_a_version() -> None:
    """No image is whatever is latest; what is built here has this version, from a real stage."""
    for name, each in SERVICES.items():
        assert re.fullmatch(r"[a-z/-]+:v?\d[\w.]*", each["image"])
        if "build" in each:
            assert each["image"] == f"lease-{name.removeprefix('lease-')}:{__version__}"
            assert (COMPOSE.parent / each["build"]["context"]).resolve() == ROOT
            assert each["build"].get("target", "service") in dockerfile.stages()


def test_valkey_is_the_one_of_kubernetes() -> None:
    """A laptop has the same Valkey as a cluster."""
    [pod] = pods(render(FOLDER / "valkey"))
    assert SERVICES["valkey"]["image"] == containers(pod)[0]["image"]


def test_only_this_machine_gets_in() -> None:
    """Every published port is a loopback one: nothing here asks for a token or a password."""
    ports = [port for each in SERVICES.values() for port in each.get("ports", [])]
    assert len(ports) > 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_is_mounted_is_there() -> None:
    """Every file and folder of the project that is mounted exists, and is read only."""
    mounts = [
        mount.split(":")
        for each in SERVICES.values()
        for mount in each.get("volumes", [])
        if mount.startswith(".")
    ]
    assert len(mounts) > 2
    for source, _, mode in mounts:
        assert (COMPOSE.parent / source).is_dir()
        assert mode == "ro"


def test_the_settings_are_settings() -> None:
    """The service's environment makes settings, which agree with its ports and with Valkey."""
    settings = Settings.from_environ(environment("lease-service"))
    assert settings.redis_url == "redis://valkey:6379/0"
    assert [f"127.0.0.1:{address.port}:{address.port}" for address in settings.listen] == SERVICES[
        "lease-service"
    ]["ports"]


def test_the_front_end_finds_the_service() -> None:
    """The front-end is told settings that it has, and where the service is."""
    told = SERVICES["front-end"]["environment"]
    known = re.findall(r"FRONT_END_\w+", Path(front_end.__file__).read_text())
    assert {*told} <= {*known}
    settings = Settings.from_environ(environment("lease-service"))
    assert told["FRONT_END_SERVICE_URL"] == f"http://lease-service:{settings.listen[0].port}"


def test_what_is_waited_for_can_be_healthy() -> None:
    """Whoever is waited for until it is healthy has a health check, its own or its image's."""
    waited_for = [
        name
        for each in SERVICES.values()
        for name, how in dict(each.get("depends_on", {})).items()
        if how == {"condition": "service_healthy"}
    ]
    assert len(waited_for) > 1
    for name in waited_for:
        stage = SERVICES[name].get("build", {}).get("target", "service")
        assert "healthcheck" in SERVICES[name] or dockerfile.health_command(stage)


@pytest.mark.parametrize("binary", ["valkey", "redis"])
async def test_the_service_accepts_this_valkey(binary: str, short_folder: Path) -> None:
    """Started as here, a server is fit to keep leases on disk, and asks for no password."""
    program = valkey_binary() if binary == "valkey" else redis_binary()
    if program is None:
        pytest.skip("redis-server is not on the PATH")
    config = options(SERVICES["valkey"]["command"][1:]) | {"dir": str(short_folder)}
    with RedisServer(program, short_folder, **config) as server:
        batcher = Batcher(connection_factory(server.url))
        # The Redis of a developer's machine may be older than WAITAOF.
        durability = "disk" if binary == "valkey" else "memory"
        await check_nodes(batcher, durability=durability)
        await batcher.close()
