"""What Kustomize makes of deploy/kubernetes, and what no schema can see in it."""

import inspect
import json
import os
import re
from itertools import chain
from pathlib import Path

import kubernetes_validate
import pytest
from kubernetes_validate.utils import all_versions

from examples.booking_front_end.settings import Settings as FrontEndSettings
from service import __version__
from service.http.routes import OPERATIONS
from service.http.serving import IN_FLIGHT_SECONDS
from service.process.command import _MARGIN_SECONDS
from service.redis.address import Location
from service.redis.batcher import Batcher
from service.redis.check import check_nodes
from service.redis.connect import connection_factory
from service.settings import Settings
from tests.deploy.manifests import (
    FOLDER,
    Manifest,
    containers,
    environment,
    is_selected,
    of_kind,
    options,
    pods,
    port_names,
    render,
    secret_keys,
    services,
)
from tests.servers import RedisServer, redis_binary, valkey_binary

EXAMPLES = {"redis": "rediss", "sentinel": "redis+sentinel", "cluster": "redis+cluster"}
FOLDERS = [
    *("standalone", "valkey", "demo", "examples/tls"),
    *(f"examples/{name}" for name in EXAMPLES),
]
PROBES = {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
VERSIONS = sorted({*all_versions()}, key=lambda version: [*map(int, version.split("."))])[-3:]

FRONT_ENDS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: ours, labels: {lease-service: sidecar}}
spec:
  selector: {matchLabels: {app: ours}}
  template:
    metadata: {labels: {app: ours}}
    spec:
      initContainers: [{name: migrate, image: "ours:1"}]
      containers: [{name: web, image: "ours:1"}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: other}
spec:
  selector: {matchLabels: {app: other}}
  template:
    metadata: {labels: {app: other}}
    spec: {containers: [{name: web, image: "other:1"}]}
"""


@pytest.fixture(params=FOLDERS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """Give what each folder makes, in turn."""
    return render(FOLDER / request.param)


@pytest.fixture
def standalone() -> list[Manifest]:
    """Give the service by itself."""
    return render(FOLDER / "standalone")


@pytest.fixture
def demo() -> list[Manifest]:
    """Give the demo."""
    return render(FOLDER / "demo")


def test_the_schemas_have_nothing_to_say(manifests: list[Manifest]) -> None:
    """Every manifest is right for the three latest versions of Kubernetes, to the last field."""
    assert manifests
    assert len(VERSIONS) == 3
    for version in VERSIONS:
        for manifest in manifests:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_every_image_has_a_version(manifests: list[Manifest]) -> None:
    """No image is whatever is latest, and the project's own are of this version."""
    images = [container["image"] for pod in pods(manifests) for container in containers(pod)]
    assert images
    for image in images:
        name, _, tag = image.partition(":")
        assert re.match(r"\d", tag)
        assert tag == __version__ or not name.startswith("lease-")


def test_containers_may_do_nothing_but_run(manifests: list[Manifest]) -> None:
    """Every container is within the restricted Pod Security Standard, on a read-only root."""
    for pod in pods(manifests):
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in containers(pod):
            context = container["securityContext"]
            assert context["runAsNonRoot"] is True
            assert context["runAsUser"] > 0
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_containers_say_what_they_need(manifests: list[Manifest]) -> None:
    """Every container asks for CPU and memory, and has a limit of memory and none of CPU."""
    for pod in pods(manifests):
        for container in containers(pod):
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert container["resources"]["limits"].keys() == {"memory"}


def test_the_service_is_probed_where_it_answers(manifests: list[Manifest]) -> None:
    """Each probe of the service asks for a path that its admin listener has, at its port."""
    paths = {route.path for route in OPERATIONS}
    for container in services(manifests):
        [admin] = Settings.from_environ(environment(container)).admin_listen
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for name, path in PROBES.items():
            probe = container[f"{name}Probe"]["httpGet"]
            assert probe["path"] == path
            assert path in paths
            assert ports[probe["port"]] == admin.port
        assert not admin.is_local


def test_probes_outlast_a_slow_redis(manifests: list[Manifest]) -> None:
    """The probes wait longer than `/readyz` may take, which is as long as a call to Redis may."""
    deadline = inspect.signature(Batcher).parameters["deadline_seconds"].default
    for container in services(manifests):
        assert container["readinessProbe"]["timeoutSeconds"] > deadline


def test_the_settings_are_settings(manifests: list[Manifest]) -> None:
    """The environment of the service makes settings: every name is known, every value in order."""
    for container in services(manifests):
        made = environment(container)
        settings = Settings.from_environ(made)
        assert settings.redis_url is not None
        assert Location.read(settings.redis_url)
        assert "$(" not in "".join(made.values())


