"""The pictures of a run: spaces, calls and latency over time."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from service.simulate.findings import Findings
from service.simulate.wording import milliseconds

_WIDTH: Final = 9.0
_HEIGHT: Final = 3.1
_LAYOUT: Final = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15)
_DOTS_PER_INCH: Final = 160


class Look(NamedTuple):
    """The colours: those of the dashboard."""

    ground: str
    ink: str
    quiet: str
    line: str
    booked: str
    leased: str
    free: str
    done: str
    refused: str
    failed: str
    median: str
    tail: str


LIGHT: Final = Look(
    ground="#ffffff",
    ink="#17212e",
    quiet="#566273",
    line="#dfe4ea",
    booked="#24466f",
    leased="#e2a33a",
    free="#e6ebf0",
    done="#2a9383",
    refused="#b9c4d0",
    failed="#b3261e",
    median="#1d5fa8",
    tail="#8566bd",
)
DARK: Final = Look(
    ground="#17202a",
    ink="#e7edf4",
    quiet="#9aa8b8",
    line="#283442",
    booked="#5f8fc9",
    leased="#e9b04c",
    free="#2a3644",
    done="#45b8a5",
    refused="#4d5d6e",
    failed="#ff9389",
    median="#86bcf5",
    tail="#a98ce0",
)


def spaces(axes: Axes, findings: Findings, look: Look) -> None:
    """Draw what was booked, leased and free."""
    at = [sample.at for sample in findings.spaces]
    layers = [
        [getattr(sample, name) for sample in findings.spaces]
        for name in ("booked", "leased", "free")
    ]
    colours = (look.booked, look.leased, look.free)
    axes.stackplot(at, *layers, colors=colours, labels=("booked", "leased", "free"), linewidth=0)
    axes.set_ylim(0, findings.capacity or 1)
    _title(axes, look, "Spaces", f"{findings.booked:,} of {findings.capacity:,} booked")


def calls(axes: Axes, findings: Findings, look: Look) -> None:
    """Draw the calls per second, by how they ended."""
    # Each while is drawn from its middle to both sides, and the first one from its beginning.
    moments = [*findings.moments[:1], *findings.moments]
    at = [0.0, *(moment.at for moment in findings.moments)]
    layers = [
        [getattr(moment, name) for moment in moments] for name in ("done", "refused", "failed")
    ]
    colours = (look.done, look.refused, look.failed)
    labels = ("done", "refused", "failed")
    axes.stackplot(at, *layers, colors=colours, labels=labels, linewidth=0, step="mid")
    axes.set_ylim(bottom=0)
    _title(axes, look, "Calls per second", f"{findings.calls:,} calls in all")


def latency(axes: Axes, findings: Findings, look: Look) -> None:
    """Draw the latency, from when a call was due to its answer."""
    at = [moment.at for moment in findings.moments]
    longest, tail, median = (
        [getattr(moment, name) for moment in findings.moments]
        for name in ("longest", "p99", "p50")
    )
    axes.plot(at, longest, ".", color=look.quiet, markersize=3, label="longest")
    axes.plot(at, tail, color=look.tail, linewidth=1.8, label="99 % within")
    axes.plot(at, median, color=look.median, linewidth=1.8, label="half within")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    whole = findings.steps[-1].milliseconds
    p50, p99 = milliseconds(whole.p50), milliseconds(whole.p99)
    said = f"half within {p50} ms, 99 % within {p99} ms"
    _title(axes, look, "Latency in ms", said)


Drawing = Callable[[Axes, Findings, Look], None]
DRAWINGS: Final[Mapping[str, Drawing]] = MappingProxyType(
    {"spaces": spaces, "calls": calls, "latency": latency}
)


def draw(findings: Findings, *names: str, look: Look = LIGHT) -> bytes:
    """Return a PNG of these drawings, one above the other over the same time.

    Args:
        findings: The run.
        names: Of `DRAWINGS`.
        look: The colours.

    """
    style: Any = _style(look)
    with mpl.rc_context(style):
        figure = Figure(figsize=(_WIDTH, _HEIGHT * len(names)), layout=_LAYOUT)
        FigureCanvasAgg(figure)
        several: Any = figure.subplots(len(names), 1, sharex=True, squeeze=False)
        for axes, name in zip(several[:, 0], names, strict=True):
            DRAWINGS[name](axes, findings, look)
            _frame(axes, findings, look)
        axes.set_xlabel("seconds")
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return content.getvalue()


def _title(axes: Axes, look: Look, title: str, said: str) -> None:
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=look.ink, pad=10)
    axes.set_title(said, loc="right", fontsize=9.5, color=look.quiet, pad=10)


def _frame(axes: Axes, findings: Findings, look: Look) -> None:
    axes.set_xlim(0, max(findings.seconds, 1))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(look.line)
    axes.tick_params(length=0, labelsize=9)
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis="y", linewidth=0.8)
    axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1), frameon=False, fontsize=9)


def _style(look: Look) -> dict[str, str]:
    return {
        "font.family": "DejaVu Sans",
        "figure.facecolor": look.ground,
        "axes.facecolor": look.ground,
        "text.color": look.ink,
        "xtick.color": look.quiet,
        "ytick.color": look.quiet,
        "axes.labelcolor": look.quiet,
        "grid.color": look.line,
    }
