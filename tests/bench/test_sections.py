import shutil
from pathlib import Path

import pytest

from tests.bench import soak
from tests.bench.__main__ import SECTIONS, Section, main
from tests.bench.peers.processes import postgres_binaries
from tests.bench.report import Findings
from tests.bench.stage import Stage
from tests.bench.wrk import MissingProgramError

NEEDS = {
    "peers": ("wrk", "webdis", "redis-benchmark"),
    "growth": ("wrk",),
    "items": ("wrk",),
    "connections": ("wrk",),
    "cluster": ("wrk",),
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


@pytest.mark.timeout(240)
def test_a_soak_can_be_run(tmp_path: Path):
    """A soak of a few seconds ends with a clean verify, its figures and its picture."""
    if shutil.which("wrk") is None:
        pytest.skip("wrk is not on the PATH")
    page = tmp_path / "page.md"
    chosen = ["--minutes", "0.05", "--page", str(page), "--images", str(tmp_path)]
    assert soak.main(chosen) == 0
    assert "| lease-service verify | clean | clean | met |" in page.read_text("utf-8")
    assert (tmp_path / "bench-soak.png").exists()


def test_one_section_costs_the_others_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """When a section fails the others are kept all the same, and the exit code is 1."""

    def broken(stage: Stage) -> Findings:
        raise RuntimeError("the server did not start")

    def sound(stage: Stage) -> Findings:
        return Findings("all is well")

    monkeypatch.setitem(SECTIONS, "peers", Section("Side by side", broken))
    monkeypatch.setitem(SECTIONS, "growth", Section("Growth", sound))
    page = tmp_path / "page.md"
    assert main(["peers", "growth", "--page", str(page)]) == 1
    text = page.read_text("utf-8")
    assert "all is well" in text
    assert "Side by side" not in text
