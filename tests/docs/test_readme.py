import json
import re
import subprocess
import sys
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.process.program import ROOT, Program

README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "guide.md"
ADDRESS = "http://127.0.0.1:8080"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!\w+:)([^)#]+)")


class Block(NamedTuple):
    """A fenced block, and the language that it is in."""

    language: str
    text: str


class Reply(NamedTuple):
    """An HTTP answer, in the README or as `curl -i` shows it."""

    status_line: str
    headers: dict[str, str]
    body: Any


def blocks(page: Path) -> list[Block]:
    """Return a page's fenced blocks in their order."""
    return [Block(*found) for found in _BLOCK.findall(page.read_text())]


def exchanges(page: Path) -> list[tuple[str, str]]:
    """Return every `curl` of a page with the block behind it, which is to be its answer."""
    return [
        (block.text, answer.text if answer.language == "http" else "")
        for block, answer in pairwise([*blocks(page), Block("", "")])
        if block.language == "bash" and "curl" in block.text
    ]


def reply(text: str) -> Reply:
    """Read an HTTP answer."""
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    status_line, *lines = head.rstrip("\n").split("\n")
    headers = dict(line.split(": ", 1) for line in lines)
    # 20 and 20.0 are written apart, so that a page is as the service answers.
    said = json.loads(body, parse_float=str) if body.strip() else None
    return Reply(status_line, headers, said)


def run(command: str, url: str) -> Reply:
    """Paste a command into a shell, for a service that listens elsewhere."""
    shell = ["/bin/sh", "-c", command.replace(ADDRESS, url)]
    done = subprocess.run(shell, capture_output=True, text=True, check=True)
    return reply(done.stdout)


def has(answered: Any, shown: Any) -> bool:
    """Tell whether an answer has all that is shown of it; `…` in a text stands for any text."""
    match shown:
        case dict():
            return isinstance(answered, dict) and all(
                name in answered and has(answered[name], value) for name, value in shown.items()
            )
        case list():
            return (
                isinstance(answered, list)
                and len(answered) == len(shown)
                and all(map(has, answered, shown))
            )
        case str():
            pattern = ".+".join(map(re.escape, shown.split("…")))
            return isinstance(answered, str) and re.fullmatch(pattern, answered) is not None
    return bool(answered == shown)


@pytest.mark.parametrize("page", [README, GUIDE], ids=lambda page: page.name)
def test_every_call_is_answered_as_shown(page: Path, short_folder: Path, curl: str) -> None:
    """A page's calls, pasted in their order, get the status, headers and properties shown."""
    calls = exchanges(page)
    assert len(calls) >= 4
    with Program(short_folder, LEASE_DATA_DIR=":memory:") as program:
        for command, shown in calls:
            assert ADDRESS in command
            answered, expected = run(command, program.url), reply(shown)
            assert answered.status_line == expected.status_line, answered
            assert has(answered.headers, expected.headers), answered
            assert expected.body is None or has(answered.body, expected.body), answered


def test_the_payment_window_changes_the_lease(short_folder: Path, curl: str) -> None:
    """The guide's payment window ends later than the lease of the calls above it."""
    ends: list[str] = []
    with Program(short_folder, LEASE_DATA_DIR=":memory:") as program:
        for command, shown in exchanges(GUIDE):
            body = run(command, program.url).body
            if "leaseExpires" in shown:
                ends.append((body.get("lease") or body)["leaseExpires"])
            if "/payment-window" in command:
                break
    before, after = map(datetime.fromisoformat, ends[-2:])
    assert after - before > timedelta(minutes=5)


def test_a_booking_that_is_pasted_again_is_replayed(short_folder: Path, curl: str) -> None:
    """The README's B, sent twice, books once and then says `Idempotency-Replayed: true`."""
    calls = [command for command, _ in exchanges(README)]
    book = next(command for command in calls if "-X PUT" in command and "/orders/" in command)
    with Program(short_folder, LEASE_DATA_DIR=":memory:") as program:
        run(calls[0], program.url)
        first, second = run(book, program.url), run(book, program.url)
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (second.status_line, second.body) == (first.status_line, first.body)


def test_the_python_example_runs_as_it_stands(short_folder: Path) -> None:
    """The guide's Python, run against a service, prints what is shown below it."""
    [(program, shown)] = [
        (block.text, output.text)
        for block, output in pairwise(blocks(GUIDE))
        if block.language == "python"
    ]
    with Program(short_folder, LEASE_DATA_DIR=":memory:") as service:
        assert ADDRESS in program
        command = [sys.executable, "-c", program.replace(ADDRESS, service.url)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == shown


def test_the_payment_window_makes_a_difference(short_folder: Path, curl: str) -> None:
    """Rule 27: in the guide's example the lease lasts longer after its payment window."""
    before: dict[str, Any] = {}
    with Program(short_folder, LEASE_DATA_DIR=":memory:") as program:
        for command, _ in exchanges(GUIDE):
            body = run(command, program.url).body
            if "/payment-window" in command:
                assert body["leaseExpires"] > before["leaseExpires"]
                return
            before = body.get("lease", before) if isinstance(body, dict) else before
    pytest.fail("The guide shows no payment window.")


def test_the_readme_is_short() -> None:
    """A newcomer reads the README in one go; the rest is in the pages that it names."""
    assert len(README.read_text().splitlines()) <= 260


def test_the_make_commands_exist() -> None:
    """What the README says to make is a target of the Makefile."""
    named = re.findall(r"make ([a-z]+) {2}", README.read_text())
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert named
    assert set(named) <= set(targets)


@pytest.mark.parametrize(
    "page",
    [
        *sorted(ROOT.glob("*.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "deploy").rglob("*.md")),
    ],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link within the repository is to a file or folder that is there."""
    broken = [
        link for link in _LINK.findall(page.read_text()) if not (page.parent / link).exists()
    ]
    assert not broken


@pytest.mark.parametrize(
    ("answered", "shown", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"b": 1}, False),
        ([1, 2], [1], False),
        ([{"a": 1, "b": 2}], [{"a": 1}], True),
        ("2026-01-01T00:00:00Z", "…Z", True),
        ("2026-01-01T00:00:00", "…Z", False),
        (1, "…", False),
    ],
)
def test_what_is_shown_is_compared(answered: Any, shown: Any, expected: bool) -> None:  # noqa: FBT001 - the table's third column
    """An answer that lacks what is shown, or has it otherwise, is noticed."""
    assert has(answered, shown) is expected
