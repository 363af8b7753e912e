"""The command line: `lease-service`, or `python -m service`."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Sequence
from typing import Final

from service import __version__
from service.arguments import ArgumentParser
from service.http import TokensFileError
from service.process import token
from service.process.command import serve
from service.process.listening import ListenError
from service.process.tls import TlsError
from service.redis.embedded import EmbeddedValkeyError
from service.redis.errors import UnusableServerError
from service.settings import Settings, SettingsError, describe
from service.simulate import command as simulate
from service.verify import command as verify

PROGRAM: Final = "lease-service"
BAD_SETTINGS: Final = 2
FAILED: Final = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Without the program's name; the process's own by default.

    Returns:
        The exit code: 0, 2 for bad settings or arguments, 1 for any other failure.

    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (SettingsError, TlsError) as error:
        return _complain(error, BAD_SETTINGS)
    except TokensFileError as error:
        return _complain(f"LEASE_TOKENS_FILE: {error}", BAD_SETTINGS)
    except (ListenError, EmbeddedValkeyError, UnusableServerError) as error:
        return _complain(error, FAILED)


def _serve(_options: argparse.Namespace) -> int:
    return serve(Settings.from_environ(os.environ))


def _complain(error: Exception | str, code: int) -> int:
    for line in str(error).splitlines():
        sys.stderr.write(f"{PROGRAM}: {line}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = ArgumentParser(
        prog=PROGRAM,
        description="Holds spaces while a Customer decides: leases and bookings for the Open"
        " Booking API, as a sidecar on Redis or Valkey.",
        epilog=f"Without a command: serve. `{PROGRAM} serve --help` lists the settings.",
    )
    parser.set_defaults(run=_serve)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="command")
    commands.add_parser(
        "serve",
        help="serve the API (the default)",
        description="Serves the API until SIGTERM or Ctrl-C.",
        epilog=_settings_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    token.add_command(commands)
    verify.add_command(commands)
    simulate.add_command(commands)
    return parser


def _settings_table() -> str:
    rows = ["environment variables, all optional:"]
    for setting in describe():
        rows.append(f"  {setting.variable}  (default: {setting.default})")
        rows.extend(f"      {line}" for line in textwrap.wrap(setting.description, 88))
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
