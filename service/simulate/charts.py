"""The charts of a run as SVG: spaces, calls and latency over time.

They have the colours of the page, and the width of a phone, so that their words can be read there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape
from itertools import accumulate
from math import floor, log10
from typing import Final, NamedTuple

from service.simulate.result import Result
from service.simulate.tables import milliseconds

_WIDTH: Final = 360
_HEIGHT: Final = 230
_LEFT: Final = 44.0
_RIGHT: Final = 350.0
_TOP: Final = 56.0
_BOTTOM: Final = 206.0
_TICKS: Final = 5


class Axis(NamedTuple):
    """Maps values to coordinates, and labels some of them."""

    first: float
    last: float
    start: float
    end: float
    labels: Mapping[float, str]

    def at(self, value: float) -> float:
        """Return the coordinate of a value."""
        share = (value - self.first) / (self.last - self.first)
        return round(self.start + share * (self.end - self.start), 1)


def charts(result: Result) -> Iterator[str]:
    """Yield the charts of a run."""
    time = _linear(result.seconds, _LEFT, _RIGHT)
    layers = {
        name: [getattr(sample, name) for sample in result.spaces]
        for name in ("booked", "leased", "free")
    }
    starts = [sample.at for sample in result.spaces]
    summary = f"{result.booked:,} of {result.capacity:,} booked"
    yield _stack("Spaces", summary, time, starts, layers, highest=result.capacity)

    moments = result.moments
    layers = {
        name: [getattr(moment, name) for moment in moments]
        for name in ("done", "refused", "failed")
    }
    starts = [moment.at - moments[0].at for moment in moments]
    highest = max(map(sum, zip(*layers.values(), strict=True)))
    yield _stack(
        "Calls per second", f"{result.calls:,} in all", time, starts, layers, highest=highest
    )

    lines = {
        name: [(m.at, log10(value)) for m in moments if (value := getattr(m, name))]
        for name in ("p50", "p99", "most")
    }
    y = _logarithmic([value for line in lines.values() for _, value in line] or [0])
    points = {
        name: [f"{time.at(at)} {y.at(value)}" for at, value in line]
        for name, line in lines.items()
    }
    dots = "".join(f"M{point}h0" for point in points["most"])
    shapes = [f'<path class="most" d="{dots}"/>'] + [
        f'<polyline class="{name}" points="{" ".join(points[name])}"/>' for name in ("p99", "p50")
    ]
    p50, p99, most = (milliseconds(result.steps[-1].milliseconds[name]) for name in lines)
    yield _chart("Latency in ms", f"p50 {p50}, p99 {p99}, most {most}", lines, time, y, *shapes)


def _stack(
    title: str,
    summary: str,
    time: Axis,
    starts: Sequence[float],
    layers: Mapping[str, Sequence[float]],
    *,
    highest: float,
) -> str:
    """Draw layers on top of each other; each value lasts until the next one starts."""
    y = _linear(highest, _BOTTOM, _TOP)
    levels = [list(accumulate(values)) for values in zip(*layers.values(), strict=True)]
    shapes = []
    # The highest first: each is drawn down to the axis, and covered by those below it.
    for number, name in reversed(list(enumerate(layers))):
        steps = "".join(
            f"H{time.at(start)}V{y.at(level[number])}"
            for start, level in zip(starts, levels, strict=True)
        )
        path = f"M{_LEFT} {_BOTTOM}{steps}H{_RIGHT}V{_BOTTOM}Z"
        shapes.append(f'<path class="area {name}" d="{path}"/>')
    return _chart(title, summary, layers, time, y, *shapes)


def _linear(highest: float, start: float, end: float) -> Axis:
    last = max(highest, 1.0)
    least = max(last / _TICKS, 1.0)
    power = 10 ** floor(log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
    ticks = range(0, floor(last) + 1, step)
    return Axis(0, last, start, end, {tick: f"{tick:,}" for tick in ticks})


def _logarithmic(exponents: Sequence[float]) -> Axis:
    """Return an axis of milliseconds for their logarithms."""
    first, last = floor(min(exponents)), floor(max(exponents)) + 1
    labels = {float(power): f"{10.0**power:,g}" for power in range(first, last + 1)}
    return Axis(first, last, _BOTTOM, _TOP, labels)


def _chart(
    title: str, summary: str, names: Collection[str], time: Axis, y: Axis, *shapes: str
) -> str:
    label = f"{title} over time, in seconds: {', '.join(names)}. {summary}."
    legend = (
        f'<rect class="area {name}" x="{_LEFT + 90 * number}" y="32" width="9" height="9"/>'
        f'<text x="{_LEFT + 90 * number + 14}" y="41">{name}</text>'
        for number, name in enumerate(names)
    )
    rows = (
        f'<path class="grid" d="M{_LEFT} {y.at(tick)}H{_RIGHT}"/>'
        f'<text class="end" x="{_LEFT - 6}" y="{y.at(tick) + 4}">{text}</text>'
        for tick, text in y.labels.items()
    )
    seconds = (
        f'<text class="middle" x="{time.at(tick)}" y="{_BOTTOM + 17}">{text}</text>'
        for tick, text in time.labels.items()
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<text class="title" x="8" y="20">{escape(title)}</text>'
        f'<text class="end" x="{_RIGHT}" y="20">{escape(summary)}</text>'
        f"{''.join((*legend, *rows, *seconds, *shapes))}</svg>"
    )
