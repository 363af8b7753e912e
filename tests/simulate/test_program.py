"""`lease-service simulate` as a user starts it, against the real program."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from service import __version__
from service.simulate import command
from service.simulate.inventory import OWN_SELLER
from service.simulate.oversell import check_redis
from tests.process.program import COMMAND, Program, environment, eventually, run
from tests.servers import RedisServer, free_port, valkey_binary
from tests.simulate.liar import Liar

SHORT = ("--duration", "2", "--rate", "40", "--think-seconds", "0.1", "--spaces", "30")
# What a busy machine may need: each test starts several programs.
pytestmark = pytest.mark.timeout(180)


def simulate(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end, with its report in `out`."""
    return subprocess.run(
        [*COMMAND, "simulate", "--url", url, "--output", "out", *arguments],
        cwd=folder,
        env=environment(folder, {}),
        capture_output=True,
        text=True,
        check=False,
    )


def result(folder: Path) -> Any:
    """Return what it wrote for programs."""
    return json.loads((folder / "out" / "result.json").read_text())


def test_a_short_sale(short_folder: Path) -> None:
    """A run shows what happened, writes its report, withdraws what it sold, and ends with 0."""
    with Program(short_folder, LEASE_DATA_DIR=":memory:") as program:
        done = simulate(short_folder, program.url, *SHORT, "--opportunities", "2", "--skew", "1")
        kept = program.call("GET", f"/dashboard/data/opportunities?seller={OWN_SELLER}")

    assert done.returncode == 0, done.stderr
    assert re.search(r"C1 +\d+ +\d+", done.stdout)
    assert done.stdout.splitlines()[-1].startswith("verify: no oversell: ")
    assert "80 of 80 Customers" in done.stderr
    assert OWN_SELLER + ":" not in json.dumps(kept.body)


def test_what_a_report_has(short_folder: Path) -> None:
    """The report is one file that needs nothing else, and every number of it is in the JSON."""
    listen = f"unix:{short_folder}/api.sock"
    with Program(short_folder, LEASE_LISTEN=listen, LEASE_WORKERS="2") as program:
        done = simulate(short_folder, program.url, *SHORT, "--json")
    assert done.returncode == 0, done.stderr
    found = result(short_folder)
    assert found == json.loads(done.stdout)
    page = (short_folder / "out" / "report.html").read_text()

    assert {path.name for path in (short_folder / "out").iterdir()} == {
        "report.html",
        "result.json",
    }
    assert found["arrived"] == found["scenario"]["customers"] == 80
    assert found["calls"] == sum(step["calls"] for step in found["steps"][:-1])
    assert found["booked"] == found["accepted"] <= found["capacity"] == 30
    assert sum(found["outcomes"].values()) == 80
    refused = sum(step["refused"] for step in found["steps"][:-1])
    assert refused == sum(found["refusals"].values())
    assert found["spaces"]
    assert all(sum(spaces) == 30 for _, *spaces in found["spaces"])
    assert re.findall(r"(?:src|href|srcset|url)[=(]", page) == []
    assert page.count("<svg") == page.count('aria-label="') == 3
    environment = found["environment"]
    assert environment["command"] == f"lease-service simulate --url {listen} --output out " + (
        " ".join((*SHORT, "--json"))
    )
    assert environment["workers"] == "2"
    assert environment["redis"].startswith("Valkey ")
    assert environment["service"] == environment["simulator"] == __version__
    for said in environment.values():
        assert said in page
    assert "(16 s at most)" in page
    assert 'lang="en-GB"' in page
    assert "verify: no oversell" in page


def test_ctrl_c_ends_it_with_its_report(short_folder: Path) -> None:
    """At the first Ctrl-C nobody comes any more, and what was done is reported and verified."""
    with Program(short_folder, LEASE_DATA_DIR=":memory:") as program:
        arguments = ("--url", program.url, "--output", "out", "--duration", "600", "--rate", "20")
        simulating = start(short_folder, *arguments)
        eventually(lambda: sold(program) > 0)
        simulating.send_signal(signal.SIGINT)
        output, _ = simulating.communicate()
        # The dashboard shares what it read with all who look within a second.
        eventually(lambda: OWN_SELLER + ":" not in json.dumps(on_dashboard(program)))

    assert simulating.returncode == 0
    assert "ended early" in output
    assert output.splitlines()[-1].startswith("verify: no oversell")
    assert result(short_folder)["is_whole"] is False


def sold(program: Program) -> int:
    """Return how many spaces a simulation has leased or booked by now."""
    shown = json.dumps(on_dashboard(program))
    return sum(map(int, re.findall(r'"(?:booked|anonymous|named)": (\d+)', shown)))


