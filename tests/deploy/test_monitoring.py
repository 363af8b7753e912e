"""Prometheus's rules and Grafana's dashboard fit what the service exposes."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.http import STEPS
from service.telemetry import Metrics
from service.telemetry.metrics import ERRORS, EVENTS, KINDS, OUTCOMES
from tests.deploy.monitoring import PROMETHEUS, panels, program, prometheus, rules
from tests.deploy.picture import draw
from tests.deploy.traffic import Evening
from tests.process.program import Program

METRIC = re.compile(r"(?<![:\w])lease_\w+")
RECORDED = re.compile(r"lease:[\w:]+")
SELECTED = re.compile(r'(\w+)=~?"([^"]*)"')
LABELS: dict[str, set[str]] = {
    "step": {*STEPS},
    "outcome": {*OUTCOMES},
    "error": {*ERRORS},
    "event": {*EVENTS},
    "kind": {*KINDS},
}
DOCS = Path(__file__).parents[2] / "docs"
PICTURE = DOCS / "images" / "metrics.png"
WINDOW = "10s"


def expressions() -> list[str]:
    """Return every expression of the rules and the dashboard."""
    return [rule["expr"] for rule in rules()] + [
        query.expression for panel in panels() for query in panel.queries
    ]


def exposed() -> set[str]:
    """Return the name of every time series of a scrape, those that are seldom seen included."""
    metrics = Metrics(STEPS)
    metrics.redis = "Valkey", "9.1.2"
    metrics.of_worker(0).answered("c1", 200, (), 0.01)
    return {
        sample.name
        for family in text_string_to_metric_families(metrics.expose("").body.decode())
        for sample in family.samples
    }


def test_every_metric_that_is_asked_for_exists() -> None:
    """Rules and dashboard name metrics, and values of labels, that the service has."""
    names = {name for expression in expressions() for name in METRIC.findall(expression)}
    assert len(names) > 15
    assert names <= exposed()
    for expression in expressions():
        for label, values in SELECTED.findall(expression):
            assert set(values.split("|")) <= LABELS[label], expression


def test_every_metric_is_shown() -> None:
    """What the service counts is on the dashboard or in a rule, but for what is about itself."""
    asked = {name for expression in expressions() for name in METRIC.findall(expression)}
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in asked}
    unshown = {re.sub("_(bucket|sum|count)$", "", name) for name in exposed()} - families
    assert unshown == {
        "lease_build_info",
        "lease_census_timestamp_seconds",
        "lease_opportunities",
        "lease_redis_info",
        "lease_workers",
    }


def test_a_recording_rule_is_there_before_it_is_used() -> None:
    """Each recorded name that an alert uses is recorded."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = {
        name for expression in expressions() for name in re.findall(r"lease:[\w:]+", expression)
    }
    assert used <= recorded


def test_every_alert_has_its_page_for_the_night() -> None:
    """Each alert leads to a heading of docs/operations.md."""
    text = (DOCS / "operations.md").read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {f"docs/operations.md#{heading.lower().replace(' ', '-')}" for heading in headings}
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len(alerts) > 4
    for alert in alerts:
        assert alert["annotations"]["runbook_url"] in anchors
        assert alert["labels"]["severity"] in {"critical", "warning"}


def test_what_the_operations_page_names_exists() -> None:
    """Every metric in docs/operations.md is one that the service has."""
    named = set(METRIC.findall((DOCS / "operations.md").read_text()))
    assert len(named) > 5
    assert named <= exposed() | {name.removesuffix("_sum") for name in exposed()}


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")],
    ids=" ".join,
)
def test_promtool_is_content(arguments: tuple[str, ...]) -> None:
    """Prometheus's own tool accepts the configuration, and every alert fires when it should."""
    done = subprocess.run(
        [program("promtool"), *arguments],
        cwd=PROMETHEUS,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(180)
def test_a_real_prometheus_answers_every_panel(short_folder: Path) -> None:
    """Every query of the dashboard has an answer; UPDATE_PICTURES=1 renews its picture."""
    is_drawn = os.environ.get("UPDATE_PICTURES") == "1"
    settings = {
        "LEASE_WORKERS": "2",
        "LEASE_ADMIN_LISTEN": "127.0.0.1:0",
        "LEASE_ANONYMOUS_SECONDS": "4",
        "LEASE_NAMED_SECONDS": "6",
    }
    program("prometheus")
    with Program(short_folder, **settings) as service:
        [admin] = service.events("process.listening")[0]["admin"]
        with prometheus(short_folder, admin.removeprefix("http://")) as asked:
            began = time.time()
            seconds, capacity = (90, 16) if is_drawn else (15, 4)
            evening = Evening(service.url, seconds=seconds, capacity=capacity)
            asyncio.run(evening.pass_by())
            for panel in panels():
                for query in panel.queries:
                    found = asked.values(query.expression.replace("$__rate_interval", WINDOW))
                    assert found, f"{panel.title}: {query.expression}"
            assert asked.values("lease:latency:p99_5m")
            alerts = asked.ask("alerts")["alerts"]
            assert not [alert for alert in alerts if alert["state"] == "firing"]
            if is_drawn:
                draw(asked, PICTURE, began=began, ended=time.time(), window=WINDOW)
        assert service.stop() == 0
