"""Checks that nothing was oversold: answers against ledgers, and ledgers against Redis."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from service.client import LeaseService
from service.errors import OpenBookingError, UnknownOrderError
from service.model import Opportunity
from service.simulate.inventory import Inventory, capacity
from service.simulate.recorder import Recorder

REDIS_URL: Final = "LEASE_REDIS_URL"

_PATIENCE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.2
_VERIFY: Final = (sys.executable, "-m", "service", "verify")
_UNUSABLE: Final = 2
_SHOWN: Final = 300


class OversellCheck(NamedTuple):
    """What was accepted and what is booked."""

    booked: int
    """Spaces, by the ledgers."""
    accepted: int
    """Spaces, by the answers to B."""
    problems: list[str]
    """One sentence each; none if every promise was kept."""


async def check_ledgers(
    service: LeaseService, inventory: Inventory, recorder: Recorder
) -> OversellCheck:
    """Compare the accepted bookings with the ledgers.

    A B whose answer was lost may still be on its way, so a difference is looked at again for some
    seconds where there was one.

    Args:
        service: A client that repeats its calls.
        inventory: Whose ledgers are read.
        recorder: What was answered and seen.

    Returns:
        Its only problem is that the ledgers cannot be read, if they cannot.

    """
    deadline = time.monotonic() + (_PATIENCE_SECONDS if recorder.unconfirmed else 0)
    while True:
        try:
            accepted = await _accepted(service, recorder)
            ledgers = await inventory.ledgers()
        except OpenBookingError as error:
            problem = f"the ledgers cannot be read: {error.description}"
            return OversellCheck(0, recorder.booked.total(), [problem])
        problems = list(_problems(inventory.ids, accepted, ledgers, recorder))
        if not problems or time.monotonic() >= deadline:
            booked = sum(ledger.booked for ledger in ledgers)
            return OversellCheck(booked, accepted.total(), problems)
        await asyncio.sleep(_PAUSE_SECONDS)


async def check_redis(redis_url: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Run `lease-service verify`, as a program of its own: a simulation knows nothing of Redis.

    Args:
        redis_url: As in `LEASE_REDIS_URL`.
        environment: The service's other settings, as its key prefix.

    Returns:
        What it finds wrong, in a sentence, or that it cannot look.

    """
    verifying = await asyncio.create_subprocess_exec(
        *_VERIFY,
        env={**environment, REDIS_URL: redis_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await verifying.communicate()
    if not verifying.returncode:
        return []
    text = errors if verifying.returncode == _UNUSABLE else output
    words = " ".join(text.decode(errors="replace").split())
    return [f"«lease-service verify» says: {words[:_SHOWN]}"]


async def _accepted(service: LeaseService, recorder: Recorder) -> Counter[str]:
    """Return the accepted spaces by Opportunity, Orders included whose answer was lost."""
    accepted = Counter(recorder.booked)
    for order in recorder.unconfirmed:
        with contextlib.suppress(UnknownOrderError):
            await service.look_at_order(order.name)
            accepted[order.opportunity] += order.spaces
    return accepted


def _problems(
    ids: Sequence[str], accepted: Counter[str], ledgers: Sequence[Opportunity], recorder: Recorder
) -> Iterator[str]:
    known = {ledger.id: ledger for ledger in ledgers}
    for id_ in ids:
        if (ledger := known.get(id_)) is None:
            yield f"the service does not know {id_}"
            continue
        spaces, promised = capacity(ledger), accepted[id_]
        if promised > spaces:
            yield f"{id_} has {spaces} spaces, and bookings of {promised} were accepted"
        if ledger.booked > spaces:
            yield f"{id_} has {spaces} spaces, of which {ledger.booked} are booked"
        if ledger.booked != promised:
            yield f"{id_} has {ledger.booked} booked, and bookings of {promised} were accepted"
    for id_, ledger in recorder.overcommitted.items():
        yield (
            f"{id_} had {ledger.booked} booked and {ledger.leased} leased at once,"
            f" of {capacity(ledger)}"
        )