def on_dashboard(program: Program) -> object:
    """Return what the dashboard shows of a simulation's Opportunities."""
    return program.call("GET", f"/dashboard/data/opportunities?seller={OWN_SELLER}").body


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a simulation."""
    return subprocess.Popen(
        [*COMMAND, "simulate", *arguments],
        cwd=folder,
        env=environment(folder, {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_an_earlier_report_stays(short_folder: Path) -> None:
    """A folder with a report is refused before any call, unless `--overwrite` is said."""
    report = short_folder / "out" / "report.html"
    report.parent.mkdir()
    report.write_text("of yesterday")
    with Program(short_folder, LEASE_DATA_DIR=":memory:") as program:
        refused = simulate(short_folder, program.url, *SHORT)
        assert report.read_text() == "of yesterday"
        done = simulate(short_folder, program.url, *SHORT, "--overwrite")
    assert refused.returncode == 2
    assert "--overwrite" in refused.stderr
    assert done.returncode == 0
    assert "of yesterday" not in report.read_text()


def test_no_run_takes_the_folder_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `--output` each run has a folder of its own, also within one second."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("service.simulate.command.time.strftime", lambda _: "simulation-now")
    made = [str(command._folder(None)) for _ in range(3)]
    assert made == ["simulation-now", "simulation-now-2", "simulation-now-3"]


async def test_a_server_that_oversells_is_found_out(short_folder: Path) -> None:
    """The exit code is 1 and the last line says what was sold too often (rule 8)."""
    liar = Liar()
    server = TestServer(liar.app())
    await server.start_server()
    url = str(server.make_url(""))
    done = await asyncio.to_thread(simulate, short_folder, url, *SHORT, "--spaces", "5")
    await server.close()

    assert done.returncode == 1
    assert "NOT as promised" in done.stdout.splitlines()[-1]
    assert "has 5 spaces" in result(short_folder)["problems"][0]
    assert "NOT as promised" in (short_folder / "out" / "report.html").read_text()
    assert len(liar.withdrawn) == 1


def test_a_service_that_goes_away_leaves_a_report(short_folder: Path) -> None:
    """A service that dies in the middle takes nothing with it but the verdict."""
    with Program(short_folder, LEASE_DATA_DIR=":memory:") as program:
        arguments = ("--url", program.url, "--output", "out", "--duration", "3", "--rate", "40")
        simulating = start(short_folder, *arguments, "--think-seconds", "0.1")
        eventually(lambda: sold(program) > 0)
        os.killpg(program.process.pid, signal.SIGKILL)
        output, _ = simulating.communicate()

    assert simulating.returncode == 1
    assert "cannot be read" in output.splitlines()[-1]
    assert any("no answer" in failure for failure in result(short_folder)["failures"])


def test_without_a_service_it_says_how_to_start_one(short_folder: Path) -> None:
    """Where nobody answers there is no report, but a line that helps."""
    done = simulate(short_folder, f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "lease-service serve" in done.stderr
    assert not (short_folder / "out").exists()


def test_a_service_that_wants_a_token(short_folder: Path) -> None:
    """A refusal of the service is shown in its own words."""
    tokens = short_folder / "tokens.toml"
    digest = "0" * 64
    tokens.write_text(f'[[token]]\nname = "a"\nscope = "admin"\nsha256 = "{digest}"\n')
    with Program(short_folder, LEASE_TOKENS_FILE=str(tokens)) as program:
        without = simulate(short_folder, program.url)
        (short_folder / "token").write_text("wrong\n")
        wrong = simulate(short_folder, program.url, "--token", "@token")
    assert (without.returncode, wrong.returncode) == (1, 1)
    assert "NoAPITokenError" in without.stderr
    assert "InvalidAPITokenError" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--url", "http://192.0.2.1:8080"), "--i-may-load-this-server"),
        (("--rate", "0"), "--rate"),
        (("--seller", "https://example.com/s", "--lease-seconds", "5"), "--seller"),
        (("--token", "@missing"), "missing"),
        (("--token", f"@{sys.executable}"), "--token"),
        (("--connections", "0"), "--connections"),
        (("--rate", "nan"), "--rate"),
        (("--duration", "inf"), "--duration"),
    ],
)
def test_what_cannot_be_run_is_refused(
    short_folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    """Bad arguments end it with 2 and a line that names the option, before any call."""
    done = run(short_folder, "simulate", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_in_redis_is_verified_too(short_folder: Path) -> None:
    """Where the address of Redis is known, the last line tells what `verify` found there."""
    with (
        RedisServer(valkey_binary(), short_folder) as server,
        Program(short_folder, LEASE_REDIS_URL=server.url) as program,
    ):
        done = simulate(short_folder, program.url, *SHORT, "--redis-url", server.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("all that is in Redis agrees")


async def test_a_redis_that_cannot_be_verified_is_a_problem(short_folder: Path) -> None:
    """Whoever asks for it is told when there was no look at Redis."""
    [problem] = await check_redis(f"unix://{short_folder}/nowhere.sock")
    assert "«lease-service verify» says: lease-service" in problem
