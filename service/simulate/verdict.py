"""No oversell: what the service said to each Customer, held against its own ledgers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from service.client import LeaseService
from service.errors import UnknownOrderError
from service.model import Opportunity
from service.simulate.site import Site, capacity
from service.simulate.tape import Tape
from service.simulate.visit import Bookings

_PATIENCE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.2
_SHOWN: Final = 5


class Verdict(NamedTuple):
    """Whether what was booked is what was promised."""

    booked: int
    """Spaces that the ledgers say are booked."""
    accepted: int
    """Spaces of the bookings that the service accepted."""
    problems: Sequence[str]
    """One sentence each."""
    is_audited: bool = False
    """Whether `lease-service verify` looked at Redis too."""

    def __str__(self) -> str:
        """Return it in a line."""
        if self.problems:
            more = len(self.problems) - _SHOWN
            tail = [f"and {more} more"] if more > 0 else []
            return f"verify: NOT as promised: {'; '.join([*self.problems[:_SHOWN], *tail])}"
        audited = "; all that is in Redis agrees" if self.is_audited else ""
        return (
            f"verify: no oversell: {self.booked:,} spaces booked, as accepted, and no Opportunity"
            f" beyond its capacity{audited}"
        )


async def judge(service: LeaseService, site: Site, bookings: Bookings, tape: Tape) -> Verdict:
    """Compare what was accepted with the ledgers.

    A B whose answer was lost may still be on its way: where there was one, a difference is looked
    at again for some seconds before it counts.

    Args:
        service: To be called with patience.
        site: Whose ledgers are asked for.
        bookings: What was accepted, and what is not known.
        tape: What was seen on the way.

    Raises:
        OpenBookingError: The service does not answer.

    """
    deadline = time.monotonic() + (_PATIENCE_SECONDS if bookings.unknown else 0)
    while True:
        accepted = await _settled(service, bookings)
        ledgers = await site.ledgers()
        problems = list(_problems(site, accepted, ledgers, tape))
        if not problems or time.monotonic() >= deadline:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    booked = sum(ledger.booked for ledger in ledgers)
    return Verdict(booked, accepted.total(), problems)


async def _settled(service: LeaseService, bookings: Bookings) -> Counter[str]:
    """Return the accepted spaces by Opportunity, those with them whose B got lost on its way."""
    accepted = Counter(bookings.spaces)
    for order, opportunity, spaces in bookings.unknown:
        with contextlib.suppress(UnknownOrderError):
            await service.look_at_order(order)
            accepted[opportunity] += spaces
    return accepted


def _problems(
    site: Site, promised: Counter[str], ledgers: Sequence[Opportunity], tape: Tape
) -> Iterator[str]:
    known = {ledger.id: ledger for ledger in ledgers}
    for id_ in site.ids:
        ledger, accepted = known.get(id_), promised[id_]
        if ledger is None:
            yield f"the service does not know {id_}"
            continue
        spaces = capacity(ledger)
        if accepted > spaces:
            yield f"{id_} has {spaces} spaces, and bookings of {accepted} were accepted"
        if ledger.booked > spaces:
            yield f"{id_} has {spaces} spaces, of which {ledger.booked} are booked"
        if ledger.booked != accepted:
            yield f"{id_} has {ledger.booked} booked, and bookings of {accepted} were accepted"
    for id_, ledger in tape.too_much.items():
        yield (
            f"{id_} had {ledger.booked} booked and {ledger.leased} leased at once,"
            f" of {capacity(ledger)}"
        )
