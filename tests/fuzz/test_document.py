from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import checks
from tests.process.program import ROOT, Program, connect, run

FACTOR = int(os.environ.get("FUZZ_FACTOR", "1"))
COMMAND = Path(sys.executable).with_name("schemathesis")
DOCUMENT = ROOT / "docs" / "openapi.json"


def register(program: Program, token: str) -> None:
    """Make known what `checks.KNOWN` names."""
    offers = [
        {"@id": checks.KNOWN["acceptedOffer"], "price": checks.PRICE, "priceCurrency": "GBP"}
    ]
    entry = {"@type": "Event", "@id": checks.KNOWN["orderedItem"], "offers": offers}
    body = json.dumps([entry | {"maximumAttendeeCapacity": 1_000_000}])
    with contextlib.closing(connect(program.url)) as connection:
        headers = {"Authorization": f"Bearer {token}"}
        connection.request("PUT", "/opportunities", body, headers)
        assert json.loads(connection.getresponse().read())["registered"] == 1


@pytest.mark.timeout(300 * FACTOR)
def test_the_document_is_true(short_folder: Path) -> None:
    """Played by schemathesis, links and all, no answer contradicts the document (rule 24)."""
    made = run(short_folder, "token", "--name", "fuzz", "--scope", "admin")
    token = made.stderr.split()[-1]
    (short_folder / "tokens.toml").write_text(made.stdout)
    # An exchange from C1 to the cancellation has six calls, and not every one is to the point.
    (short_folder / "schemathesis.toml").write_text("[phases.stateful]\nmax-steps = 12\n")
    settings = {
        "LEASE_TOKENS_FILE": "tokens.toml",
        "LEASE_DATA_DIR": ":memory:",
        "LEASE_LOG_LEVEL": "debug",
    }
    with Program(short_folder, **settings) as program:
        register(program, token)
        played = subprocess.run(
            [
                COMMAND,
                "run",
                str(DOCUMENT),
                f"--url={program.url}",
                f"--header=Authorization: Bearer {token}",
                f"--exclude-checks={','.join(checks.REPLACED)}",
                # An endless answer: tests/http/test_events.py reads it.
                "--exclude-path=/capacity-events",
                f"--max-examples={10 * FACTOR}",
                "--generation-deterministic" if FACTOR == 1 else "--generation-database=none",
                "--continue-on-failure",
                "--request-timeout=20",
                "--no-color",
            ],
            cwd=short_folder,
            env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz.checks", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not program.events("request.failed")
        # It got beyond the door.
        for event in ("lease.granted", "proposal.made", "order.booked"):
            assert program.events(event), event
    assert played.returncode == 0, played.stdout + played.stderr
    assert "Stateful" in played.stdout
