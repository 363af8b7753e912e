"""`lease-service simulate`: the command line of a simulation, and what comes out of it."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import textwrap
import time
from pathlib import Path
from typing import Final

import msgspec

from service.errors import OpenBookingError
from service.simulate import address
from service.simulate.address import AddressError
from service.simulate.environment import command_line
from service.simulate.inventory import OWN_SELLER, InventoryError
from service.simulate.oversell import REDIS_URL
from service.simulate.report import page
from service.simulate.result import Result
from service.simulate.run import Plan, run_plan
from service.simulate.scenario import PRESETS, Scenario, ScenarioError, scenario
from service.simulate.session import lost_on_the_way
from service.simulate.tables import last_line
from service.simulate.terminal import progress, text_of
from service.status_line import StatusLine

COMMAND: Final = "simulate"

_DEFAULT_URL: Final = "http://127.0.0.1:8080"
_MOST_CONNECTIONS: Final = 4_000
_LOG_SECONDS: Final = 10.0
_AWAY: Final = 503
_FAILED: Final = 1
_BAD_ARGUMENTS: Final = 2
_INTERRUPTED: Final = 130
_RESULT: Final = "result.json"
_REPORT: Final = "report.html"

_DESCRIPTION: Final = f"""\
Sends Customers to a running service, and shows what they met: how long they waited, who got a
lease, who was refused and why, and whether anything was sold twice.

They arrive whether or not earlier calls have been answered, choose an Opportunity, lease (C1),
think, perhaps quote again, release or fall silent, give their name (C2), and book (B). No call is
repeated: what fails is counted. The Opportunities are the simulation's own, their @id begins with
{OWN_SELLER}, and they are withdrawn at the end; the Orders booked stay in Redis, as
every Order does.

presets (every number can be changed by an option):
"""

_EPILOG: Final = """\
It ends when everybody has gone, at the latest 15 seconds and ten times --think-seconds after the
last has come; then the ledgers are checked. Ctrl-C ends it earlier, with the report of what was
done so far. The exit code is 0 if nothing was oversold, 1 if something was or the service could
not be used, 2 for bad arguments.

examples:
  lease-service simulate                                  a flash sale at http://127.0.0.1:8080
  lease-service simulate --preset steady-day --rate 50    more than twice as busy
  lease-service simulate --rate 400 --duration 20 --opportunities 50 --skew 1.2
