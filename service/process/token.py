"""`lease-service token`: makes a token, of which only the digest is ever written to a file."""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
import sys
import textwrap
from collections.abc import Iterator
from typing import Final, get_args

import msgspec
from msgspec import structs

from service.http.access import ScopeName, Token

COMMAND: Final = "token"

_PREFIX: Final = "lease_"
"""Lets people, and programs that look for leaked secrets, see what it is."""

_RANDOM_BYTES: Final = 32


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        COMMAND,
        help="make an API token, and its entry for the tokens file",
        description=textwrap.dedent("""\
            Makes a token. It is shown once, on standard error; nobody can look it up later. Its
            entry for LEASE_TOKENS_FILE goes to standard output, so that

                lease-service token --name front-end --scope lease >> tokens.toml

            adds it. A running service takes it up within a second; to withdraw a token, delete its
            entry."""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--name", required=True, help="who gets it; the log has this name")
    parser.add_argument(
        "--scope",
        choices=get_args(ScopeName),
        default="lease",
        help="read: look; lease (the default): also quote, book, cancel; admin: also register"
        " Opportunities and set policies",
    )
    parser.add_argument(
        "--booking-partner",
        dest="booking_partners",
        metavar="NAME",
        action="append",
        help="bind it to this Booking Partner; repeat it for several (default: any)",
    )
    parser.add_argument(
        "--seller",
        dest="sellers",
        metavar="ID",
        action="append",
        help="bind it to this Seller; repeat it for several (default: any)",
    )
    parser.add_argument(
        "--rate",
        type=float,
        metavar="N",
        help="the most calls per second to one worker process (default: LEASE_RATE_LIMIT)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make a token, show it, and write its entry.

    Args:
        options: What the command line says.

    Returns:
        The exit code: 0, or 2 where an entry of these options could not be used.

    """
    token = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    names = [field.name for field in structs.fields(Token) if field.name != "sha256"]
    fields = {name: value for name in names if (value := getattr(options, name)) is not None}
    try:
        digest = hashlib.sha256(token.encode()).hexdigest()
        entry = msgspec.convert(fields | {"sha256": digest}, Token)
    except msgspec.ValidationError as error:
        sys.stderr.write(f"lease-service: {error}\n")
        return 2
    sys.stdout.write("\n".join(_lines(entry)))
    sys.stdout.flush()
    sys.stderr.write(f"The token, shown this once: {token}\n")
    return 0


def _lines(entry: Token) -> Iterator[str]:
    yield "\n[[token]]"
    for name, value in msgspec.to_builtins(entry).items():
        # JSON's strings and lists are TOML's, but for the one control character it leaves alone.
        text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
        yield f"{name} = {text}"
    yield ""
