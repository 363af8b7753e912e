from __future__ import annotations

import contextlib
import http.client
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.process.program import Program, connect, eventually, run

SHOWN = "The token, shown this once: "


def make(folder: Path, *options: str) -> tuple[str, str]:
    """Make a token with the command; return it, and its entry for the tokens file."""
    ended = run(folder, "token", "--name", "front-end", *options)
    assert ended.returncode == 0, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith(SHOWN)
    token = line.removeprefix(SHOWN)
    assert token not in ended.stdout
    return token, ended.stdout


def status(program: Program, token: str, path: str = "/opportunities?id=a", **more: str) -> int:
    """Return the status of a GET with a token."""
    with contextlib.closing(connect(program.url)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} | more)
        return connection.getresponse().status


def exchange(file: Path, text: str) -> None:
    """Replace a file in one step, so that nobody sees half of it."""
    other = file.with_suffix(".new")
    other.write_text(text)
    other.replace(file)


def answers(program: Program, token: str, expected: int) -> bool:
    """Tell whether a token gets this status every time, whichever worker it comes to."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return {status(program, token) for _ in range(8)} == {expected}
    return False


def test_a_token_is_made_and_works(short_folder: Path) -> None:
    """What `lease-service token` prints is the entry of the token that it shows (rule 26)."""
    file = short_folder / "tokens.toml"
    token, entry = make(short_folder, "--scope", "read")
    other, more = make(short_folder)
    file.write_text(entry + more)
    assert len({token, other}) == 2

    with Program(short_folder, LEASE_TOKENS_FILE=str(file)) as program:
        assert status(program, token) == 200
        assert status(program, other) == 200
        assert status(program, token[:-1]) == 401
        assert token not in program.output()


@pytest.mark.parametrize(
    "options",
    [
        {"scope": "admin"},
        {"sellers": ['https://example.com/"quoted"\\', "café 😀"]},
        {"booking_partners": ["acme", "other"], "rate": 2.5},
    ],
)
def test_an_entry_says_what_was_asked_for(short_folder: Path, options: dict[str, Any]) -> None:
    """Bounds, rate and scope stand in the entry as they were given, whatever their characters."""
    arguments = []
    for name, value in options.items():
        flag = "--" + name.removesuffix("s").replace("_", "-")
        for each in value if isinstance(value, list) else [value]:
            arguments += [flag, str(each)]
    _, text = make(short_folder, *arguments)
    (entry,) = tomllib.loads(text)["token"]
    assert entry.pop("sha256")
    assert entry == {"name": "front-end", "scope": "lease"} | options


@pytest.mark.parametrize(
    "options",
    [
        ("--rate", "0"),
        ("--rate", "x"),
        ("--scope", "root"),
        ("--name", "a\nb"),
        ("--seller", "s\n"),
        ("--seller", "\x7f"),
        ("--booking-partner", "x\n"),
        ("--booking-partner", "a|b"),
        (),
    ],
)
def test_a_token_that_could_not_be_used_is_not_made(
    short_folder: Path, options: tuple[str, ...]
) -> None:
    """Bad options end the command with an error, and nothing is printed to append."""
    named = ("--name", "a") if options else ()
    ended = run(short_folder, "token", *named, *options)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert SHOWN not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_worker_takes_up_a_change(short_folder: Path) -> None:
    """A token that is added to the file, or taken from it, counts in every worker soon."""
    file = short_folder / "tokens.toml"
    first, entry = make(short_folder)
    second, other = make(short_folder)
    file.write_text(entry)
    with Program(short_folder, LEASE_TOKENS_FILE=str(file), LEASE_WORKERS="2") as program:
        assert answers(program, first, 200)
        assert answers(program, second, 401)

        exchange(file, other)
        eventually(lambda: answers(program, second, 200))
        assert answers(program, first, 401)

        exchange(file, "[[token]")
        eventually(lambda: len(program.events("tokens.unusable")) == 2)
        assert answers(program, second, 200)
        assert len(program.events("tokens.reloaded")) == 2


def test_a_rate_without_tokens_is_refused(short_folder: Path) -> None:
    """LEASE_RATE_LIMIT counts per token, and says so where there are none."""
    ended = run(short_folder, LEASE_RATE_LIMIT="5")
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "lease-service: LEASE_RATE_LIMIT counts the calls of each token: set LEASE_TOKENS_FILE"
    ]
