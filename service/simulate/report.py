"""The report of a run: one page that needs nothing else, not even a network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Final

import msgspec

from service.simulate.findings import Findings
from service.simulate.scenario import Scenario
from service.simulate.wording import closing_line, milliseconds, summary

_PAGE: Final = Path(__file__).parent / "report.html"
_HEADS: Final = ("calls", "done", "refused", "failed", "p50", "p90", "p99", "p99.9", "longest")
_CAPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "spaces": "Spaces of all Opportunities over time: what is booked, leased and free.",
        "calls": "Calls per second over time: done, refused as they should be where there is not"
        " enough, and failed.",
        "latency": "Milliseconds from when a call was due to its answer, over time: half of the"
        " calls, 99 of 100, and the longest.",
    }
)


def page(findings: Findings, light: Mapping[str, bytes], dark: Mapping[str, bytes]) -> str:
    """Return the report as HTML.

    Args:
        findings: What it is about.
        light: The pictures by name, as PNG.
        dark: The same for those who read in the dark.

    """
    is_good = not findings.problems
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        preset=escape(findings.preset),
        began=escape(findings.began),
        version=escape(findings.version),
        verdict=escape(closing_line(findings)),
        mood="good" if is_good else "bad",
        sign="✓" if is_good else "✗",
        figures="".join(_figures(findings)),
        facts="".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in summary(findings)),
        remarks="".join(f'<p class="remark">{escape(r)}</p>' for r in findings.simulator.remarks),
        pictures="".join(_picture(name, light[name], dark[name]) for name in _CAPTIONS),
        steps=_steps(findings),
        outcomes=_counts("How visits ended", "Customers", findings.outcomes.items()),
        refusals=_counts(
            "Refusals", "calls", ((f"{r.step}: {r.kind}", r.calls) for r in findings.refusals)
        ),
        failures=_counts(
            "Failures", "calls", ((f"{f.step}: {f.kind}", f.calls) for f in findings.failures)
        ),
        scenario="".join(_scenario(findings.scenario)),
    )


def _figures(findings: Findings) -> Iterator[str]:
    latency = findings.steps[-1].milliseconds
    for figure, name in (
        (f"{findings.arrived:,}", "Customers"),
        (f"{findings.calls:,}", "calls"),
        (f"{milliseconds(latency.p50)} ms", "half within"),
        (f"{milliseconds(latency.p99)} ms", "99 % within"),
        (f"{findings.leases:,}", "given a lease"),
        (f"{findings.booked:,}", f"of {findings.capacity:,} spaces booked"),
    ):
        yield f"<div><dd>{escape(figure)}</dd><dt>{escape(name)}</dt></div>"


def _picture(name: str, light: bytes, dark: bytes) -> str:
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{_address(dark)}">'
        f'<img src="{_address(light)}" alt="{escape(_CAPTIONS[name])}" width="1440" height="496">'
        "</picture>"
    )


def _address(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _steps(findings: Findings) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in _HEADS)
    rows = []
    for step in findings.steps:
        latency = step.milliseconds
        counts = (step.calls, step.done, step.refused, step.failed)
        times = (latency.p50, latency.p90, latency.p99, latency.p999, latency.longest)
        cells = [*(f"{count:,}" for count in counts), *map(milliseconds, times)]
        data = "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{escape(step.step)}</th>{data}</tr>')
    return f'<thead><tr><th scope="col">step</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'


def _counts(title: str, unit: str, counts: Iterable[tuple[str, int]]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{count:,}</td></tr>' for name, count in counts
    )
    if not rows:
        return ""
    return (
        f"<section><h2>{escape(title)}</h2><table><thead><tr>"
        f'<td></td><th scope="col">{unit}</th></tr></thead><tbody>{rows}</tbody></table></section>'
    )


def _scenario(scenario: Scenario) -> Iterator[str]:
    for name, value in msgspec.structs.asdict(scenario).items():
        shown = "as the Seller's policy says" if value is None else f"{value:,}"
        yield f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(shown)}</dd>"