"""


_CUSTOMERS: Final = (
    ("--rate", float, "N", "Customers per second"),
    ("--customers", int, "N", "Customers in all"),
    ("--duration", float, "SECONDS", "how long they come; two of these three make the third"),
    (
        "--rush",
        float,
        "SHARE",
        "0 to 1: come in the first tenth of the time, on top of the others",
    ),
    ("--items", int, "N", "the most spaces that a Customer wants"),
    ("--think-seconds", float, "N", "how long Customers think between two calls, on average"),
    ("--abandon", float, "SHARE", "0 to 1: never book what they lease; half of them release it"),
    ("--seed", int, "N", "the same seed, the same Customers"),
)
_SALE: Final = (
    ("--opportunities", int, "N", "to choose among"),
    ("--spaces", int, "N", "of each Opportunity"),
    ("--skew", float, "N", "Zipf's exponent: 0, all are wanted alike; 1, the second half as much"),
    ("--lease-seconds", int, "N", "how long C1 leases, C2 twice as long; not with --seller"),
)


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        COMMAND,
        help="send Customers to a running service, and see its limits",
        description=_DESCRIPTION + "\n".join(_presets()),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    _add_service(parser.add_argument_group("the service"))
    group = parser.add_argument_group("the Customers")
    group.add_argument(
        "--preset", choices=PRESETS, default="flash-sale", help="where to begin (%(default)s)"
    )
    for flag, kind, metavar, text in _CUSTOMERS:
        group.add_argument(flag, type=kind, metavar=metavar, help=text)
    group = parser.add_argument_group("what is for sale")
    for flag, kind, metavar, text in _SALE:
        group.add_argument(flag, type=kind, metavar=metavar, help=text)
    group.add_argument("--keep", action="store_true", help="leave it on sale at the end")
    group = parser.add_argument_group("what comes out")
    text = f"for {_REPORT} and {_RESULT} (simulation-DATE-TIME)"
    group.add_argument("--output", type=Path, metavar="FOLDER", help=text)
    text = "replace the report of an earlier run in that folder"
    group.add_argument("--overwrite", action="store_true", help=text)
    text = f"write {_RESULT} to standard output, not the table"
    group.add_argument("--json", action="store_true", help=text)


def run(options: argparse.Namespace) -> int:
    """Run a simulation, write its report, and print its result.

    Args:
        options: The command line.

    Returns:
        The exit code: 0 if nothing was oversold, 1 if something was or the service could not be
        used, 2 for bad arguments.

    """
    try:
        plan, folder = _plan(options), _folder(options.output, overwrites=options.overwrite)
    except (AddressError, ScenarioError, OSError) as error:
        return _complain(error, _BAD_ARGUMENTS)
    line = StatusLine(sys.stderr, _LOG_SECONDS)
    try:
        result = run_plan(plan, lambda *done: line.show(progress(plan.scenario, *done)))
    except (OpenBookingError, InventoryError) as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        return _complain(_trouble(plan.url, error), _FAILED)
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        line.clear()
    encoded = msgspec.json.format(msgspec.json.encode(result), indent=2).decode() + "\n"
    sys.stdout.write(encoded if options.json else text_of(result))
    try:
        (folder / _RESULT).write_text(encoded, encoding="utf-8")
        (folder / _REPORT).write_text(page(result), encoding="utf-8")
    except OSError as error:
        return _complain(error, _FAILED)
    sys.stderr.write(f"report: {folder / _REPORT}\n")
    if not options.json:
        sys.stdout.write(_coloured_last_line(result))
    return _FAILED if result.problems else 0


def _plan(options: argparse.Namespace) -> Plan:
    """Make a plan of the options; refuse what contradicts itself."""
    address.check(options.url, is_permitted=options.is_permitted)
    options.duration_seconds = options.duration
    numbers = {name: getattr(options, name) for name in Scenario.__struct_fields__}
    changes = {name: number for name, number in numbers.items() if number is not None}
    wanted = scenario(options.preset, changes, rate=options.rate)
    if options.lease_seconds is not None and options.seller != OWN_SELLER:
        raise ScenarioError(
            "--lease-seconds would change that --seller's policy: leave one of them out"
        )
    token: str | None = options.token
    if token is not None and token.startswith("@"):
        try:
            token = Path(token[1:]).read_text(encoding="utf-8").strip()
        except UnicodeDecodeError as error:
            raise ScenarioError(f"--token {token}: the file is no text in UTF-8") from error
    return Plan(
        command=command_line(sys.argv[1:], (token, options.redis_url)),
        url=options.url,
        token=token,
        seller=options.seller,
        preset=options.preset,
        scenario=wanted,
        connections=options.connections,
        keeps=options.keep,
        redis_url=options.redis_url,
    )


def _folder(output: Path | None, *, overwrites: bool = False) -> Path:
    """Make the folder of the report: a new one, or the one named if it has no report yet."""
    if output is None:
        name, number = time.strftime("simulation-%Y-%m-%d-%H%M%S"), 1
        output = Path(name)
        while output.exists():
            number += 1
            output = Path(f"{name}-{number}")
    output.mkdir(parents=True, exist_ok=True)
    if not overwrites and any((output / name).exists() for name in (_RESULT, _REPORT)):
        raise ScenarioError(
            f"--output {output} has the report of an earlier run: name another folder, or say"
            " --overwrite"
        )
    return output


def _trouble(url: str, error: Exception) -> str:
    if not isinstance(error, OpenBookingError):
        return f"the Opportunities cannot be registered: {error}"
    if error.status_code == _AWAY and (lost := lost_on_the_way(error)):
        return (
            f"{lost} at {url}. Start a service («lease-service serve», or «make run» in a clone of"
            " the project), then say this again; --url names another one"
        )
    return f"{type(error).__name__}: {error.description}"


def _coloured_last_line(result: Result) -> str:
    if not sys.stdout.isatty():
        return f"{last_line(result)}\n"
    return f"\x1b[1;{31 if result.problems else 32}m{last_line(result)}\x1b[0m\n"


def _complain(problem: object, code: int) -> int:
    sys.stderr.write(f"lease-service: {problem}\n")
    return code


def _add_service(group: argparse._ArgumentGroup) -> None:
    text = "where it is: http://… or unix:/path (%(default)s)"
    group.add_argument("--url", default=_DEFAULT_URL, help=text)
    text = "an API token of scope admin that is bound to nobody; @FILE reads it from a file"
    group.add_argument("--token", metavar="TOKEN", help=text)
    text = "whose Opportunities they are, for that Seller's policy (%(default)s)"
    group.add_argument("--seller", metavar="ID", default=OWN_SELLER, help=text)
    text = f"the Redis behind it, for «lease-service verify» to look at at the end ({REDIS_URL})"
    known = os.environ.get(REDIS_URL) or None
    group.add_argument("--redis-url", metavar="URL", default=known, help=text)
    text = "calls at the same time, at most (%(default)s)"
    group.add_argument("--connections", type=_connections, metavar="N", default=100, help=text)
    text = (
        "needed where it is not on this machine: it is a load. Loopback is taken for this machine,"
        " also where a forwarded port leads elsewhere"
    )
    group.add_argument(address.PERMISSION, dest="is_permitted", action="store_true", help=text)


def _presets() -> list[str]:
    lines = []
    for name, preset in PRESETS.items():
        numbers = msgspec.structs.asdict(preset).items()
        text = ", ".join(f"{key.replace('_', ' ')} {value:,g}" for key, value in numbers)
        lines += [
            f"  {name}",
            textwrap.fill(text, 92, initial_indent=" " * 6, subsequent_indent=" " * 6),
        ]
    return lines


def _connections(text: str) -> int:
    number = int(text)
    if not 1 <= number <= _MOST_CONNECTIONS:
        raise argparse.ArgumentTypeError(f"from 1 to {_MOST_CONNECTIONS}")
    return number
