"""Rule 22: the capacity feed is RPDE, in the opinion of OpenActive's own validator."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.process.program import Program

HERE = Path(__file__).parent
SELLER = "https://example.com/api/organisations/{}"
SESSION = "https://example.com/events/{}"


@pytest.fixture
def node() -> str:
    """Give the program that runs the validator."""
    program = shutil.which("node")
    if program is None or not (HERE / "node_modules").is_dir():
        pytest.skip("the RPDE validator is not installed: npm ci --prefix tests/docs")
    return program


def test_the_validator_finds_no_error(short_folder: Path, node: str) -> None:
    """Rule 22: over pages full and not, with leases and deleted items, it complains of nothing."""
    with Program(short_folder) as program:
        entries = [
            {
                "@type": "Slot" if number % 3 else "ScheduledSession",
                "@id": SESSION.format(number),
                "seller": SELLER.format(number % 7),
                "maximumUses" if number % 3 else "maximumAttendeeCapacity": 5,
            }
            for number in range(1200)
        ]
        assert program.call("PUT", "/opportunities", entries).body["registered"] == 1200
        item = {"orderedItem": SESSION.format(6), "acceptedOffer": "https://example.com/offer"}
        lease = {"seller": SELLER.format(6), "orderedItem": [item]}
        uuid = "e11429ea-467f-4270-ab62-e47368996fe8"
        assert program.call("PUT", f"/order-quotes/{uuid}", lease).status == 200
        seller, opportunity = (quote(text.format(0), safe="") for text in (SELLER, SESSION))
        withdraw = f"/opportunities?seller={seller}&id={opportunity}"
        assert program.call("DELETE", withdraw).status == 204
        found = json.loads(
            subprocess.run(
                [node, HERE / "rpde.cjs", f"{program.url}/capacity-feed"],
                check=True,
                capture_output=True,
                timeout=60,
            ).stdout
        )
    assert len(found["pages"]) >= 4
    complaints = [one for one in found["complaints"] if one["severity"] != "suggestion"]
    # On its walk it takes the last page for one that is full, and misses max-age=3600.
    assert [(one["severity"], one["type"]) for one in complaints] == [
        ("warning", "missing_cache_control")
    ]
