import shutil
from pathlib import Path

import msgspec
import pytest

from bench import soak
from bench.__main__ import SECTIONS, Section, main
from bench.calls import Caller
from bench.peers.processes import postgres_binaries
from bench.report import Findings
from bench.stage import Stage
from bench.traffic import SELLER, http_request, opportunity
from bench.world import world
from bench.wrk import MissingProgramError
from tests.servers import valkey_binary

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


@pytest.mark.timeout(120)
def test_what_is_measured_is_given_back(tmp_path: Path):
    """A measurement leaves as many leases as it found, those made over HTTP included."""
    if shutil.which("wrk") is None:
        pytest.skip("wrk is not on the PATH")
    stage = Stage("valkey", valkey_binary(), tmp_path)
    with stage.folder() as folder, world(stage, folder / "w") as one:
        one.register(10)
        one.lease(30, 10)
        one.script_cost(10)
        one.http_cost(10)
        ask = http_request("GET", f"/opportunities?seller={SELLER}&id={opportunity(7)}")
        with Caller(one.program.url) as caller:
            [found] = msgspec.json.decode(caller.succeed(ask.fill()).body)
    assert found["leased"] == 3
