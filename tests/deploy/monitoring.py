"""What deploy/prometheus and deploy/grafana ask for, and a real Prometheus to ask."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
import yaml

from tests.process.program import PATIENCE_SECONDS, connect, eventually
from tests.servers import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "lease-service.json"
PROMETHEUS = DEPLOY / "prometheus"


class Query(NamedTuple):
    """One line, or one bundle of lines, of a panel."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """One picture of the dashboard."""

    title: str
    description: str
    unit: str
    queries: list[Query]


def panels() -> list[Panel]:
    """Return the panels of the Grafana dashboard."""
    return [
        Panel(
            panel["title"],
            panel["description"],
            panel["fieldConfig"]["defaults"]["unit"],
            [Query(target["expr"], target["legendFormat"]) for target in panel["targets"]],
        )
        for panel in json.loads(DASHBOARD.read_text())["panels"]
    ]


def rules() -> list[dict[str, Any]]:
    """Return the recording rules and the alerts."""
    [group] = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def program(name: str) -> str:
    """Return the path of a program of Debian's package `prometheus`."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on the PATH (Debian: apt install prometheus)")
    return path


class Prometheus:
    """A real Prometheus of a test's own."""

    def __init__(self, url: str) -> None:
        self._url = url

    @property
    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            return self._get("/-/ready")[0] == HTTPStatus.OK
        except OSError:
            return False

    def ask(self, path: str, **query: str | float) -> Any:
        """Return what its API answers."""
        status, text = self._get(f"/api/v1/{path}?{urlencode(query)}")
        assert status == HTTPStatus.OK, text
        return json.loads(text)["data"]

    def _get(self, path: str) -> tuple[int, bytes]:
        with contextlib.closing(connect(self._url)) as connection:
            connection.timeout = PATIENCE_SECONDS
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()

    def values(self, expression: str) -> list[dict[str, Any]]:
        """Return the time series that an expression has now."""
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found


@contextlib.contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """Run a Prometheus with the project's rules that scrapes a service every second."""
    binary = program("prometheus")
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(PROMETHEUS / "rules.yml")]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                binary,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        asked = Prometheus(f"http://127.0.0.1:{port}")
        eventually(lambda: asked.is_ready)
        yield asked
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
