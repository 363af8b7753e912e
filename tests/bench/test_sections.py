import shutil
from pathlib import Path

import pytest

from tests.bench.__main__ import SECTIONS, main
from tests.bench.peers.processes import postgres_binaries
from tests.bench.wrk import MissingProgramError

NEEDS = {
    "peers": ("wrk", "webdis", "redis-benchmark"),
    "growth": ("wrk",),
    "items": ("wrk",),
    "connections": ("wrk",),
    "registration": (),
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", NEEDS)
def test_a_section_can_be_run(name: str, tmp_path: Path):
    """A brief run of a section ends well, with a table and its pictures in the page."""
    for program in NEEDS[name]:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on the PATH")
    if name == "peers":
        try:
            postgres_binaries()
        except MissingProgramError as error:
            pytest.skip(str(error))
    page = tmp_path / "page.md"
    assert main([name, "--brief", "--page", str(page), "--images", str(tmp_path)]) == 0
    text = page.read_text("utf-8")
    assert f"### {SECTIONS[name].title}" in text
    assert "\n| --- | ---: |" in text
    assert "Not measured" not in text
    assert all(f"images/{picture.name}" in text for picture in tmp_path.glob("*.png"))
