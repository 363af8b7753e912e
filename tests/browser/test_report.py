"""The report of a simulation, in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser

from service.simulate.recorder import SpacesSample
from service.simulate.report import page
from service.simulate.result import (
    PERCENTILES,
    LoadInterval,
    Result,
    SimulatorLoad,
    StepResult,
)
from service.simulate.scenario import Scenario

LONG = "https://a-very-long-name-of-a-machine.example.com:8080/with/a/path/that/does/not/end"
MANY = 999_999
SLOWEST = 99_999.0
STEPS = ("C1", "C2", "B", "release", "all")
OVERFLOWING = """
    () => [...document.querySelectorAll("section, table, svg, p, dd, h2")]
        .filter((part) => part.getBoundingClientRect().right > innerWidth
            || part.scrollWidth > part.clientWidth + 1 && part.clientWidth > 0)
        .map((part) => [part.scrollWidth, part.clientWidth, part.outerHTML.slice(0, 200)])
"""


def result() -> Result:
    """Return a result with the longest of everything."""
    latency = dict.fromkeys(PERCENTILES, SLOWEST)
    reasons = {f"{step}: OpportunityCapacityIsReservedByLeaseError": MANY for step in STEPS}
    return Result(
        environment=dict.fromkeys(
            ("service", "workers", "redis", "python", "system", "cores"), "unknown"
        )
        | {"command": f"lease-service simulate --url {LONG} --seller {LONG}"},
        url=LONG,
        seller=LONG,
        preset="steady-day",
        began="2026-11-29T12:00:00Z",
        is_whole=False,
        seconds=86_400,
        scenario=Scenario(customers=1_000_000, duration_seconds=86_400),
        arrived=1_000_000,
        offered_per_second=MANY,
        achieved_per_second=MANY,
        calls=MANY,
        calls_per_second=MANY,
        steps=[StepResult(step, MANY, MANY, MANY, MANY, latency) for step in STEPS],
        refusals=reasons,
        failures=reasons,
        outcomes={"too late: their spaces were gone at C2 or B": MANY},
        leases=MANY,
        bookings=MANY,
        capacity=MANY,
        booked=MANY,
        accepted=MANY,
        problems=[f"{LONG} has 5 spaces, of which 7 are booked"],
        is_audited=True,
        simulator=SimulatorLoad(1, MANY, MANY, MANY, ["The simulator was itself late."]),
        moments=[LoadInterval(n, n, n, n, n or None, n or None, n or None) for n in range(120)],
        spaces=[SpacesSample(n, MANY, MANY, MANY) for n in range(120)],
    )


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("width", [320, 390, 800, 1280])
async def test_a_report_fits_its_screen(chromium: Browser, tmp_path: Path, width: int) -> None:
    """Nothing of a report is wider than a small phone, however long and large what it says."""
    report = tmp_path / "report.html"
    report.write_text(page(result()))
    context = await chromium.new_context(viewport={"width": width, "height": 800})
    shown = await context.new_page()
    await shown.goto(report.as_uri())
    assert await shown.evaluate("document.documentElement.scrollWidth") <= width
    assert await shown.evaluate(OVERFLOWING) == []
    sizes = await shown.evaluate(
        "[...document.querySelectorAll('svg text')].map((t) => t.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 9, "the words of a chart can be read"
    await context.close()
