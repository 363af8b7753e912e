"""What is sold, how Sellers lease, and what is free of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from msgspec import Struct, field, structs
from yarl import URL

from service.client.transport import Call, Transport, encode
from service.errors import OpenBookingError
from service.model import Opportunity, OpportunityRegistration, Registration, SellerPolicy

T = TypeVar("T")

_POLL_SECONDS: Final = 0.2
_PAUSE_SECONDS: Final = 1.0
_PASSING: Final = frozenset({429, 500, 502, 503, 504})
_REGISTERED_AT_ONCE: Final = 1_000
_NAMED_AT_ONCE: Final = 50


class FreeSpaces(Struct, frozen=True):
    """What is free of one Opportunity, every lease taken into account."""

    id: str = field(name="@id")
    seller: str
    attendees: int | None = field(name="remainingAttendeeCapacity", default=None)
    uses: int | None = field(name="remainingUses", default=None)

    @property
    def remaining(self) -> int:
        """The number of spaces, whatever the type of Opportunity calls it."""
        return (self.uses if self.attendees is None else self.attendees) or 0


class Changes(NamedTuple):
    """A page of the capacity feed."""

    free: Sequence[FreeSpaces]
    """Of each Opportunity that changed; what was withdrawn is left out."""
    place: str
    """Where to go on: to keep beside what was made of the page."""


class _Item(Struct, frozen=True):
    data: FreeSpaces | None = None


class _Page(Struct, frozen=True):
    next: str
    items: list[_Item]


class Catalogue:
    """The calls about Opportunities and Sellers."""

    def __init__(self, transport: Transport) -> None:
        """Make calls over `transport`."""
        self._transport = transport

    async def register(
        self, opportunities: Iterable[OpportunityRegistration | Mapping[str, Any]]
    ) -> Registration:
        """Say what is sold: Opportunities as the front-end's own open feed has them.

        Args:
            opportunities: Structs, or the feed's own objects, any number of them.

        Raises:
            OpenBookingError: The service does not answer.

        """
        done = Registration()
        sent = 0
        for portion in _portions(opportunities, _REGISTERED_AT_ONCE):
            body = b"\n".join(map(encode, portion))
            headers = {"Content-Type": "application/x-ndjson"}
            answer = await self._transport.call(
                Call("PUT", "opportunities", headers=headers), body
            )
            part = answer.read_as(Registration)
            done.registered += part.registered
            done.updated += part.updated
            done.unchanged += part.unchanged
            done.failed += part.failed
            done.errors += [
                structs.replace(error, index=sent + error.index) for error in part.errors
            ]
            sent += len(portion)
        return done

    async def inspect(self, seller: str, ids: Iterable[str]) -> list[Opportunity]:
        """Return the ledger of a Seller's Opportunities; unknown ids are left out.

        Raises:
            OpenBookingError: The service does not answer.

        """
        found: list[Opportunity] = []
        for portion in _portions(ids, _NAMED_AT_ONCE):
            query = [("seller", seller), *(("id", id_) for id_ in portion)]
            answer = await self._transport.call(Call("GET", "opportunities", query))
            found += answer.read_as(list[Opportunity])
        return found

    async def withdraw(self, seller: str, ids: Iterable[str]) -> None:
        """Sell Opportunities no longer: their leases end, their Orders stay.

        Raises:
            OpenBookingError: The service does not answer.

        """
        for portion in _portions(ids, _NAMED_AT_ONCE):
            query = [("seller", seller), *(("id", id_) for id_ in portion)]
            await self._transport.call(Call("DELETE", "opportunities", query))

    async def set_policy(self, policy: SellerPolicy) -> None:
        """Say how a Seller leases, from the next call on (rule 14).

        Raises:
            OpenBookingError: The service does not answer.

        """
        await self._transport.call(Call("PUT", "sellers"), encode(policy))

    async def policy(self, seller: str) -> SellerPolicy:
        """Return how a Seller leases.

        Raises:
            OpenBookingError: The service does not answer.

        """
        answer = await self._transport.call(Call("GET", "sellers", [("seller", seller)]))
        return answer.read_as(SellerPolicy)

    async def metrics(self) -> str:
        """Return what the service has counted, in Prometheus's text format.

        Raises:
            OpenBookingError: The service does not answer, or the token does not allow it.

        """
        return (await self._transport.call(Call("GET", "metrics"))).body.decode()

    async def follow(self, place: str = "") -> AsyncIterator[Changes]:
        """Yield what changes in the capacity feed, page by page, for ever (rule 22).

        Whoever keeps the place of each page together with what they made of it misses nothing and
        takes nothing twice, whenever they stop.

        Args:
            place: The place of the last page that was read; empty: the beginning.

        Raises:
            OpenBookingError: The service refuses, as without the right token; while it is away
                this waits.

        """
        here = URL(place, encoded=True) if place else URL("/capacity-feed")
        while True:
            query = list(here.query.items())
            try:
                answer = await self._transport.call(Call("GET", "capacity-feed", query))
                page = answer.read_as(_Page)
            except OpenBookingError as error:
                if error.status_code not in _PASSING:
                    raise
                # It comes back some time, and the place is kept.
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if page.items:
                here = URL(page.next).relative()
                yield Changes([item.data for item in page.items if item.data], str(here))
            else:
                await asyncio.sleep(_POLL_SECONDS)


def _portions(things: Iterable[T], size: int) -> Iterable[list[T]]:
    portion: list[T] = []
    for thing in things:
        portion.append(thing)
        if len(portion) == size:
            yield portion
            portion = []
    if portion:
        yield portion
