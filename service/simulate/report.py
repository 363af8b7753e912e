"""The report of a run: one HTML page that needs nothing else, not even a network."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template
from typing import Final

import msgspec

from service.simulate.charts import charts
from service.simulate.result import Result
from service.simulate.tables import Table, facts, last_line, milliseconds, tables

_PAGE: Final = Path(__file__).parent / "report.html"
# Where the name of an error may be broken on a phone.
_WORD_IN_NAME: Final = re.compile("(?<=[a-z])(?=[A-Z])")


def page(result: Result) -> str:
    """Return the report as HTML."""
    p50, p99 = (milliseconds(result.steps[-1].milliseconds[name]) for name in ("p50", "p99"))
    figures = {
        "Customers": f"{result.arrived:,}",
        "calls": f"{result.calls:,}",
        "p50": f"{p50} ms",
        "p99": f"{p99} ms",
        "given a lease": f"{result.leases:,}",
        f"of {result.capacity:,} booked": f"{result.booked:,}",
    }
    remarks = (f'<p class="remark">{escape(text)}</p>' for text in result.simulator.remarks)
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        preset=escape(result.preset),
        began=escape(result.began),
        verdict=escape(last_line(result)),
        mood="bad" if result.problems else "good",
        sign="✗" if result.problems else "✓",
        remarks="".join(remarks),
        figures="".join(f"<div>{_terms([figure])}</div>" for figure in figures.items()),
        charts="".join(f"<section>{chart}</section>" for chart in charts(result)),
        tables="".join(map(_table, tables(result))),
        facts=_terms(facts(result).items()),
        scenario=_terms(
            (name.replace("_", " "), "the Seller's policy" if value is None else f"{value:,}")
            for name, value in msgspec.structs.asdict(result.scenario).items()
        ),
    )


def _table(table: Table) -> str:
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in table.head[1:])
    rows = "".join(
        f"<tr><th scope=row>{_WORD_IN_NAME.sub('<wbr>', escape(name))}</th>"
        f"{''.join(f'<td>{escape(number)}</td>' for number in numbers)}</tr>"
        for name, *numbers in table.rows
    )
    return (
        f"<section><h2>{escape(table.title)}</h2><table><thead><tr><td>{escape(table.head[0])}</td>"
        f"{head}</tr></thead><tbody>{rows}</tbody></table></section>"
    )


def _terms(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in pairs)