def test_nothing_is_secret_here(manifests: list[Manifest]) -> None:
    """There is no Secret and no password: what is secret is asked for by name."""
    assert not of_kind(manifests, "Secret")
    for pod in pods(manifests):
        for container in containers(pod):
            for each in container.get("env", []):
                text = each.get("value", "")
                is_reference = "valueFrom" in each or re.fullmatch(r"\$\(\w+\)", text)
                assert is_reference or not re.search("PASSWORD|TOKEN$|SECRET|AUTH", each["name"])
                assert not re.search(r"://[^/@]*:(?!\$\()[^/@]*@", text)
            words = container.get("args", [])
            if "--requirepass" in words:
                assert words[words.index("--requirepass") + 1] == "$(REDIS_PASSWORD)"


def test_the_readme_says_which_secrets_there_have_to_be(manifests: list[Manifest]) -> None:
    """Each Secret that is asked for is made in the README, with that key."""
    readme = (FOLDER / "README.md").read_text()
    made = {*re.findall(r"secret generic (\S+) --from-(?:literal|file)=([\w.]+)", readme)}
    assert {*secret_keys(manifests)} <= made
    names = {*re.findall(r"kubectl create secret \w+ (\S+)", readme)}
    for pod in pods(manifests):
        volumes = pod["spec"].get("volumes", [])
        assert {each["secret"]["secretName"] for each in volumes if "secret" in each} <= names


def test_what_is_mounted_is_there(manifests: list[Manifest]) -> None:
    """Every mount names a volume of the Pod, and every path is absolute."""
    claims = {
        claim["metadata"]["name"]
        for each in of_kind(manifests, "StatefulSet")
        for claim in each["spec"]["volumeClaimTemplates"]
    }
    for pod in pods(manifests):
        volumes = {each["name"] for each in pod["spec"].get("volumes", [])} | claims
        mounts = [mount for each in containers(pod) for mount in each.get("volumeMounts", [])]
        assert {mount["name"] for mount in mounts} <= volumes
        assert all(mount["mountPath"].startswith("/") for mount in mounts)


def test_selectors_select(manifests: list[Manifest]) -> None:
    """Services, budgets and network policies select Pods that there are, and name their ports."""
    templates = pods(manifests)

    def selected(labels: dict[str, str]) -> list[Manifest]:
        found = [pod for pod in templates if is_selected(pod, labels)]
        assert found, labels
        return found

    for each in of_kind(manifests, "Service"):
        for pod in selected(each["spec"]["selector"]):
            assert {port["targetPort"] for port in each["spec"]["ports"]} <= {*port_names(pod)}
    for each in of_kind(manifests, "PodDisruptionBudget"):
        selected(each["spec"]["selector"]["matchLabels"])
    for each in of_kind(manifests, "NetworkPolicy"):
        for pod in selected(each["spec"]["podSelector"]["matchLabels"]):
            allowed = [port["port"] for rule in each["spec"]["ingress"] for port in rule["ports"]]
            assert {*allowed} == {*port_names(pod)}
    for each in of_kind(manifests, "Deployment") + of_kind(manifests, "StatefulSet"):
        labels = each["spec"]["selector"]["matchLabels"]
        assert is_selected(each["spec"]["template"], labels)


