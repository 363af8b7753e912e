"""The Locust file, as a user of Locust starts it."""

import csv
import subprocess
import sys
from pathlib import Path

from tests.process.program import ROOT, Program, environment

LOCUSTFILE = ROOT / "tests" / "load" / "locustfile.py"
QUICK = ("--users", "20", "--spawn-rate", "20", "--run-time", "3s", "--stop-timeout", "10")


def test_locust_plays_the_same_customers(short_folder: Path) -> None:
    """Locust plays the scenario against the real program, without a failure or an oversell."""
    with Program(short_folder, LEASE_DATA_DIR=":memory:") as program:
        # A process of its own: Locust changes how the whole of Python waits.
        done = subprocess.run(
            [
                *(sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless"),
                *("--host", program.url, "--csv", "run", "--think-seconds", "0.1", *QUICK),
            ],
            cwd=short_folder,
            env=environment(short_folder, {}),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "no oversell" in done.stderr
    with (short_folder / "run_stats.csv").open() as file:
        calls = {row["Name"]: row for row in csv.DictReader(file)}
    assert {"C1", "C2", "B"} <= set(calls)
    assert calls["Aggregated"]["Failure Count"] == "0"
