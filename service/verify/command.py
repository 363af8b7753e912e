"""`lease-service verify`: the command."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog
import uvloop

from service.ledger.auditor import Auditor
from service.ledger.scanner import Survey
from service.ledger.stored_format import server_check
from service.redis.address import Location
from service.redis.check import examine
from service.redis.connect import open_nodes
from service.redis.embedded import IN_MEMORY, EmbeddedValkey, EmbeddedValkeyError, running_url
from service.redis.errors import StoreError, UnusableServerError
from service.settings import Settings
from service.status_line import StatusLine
from service.verify.checking import Verifier
from service.verify.progress import LOG_SECONDS, Progress
from service.verify.report import Report

COMMAND: Final = "verify"

CLEAN: Final = 0
DIFFERENT: Final = 1
UNUSABLE: Final = 2

_PATIENCE_SECONDS: Final = 30.0
"""How long one portion may take: the live service goes first."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        COMMAND,
        help="check that everything stored agrees with itself",
        description=textwrap.dedent("""\
            Recomputes what is booked and leased of every Opportunity from Orders and live leases,
            and checks that holds, leases, lists and counts agree. It reads in small portions and
            may run beside a live service, with the same LEASE_REDIS_URL, LEASE_DATA_DIR,
            LEASE_KEY_PREFIX and LEASE_PARTITIONS.

            Differences and a table go to standard output, progress to standard error."""),
        epilog="Exit codes: 0 no difference, 1 differences (mended or not), 2 bad settings, or"
        " Redis cannot be used.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--repair",
        action="store_true",
        help="mend totals, holds, lists and counts, and say each change; no Order is touched",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command.

    Args:
        options: Of which `repair` is used.

    Returns:
        The exit code: 0 no difference, 1 differences, 2 Redis cannot be used.

    Raises:
        SettingsError: The environment does not make usable settings.

    """
    settings = Settings.from_environ(os.environ)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    report = Report(_write, repair=options.repair)
    try:
        with (
            _server(settings) as url,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(_verify(settings, url, report))
    except (EmbeddedValkeyError, StoreError, UnusableServerError) as error:
        sys.stderr.write(f"lease-service: {error}\n")
        return UNUSABLE
    _write(report.table())
    return DIFFERENT if report.differences else CLEAN


@contextlib.contextmanager
def _server(settings: Settings) -> Iterator[str]:
    """Give the address of Redis, or of the embedded Valkey, started where it is not running."""
    if settings.redis_url is not None:
        yield str(settings.redis_url)
        return
    if settings.data_dir == IN_MEMORY:
        raise UnusableServerError(
            "LEASE_DATA_DIR=:memory: keeps nothing that could be verified: set it to the folder"
            " of the service, or set LEASE_REDIS_URL."
        )
    if not Path(settings.data_dir).is_dir():
        raise UnusableServerError(
            f"There is no data in {settings.data_dir}: set LEASE_DATA_DIR to the folder of the"
            " service, or set LEASE_REDIS_URL."
        )
    url = running_url(settings.data_dir)
    if url is not None:
        yield url
        return
    with EmbeddedValkey(settings.data_dir) as valkey:
        yield valkey.url


async def _verify(settings: Settings, url: str, report: Report) -> None:
    redis = Location.read(url)
    check = server_check(redis, key_prefix=settings.key_prefix, partitions=settings.partitions)
    await examine(redis, check)
    nodes = open_nodes(redis, deadline_seconds=_PATIENCE_SECONDS, check_server=check)
    survey = Survey(
        nodes,
        key_prefix=settings.key_prefix,
        partitions=settings.partitions,
        unreadable=report.cannot_read,
    )
    auditor = Auditor(nodes, key_prefix=settings.key_prefix, partitions=settings.partitions)
    line = StatusLine(sys.stderr, LOG_SECONDS)
    try:
        await Verifier(survey, auditor, report, Progress(line)).run()
    finally:
        line.clear()
        await nodes.close()


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
