"""The pictures of docs/benchmarks.md, all in one style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"

# Told apart also by those who see few colours (Okabe and Ito), and by their markers.
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_MARKERS: Final = ("o", "s", "^", "D")
_OURS, _OTHERS = COLOURS[0], "#9aa5b1"

mpl.rcParams |= {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e7eb",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "lease-service",
}


def lines(
    path: Path,
    title: str,
    across: str,
    up: str,
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    logarithmic: bool = True,
) -> str:
    """Draw curves over one axis, both from zero where they are linear.

    Args:
        path: Where to.
        title: What is to be seen.
        across: What the horizontal axis is, with its unit.
        up: What the vertical one is.
        curves: Points by the name of their curve.
        logarithmic: Whether the horizontal axis is.

    Returns:
        The file's name.

    """
    figure, axes = _axes(title)
    for (name, points), colour, marker in zip(curves.items(), COLOURS, _MARKERS, strict=False):
        style: dict[str, Any] = {"marker": marker} if len(points) < 30 else {}
        axes.plot(*zip(*points, strict=True), label=name, color=colour, **style)
    if logarithmic:
        axes.set_xscale("log")
    axes.set(xlabel=across, ylabel=up)
    axes.set_ylim(bottom=0)
    axes.legend()
    return _save(figure, path)


def bars(path: Path, title: str, across: str, lengths: Mapping[str, float], ours: str) -> str:
    """Draw a bar for each name, longest on top, with its figure; `ours` begins the names of ours.

    Returns:
        The file's name.

    """
    ranked = sorted(lengths.items(), key=lambda pair: pair[1])
    figure, axes = _axes("", height=0.32 * len(ranked) + 1.2)
    # Over the names, too, which take half of the width.
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    colours = [_OURS if name.startswith(ours) else _OTHERS for name, _ in ranked]
    drawn = axes.barh([name for name, _ in ranked], [value for _, value in ranked], color=colours)
    axes.bar_label(drawn, [f" {value:,.0f}" for _, value in ranked])
    axes.set_xscale("log")
    axes.set_xlabel(across)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.12)
    return _save(figure, path)


def _axes(title: str, height: float = 4.2) -> tuple[Figure, Any]:
    figure = Figure(figsize=(7.6, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    return figure, axes


def _save(figure: Figure, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    return path.name
