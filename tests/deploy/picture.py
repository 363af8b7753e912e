"""Draws the queries of the Grafana dashboard as a real Prometheus answers them."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from tests.deploy.monitoring import Panel, Prometheus, panels

COLUMNS: Final = 3
# As Grafana abbreviates them.
_UNITS: Final = {"reqps": "requests/s", "ops": "per second", "s": "seconds", "short": ""}


def draw(asked: Prometheus, path: Path, *, began: float, ended: float, window: str) -> None:
    """Write a picture of all panels.

    Args:
        asked: Who answers.
        path: Of the picture.
        began: When it begins, in seconds since 1970.
        ended: When it ends.
        window: What a rate is taken over: Grafana's `$__rate_interval`.

    """
    shown = panels()
    mpl.rcParams["font.size"] = 8
    rows = math.ceil(len(shown) / COLUMNS)
    figure = Figure(figsize=(13, 2.9 * rows), layout="constrained", dpi=110)
    for panel, axes in zip(shown, figure.subplots(rows, COLUMNS).flat, strict=True):
        lines = [
            (_named(query.legend, series["metric"]), _points(series["values"], began))
            for query in panel.queries
            for series in asked.ask(
                "query_range",
                query=query.expression.replace("$__rate_interval", window),
                start=began,
                end=ended,
                step="1s",
            )["result"]
        ]
        # A step that nobody took would only take a place in the legend.
        seen = [(label, points) for label, points in lines if any(value for _, value in points)]
        for label, points in seen or lines:
            axes.plot(*zip(*points, strict=True), label=label)
        _label(axes, panel)
    figure.savefig(path, metadata={"Software": None})


def _points(values: list[tuple[float, str]], began: float) -> list[tuple[float, float]]:
    return [(float(at) - began, float(value)) for at, value in values]


def _named(legend: str, labels: dict[str, str]) -> str:
    named = re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), legend)
    # The port is another one each time, and the errors' names are long.
    named = re.sub(r"127\.0\.0\.1:\d+|(?<=\w)Error$|^Opportunity", "", named)
    return named.strip()


def _label(axes: Any, panel: Panel) -> None:
    axes.set_title(panel.title, loc="left", fontweight="bold")
    axes.set_ylabel(_UNITS[panel.unit])
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.spines[["right", "top"]].set_visible(False)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False, fontsize=6.5, ncols=3
    )
