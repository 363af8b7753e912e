"""What docs/simulate.md shows of a simulation: its words and its report."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.process.program import COMMAND, ROOT, Program, environment

PAGE = ROOT / "docs" / "simulate.md"
PICTURE = ROOT / "docs" / "images" / "flash-sale.png"
RENEWS = bool(os.environ.get("UPDATE_PICTURES"))

_SHOWN = re.compile(r"(?<=\nlease-service simulate\n```\n\n```text\n).*?(?=\n```\n)", re.DOTALL)


@pytest.mark.timeout(300)
def test_the_page_shows_a_run(short_folder: Path) -> None:
    """docs/simulate.md shows what a flash sale prints; UPDATE_PICTURES=1 renews it."""
    listen = "127.0.0.1:8080" if RENEWS else "127.0.0.1:0"
    with Program(short_folder, LEASE_LISTEN=listen, LEASE_DATA_DIR=":memory:") as program:
        shorter = ["--duration", "2", "--think-seconds", "0.1", "--lease-seconds", "1"]
        arguments = [] if RENEWS else ["--url", program.url, *shorter]
        done = subprocess.run(
            [*COMMAND, "simulate", *arguments],
            cwd=short_folder,
            env=environment(short_folder, {}),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip("\n")
    if RENEWS:
        PAGE.write_text(_SHOWN.sub(lambda _: printed, PAGE.read_text()))
        browser = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars"]
        size = [f"--screenshot={PICTURE}", "--window-size=1180,660"]
        [page] = short_folder.glob("simulation-*/report.html")
        subprocess.run([*browser, *size, page.as_uri()], check=True)
    [shown] = _SHOWN.findall(PAGE.read_text())
    assert labels(shown) == labels(printed)
    assert shown.splitlines()[-1].startswith("verify: no oversell: ")


def labels(text: str) -> list[str]:
    """Return what stands at the beginning of the lines that every run prints."""
    always = {"run", "time", "Customers", "calls", "leases", "bookings", "simulator", "service"}
    always |= {"machine", "command", "Calls", "step", "all", "Latency,"}
    return [word for line in text.splitlines() for word in line.split()[:1] if word in always]
