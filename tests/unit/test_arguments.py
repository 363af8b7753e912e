"""Command lines: nothing is guessed, and a mistake is one line."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Sequence

import pytest

from service.__main__ import main as service
from tests.process.program import ROOT
from tests.unit.test_architecture import sources

COMMANDS = ("serve", "token", "verify", "simulate")
MODULES = ("service", "bench", "bench.soak", "examples.booking_front_end")


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line with which the service's command line is refused."""
    with pytest.raises(SystemExit) as ended:
        service(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    return line


def options_of(capsys: pytest.CaptureFixture[str], *command: str) -> Sequence[str]:
    """Return the long options that `--help` shows."""
    with pytest.raises(SystemExit):
        service([*command, "--help"])
    return sorted({*re.findall(r"(?<![\w-])--[a-z][\w-]+", capsys.readouterr().out)})


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_no_option_is_guessed_from_its_beginning(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """Every beginning of every option of every command is refused by its name."""
    options = options_of(capsys, *command)
    needed = ["--name", "front-end"] if command == ("token",) else []
    assert "--help" in options
    for option in options:
        for length in range(3, len(option)):
            part = option[:length]
            if part not in options:
                assert part in refusal(capsys, *command, *needed, part)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["srve"], "'srve'"),
        (["serv"], "'serv'"),
        (["simulate", "--rat", "5"], "--rat"),
        (["simulate", "--rate", "many"], "--rate"),
        (["simulate", "extra"], "extra"),
        (["serve", "two\nlines"], "two lines"),
        (["--nothing"], "--nothing"),
        (["token"], "--name"),
        (["token", "--name"], "--name"),
        (["token", "--name", "a", "--scope", "all"], "--scope"),
        (["verify", "--repair=yes"], "--repair"),
    ],
)
def test_a_mistake_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    """What is misspelt, missing or no number is named in one line, with the exit code 2."""
    assert named in refusal(capsys, *arguments)


@pytest.mark.parametrize("module", MODULES)
def test_the_other_programs_do_the_same(module: str) -> None:
    """The benchmarks and the example refuse the beginning of an option in one line too."""
    done = subprocess.run(
        [sys.executable, "-m", module, "--hel"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert "unrecognized arguments: --hel" in done.stderr


def test_there_is_one_place_that_makes_parsers() -> None:
    """Only `service.arguments` makes argparse's own; the example, which is alone, has its own."""
    makers = {
        str(path.relative_to(ROOT))
        for path in sources()
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call | ast.ClassDef)
        and "argparse.ArgumentParser"
        in map(ast.unparse, [node.func] if isinstance(node, ast.Call) else node.bases)
    }
    assert makers == {"service/arguments.py", "examples/booking_front_end/__main__.py"}