def test_the_autoscaler_alone_says_how_many(standalone: list[Manifest]) -> None:
    """The autoscaler scales a Deployment that has no number of its own, of which two stay."""
    [autoscaler] = of_kind(standalone, "HorizontalPodAutoscaler")
    [deployment] = of_kind(standalone, "Deployment")
    target = autoscaler["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert "replicas" not in deployment["spec"]
    assert autoscaler["spec"]["minReplicas"] >= 2
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_there_is_time_to_stop(standalone: list[Manifest]) -> None:
    """The grace period covers the sleep, the drain delay and what is in flight."""
    [pod] = pods(standalone)
    [container] = services(standalone)
    settings = Settings.from_environ(environment(container))
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed = sleep + settings.drain_seconds + IN_FLIGHT_SECONDS + _MARGIN_SECONDS
    assert settings.drain_seconds > 0
    assert pod["spec"]["terminationGracePeriodSeconds"] > needed


def test_the_tokens_are_mounted_where_they_are_read(standalone: list[Manifest]) -> None:
    """The service that others reach has a tokens file: a key of a Secret, in a mounted folder."""
    [container] = services(standalone)
    settings = Settings.from_environ(environment(container))
    assert settings.tokens_file is not None
    assert is_mounted(settings.tokens_file, container)
    assert f"--from-file={Path(settings.tokens_file).name}" in (FOLDER / "README.md").read_text()


def test_the_certificate_is_mounted_where_it_is_read() -> None:
    """Over TLS certificate and key are those of a Secret of that kind, in a mounted folder."""
    [container] = services(render(FOLDER / "examples/tls"))
    settings = Settings.from_environ(environment(container))
    for path, key in ((settings.tls_certificate, "tls.crt"), (settings.tls_key, "tls.key")):
        assert path is not None
        assert Path(path).name == key
        assert is_mounted(path, container)
    assert settings.tokens_file is not None


def is_mounted(path: str, container: Manifest) -> bool:
    """Tell whether a file is in a folder that is mounted, to be read only."""
    return any(
        Path(mount["mountPath"]) == Path(path).parent and mount["readOnly"]
        for mount in container["volumeMounts"]
    )


@pytest.mark.parametrize(("example", "scheme"), EXAMPLES.items())
def test_the_examples_are_what_they_say(example: str, scheme: str) -> None:
    """Each example differs in its Redis, whose ports the network policy lets the service reach."""
    manifests = render(FOLDER / "examples" / example)
    [container] = services(manifests)
    url = environment(container)["LEASE_REDIS_URL"]
    assert url.startswith(f"{scheme}://lease:secret@")
    [policy] = of_kind(manifests, "NetworkPolicy")
    allowed = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert {*map(int, re.findall(r":(\d+)", url))} <= allowed


def test_the_component_adds_the_service_to_any_front_end(tmp_path: Path) -> None:
    """Only a labelled Deployment gets the service: a native sidecar, which starts first."""
    (tmp_path / "front-ends.yaml").write_text(FRONT_ENDS)
    component = os.path.relpath(FOLDER / "sidecar", tmp_path.resolve())
    kustomization = {"resources": ["front-ends.yaml"], "components": [component]}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(kustomization))
    made = {each["metadata"]["name"]: each for each in render(tmp_path)}
    ours, other = made["ours"], made["other"]
    started = [each["name"] for each in containers(other["spec"]["template"])]
    assert started == ["web"]
    pod = ours["spec"]["template"]
    assert [each["name"] for each in containers(pod)] == ["lease-service", "migrate", "web"]
    [sidecar] = services([ours])
    assert sidecar["restartPolicy"] == "Always"
    settings = Settings.from_environ(environment(sidecar))
    assert all(address.is_local for address in settings.listen)
    assert not settings.ready_needs_redis


def test_the_demo_fits_together(
    demo: list[Manifest], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The front-end calls the service beside it, which finds Valkey; all in one namespace."""
    [sidecar] = services(demo)
    settings = Settings.from_environ(environment(sidecar))
    [valkey] = [each for each in of_kind(demo, "Service") if each["metadata"]["name"] == "valkey"]
    assert f"@valkey:{valkey['spec']['ports'][0]['port']}/" in str(settings.redis_url)
    [front_end] = [c for pod in pods(demo) for c in containers(pod) if c["name"] == "front-end"]
    for name, text in environment(front_end).items():
        monkeypatch.setenv(name, text)
    theirs = FrontEndSettings.from_environ({}, tmp_path)
    assert theirs.service_url == f"http://{settings.listen[0]}"
    assert theirs.port == front_end["ports"][0]["containerPort"]
    assert {each["metadata"].get("namespace") for each in demo if each["kind"] != "Namespace"} == {
        "lease-demo"
    }


def test_front_end_variables_exist() -> None:
    """What the front-ends of the demo and of the laptop are told are settings that they have."""
    source = Path(FrontEndSettings.__module__.replace(".", "/") + ".py").read_text()
    told = (FOLDER / "demo/front-end.yaml").read_text()
    names = {*re.findall(r"FRONT_END_\w+", told)}
    assert names
    assert names <= {*re.findall(r"FRONT_END_\w+", source)}


@pytest.mark.parametrize("binary", ["valkey", "redis"])
async def test_the_service_accepts_this_valkey(binary: str, short_folder: Path) -> None:
    """Started with the StatefulSet's arguments, a server is fit to keep leases, on disk too."""
    program = valkey_binary() if binary == "valkey" else redis_binary()
    if program is None:
        pytest.skip("redis-server is not on the PATH")
    [valkey] = chain.from_iterable(map(containers, pods(render(FOLDER / "valkey"))))
    password = environment(valkey)["REDISCLI_AUTH"]
    config = options(valkey["args"]) | {"dir": str(short_folder), "requirepass": password}
    with RedisServer(program, short_folder, **config) as server:
        batcher = Batcher(connection_factory(f"{server.url}?password={password}"))
        # The Redis of a developer's machine may be older than WAITAOF.
        durability = "disk" if binary == "valkey" else "memory"
        await check_nodes(batcher, durability=durability)
        await batcher.close()
