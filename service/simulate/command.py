"""`lease-service simulate`: the command line of a simulation."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
import time
from pathlib import Path
from typing import Final

import msgspec

from service.simulate import address
from service.simulate.address import AddressError
from service.simulate.audit import REDIS_URL
from service.simulate.run import Plan
from service.simulate.scenario import PRESETS, Scenario, ScenarioError, scenario
from service.simulate.site import OWN_SELLER

COMMAND: Final = "simulate"

_DEFAULT_URL: Final = "http://127.0.0.1:8080"
_MOST_CONNECTIONS: Final = 4_000
_BAD_ARGUMENTS: Final = 2
_FAILED: Final = 1
_INTERRUPTED: Final = 130

_DESCRIPTION: Final = f"""\
Sends Customers to a running service, and shows what they met: how long they waited, who got a
lease, who was refused and why, and whether anything was sold twice.

They come when they come, however late the answers are, choose an Opportunity, lease (C1), think,
perhaps quote again, release or fall silent, give their name (C2), and book (B). No call is
repeated: what fails is counted. The Opportunities are the simulation's own, their @id begins with
{OWN_SELLER}, and they are withdrawn at the end; the Orders booked stay in Redis, as
every Order does.

presets (every number can be changed by an option):
"""

_EPILOG: Final = """\
It ends when everybody has gone, and at the latest a while after the last has come. Ctrl-C ends it
earlier, with the report of what was done so far. The exit code is 0 if nothing was oversold, 1 if
something was or the service could not be used, 2 for bad arguments.

examples:
  lease-service simulate                                  a flash sale at http://127.0.0.1:8080
  lease-service simulate --preset steady-day --rate 50    more than twice as busy
  lease-service simulate --rate 400 --duration 20 --opportunities 50 --skew 1.2
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        COMMAND,
        help="send Customers to a running service, and see its limits",
        description=_DESCRIPTION + "\n".join(_presets()),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_service(parser.add_argument_group("the service"))
    _add_customers(parser.add_argument_group("the Customers"))
    _add_sale(parser.add_argument_group("what is for sale"))
    _add_result(parser.add_argument_group("what comes out"))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run a simulation, and show what it has shown.

    Args:
        options: What the command line says.

    Returns:
        The exit code: 0 if nothing was oversold, 1 if something was or the service could not be
        used, 2 for bad arguments.

    """
    numbers = {name: getattr(options, name) for name in Scenario.__struct_fields__}
    changes = {name: number for name, number in numbers.items() if number is not None}
    try:
        address.check(options.url, is_permitted=options.is_permitted)
        wanted = scenario(options.preset, changes, rate=options.rate)
        token = _token(options.token)
    except (AddressError, ScenarioError, OSError) as error:
        return _complain(error, _BAD_ARGUMENTS)
    if options.lease_seconds is not None and options.seller != OWN_SELLER:
        problem = "--lease-seconds would change that --seller's policy: leave one of them out"
        return _complain(problem, _BAD_ARGUMENTS)
    try:
        from service.simulate.perform import perform  # noqa: PLC0415 - it imports the extra's
    except ImportError as error:
        return _complain(
            f"a simulation needs {error.name}: pip install 'lease-service[simulate]'"
            " (in a clone of the project: make .venv/.dev)",
            _FAILED,
        )
    plan = Plan(
        url=options.url,
        token=token,
        seller=options.seller,
        preset=options.preset,
        scenario=wanted,
        connections=options.connections,
        keeps=options.keep,
        redis_url=options.redis_url,
    )
    try:
        return perform(plan, options.output or _folder(), as_json=options.json)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _add_service(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--url", default=_DEFAULT_URL, help="where it is: http://… or unix:/path (%(default)s)"
    )
    group.add_argument(
        "--token",
        metavar="TOKEN",
        help="an API token of scope admin that is bound to nobody; @FILE reads it from a file",
    )
    group.add_argument(
        "--seller",
        metavar="ID",
        default=OWN_SELLER,
        help="whose Opportunities they are, for that Seller's policy (%(default)s)",
    )
    group.add_argument(
        "--redis-url",
        metavar="URL",
        default=os.environ.get(REDIS_URL) or None,
        help=f"the Redis behind it: «lease-service verify» then looks at that too ({REDIS_URL})",
    )
    group.add_argument(
        "--connections",
        type=_connections,
        metavar="N",
        default=100,
        help="calls at the same time, at most (%(default)s)",
    )
    group.add_argument(
        address.PERMISSION,
        dest="is_permitted",
        action="store_true",
        help="needed where it is not on this machine: it is a load. Loopback is taken for this"
        " machine, also where a forwarded port leads elsewhere",
    )


def _add_customers(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--preset", choices=PRESETS, default="flash-sale", help="where to begin (%(default)s)"
    )
    group.add_argument("--rate", type=float, metavar="N", help="Customers per second")
    group.add_argument("--customers", type=int, metavar="N", help="Customers in all")
    group.add_argument(
        "--duration",
        type=float,
        dest="duration_seconds",
        metavar="SECONDS",
        help="how long Customers come; two of these three make the third",
    )
    group.add_argument(
        "--rush",
        type=float,
        metavar="SHARE",
        help="0 to 1: those who come in the first tenth of the time, on top of the others",
    )
    group.add_argument(
        "--items", type=int, metavar="N", help="the most spaces that a Customer wants"
    )
    group.add_argument(
        "--think-seconds",
        type=float,
        metavar="N",
        help="how long Customers think between two calls, on average",
    )
    group.add_argument(
        "--abandon",
        type=float,
        metavar="SHARE",
        help="0 to 1: those with a lease who do not book; half release, half let it lapse",
    )
    group.add_argument("--seed", type=int, metavar="N", help="the same seed, the same Customers")


def _add_sale(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--opportunities", type=int, metavar="N", help="to choose among")
    group.add_argument("--spaces", type=int, metavar="N", help="of each Opportunity")
    group.add_argument(
        "--skew",
        type=float,
        metavar="N",
        help="Zipf's exponent: 0, all are wanted alike; 1, the second half as much as the first",
    )
    group.add_argument(
        "--lease-seconds",
        type=int,
        metavar="N",
        help="how long C1 leases, C2 twice as long; not with --seller, whose policy it would be",
    )
    group.add_argument(
        "--keep", action="store_true", help="leave the Opportunities on sale at the end"
    )


def _add_result(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="for report.html, result.json and the pictures (simulation-DATE-TIME)",
    )
    group.add_argument(
        "--json", action="store_true", help="write result.json to standard output, not the table"
    )


def _presets() -> list[str]:
    lines = []
    for name, preset in PRESETS.items():
        numbers = msgspec.structs.asdict(preset).items()
        told = ", ".join(f"{key.replace('_', ' ')} {value:,g}" for key, value in numbers)
        lines += [
            f"  {name}",
            textwrap.fill(told, 92, initial_indent=" " * 6, subsequent_indent=" " * 6),
        ]
    return lines


def _connections(text: str) -> int:
    number = int(text)
    if not 1 <= number <= _MOST_CONNECTIONS:
        raise argparse.ArgumentTypeError(f"from 1 to {_MOST_CONNECTIONS}")
    return number


def _token(text: str | None) -> str | None:
    if text is not None and text.startswith("@"):
        return Path(text[1:]).read_text(encoding="utf-8").strip()
    return text


def _folder() -> Path:
    """Return a folder that is not there yet: no run takes the place of another's report."""
    return Path(time.strftime("simulation-%Y-%m-%d-%H%M%S"))


def _complain(problem: object, code: int) -> int:
    sys.stderr.write(f"lease-service: {problem}\n")
    return code
