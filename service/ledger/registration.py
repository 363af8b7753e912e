"""Registering Opportunities: a stream of entries, judged one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

from service.errors import OpenBookingError, UnknownOpportunityError
from service.ledger.answers import error_body
from service.ledger.catalogue import Catalogue
from service.ledger.keys import POOL
from service.ledger.refusals import SELLER_LEFT_OUT
from service.ledger.script_refusals import (
    BusyPoolError,
    OtherKindError,
    SellerLeftOutError,
    UnknownPoolError,
)
from service.model import (
    EntryError,
    OfferRegistration,
    OpportunityRegistration,
    Registration,
    identity,
)

Entry = tuple[int, OpportunityRegistration | OpenBookingError]
"""The index of an entry, and the entry or why it is refused."""

_AT_ONCE: Final = 256
_ERRORS_IN_FULL: Final = 100
_OUTCOMES: Final = {1: "registered", 2: "updated", 3: "unchanged"}


async def register_entries(
    catalogue: Catalogue, entries: AsyncIterator[Entry], seller: str | None
) -> Registration:
    """Register a stream of Opportunities, a bounded number at once.

    Args:
        catalogue: Where they are kept.
        entries: As they are decoded.
        seller: The Seller of entries that name none.

    Returns:
        The counts, and the first 100 errors in full.

    """
    result = Registration()
    portion: list[Entry] = []
    async for entry in entries:
        portion.append(entry)
        if len(portion) == _AT_ONCE:
            await _register_portion(catalogue, portion, seller, result)
            portion.clear()
    await _register_portion(catalogue, portion, seller, result)
    return result


async def _register_portion(
    catalogue: Catalogue, portion: list[Entry], seller: str | None, result: Registration
) -> None:
    outcomes: list[int | OpenBookingError] = []
    for together in _independent(portion):
        outcomes += await asyncio.gather(
            *(_register(catalogue, entry, seller) for _, entry in together)
        )
    for (index, _), outcome in zip(portion, outcomes, strict=True):
        if isinstance(outcome, OpenBookingError):
            result.failed += 1
            if len(result.errors) < _ERRORS_IN_FULL:
                result.errors.append(EntryError(index=index, error=error_body(outcome)))
        else:
            name = _OUTCOMES[outcome]
            setattr(result, name, getattr(result, name) + 1)


def _independent(portion: list[Entry]) -> Iterator[list[Entry]]:
    """Cut a portion where an entry is about an id that an earlier one is about.

    What is on its way together may arrive in any order: a script that needs more keys runs again,
    and meanwhile the next entry's might run.
    """
    together: list[Entry] = []
    registered: set[str] = set()
    named: set[str] = set()
    for index, entry in portion:
        if not isinstance(entry, OpenBookingError):
            pools = {pool.id for pool in entry.capacity_pools or ()}
            if entry.id in registered or entry.id in named or not registered.isdisjoint(pools):
                yield together
                together, registered, named = [], set(), set()
            registered.add(entry.id)
            named |= pools
        together.append((index, entry))
    yield together


async def _register(
    catalogue: Catalogue, entry: OpportunityRegistration | OpenBookingError, seller: str | None
) -> int | OpenBookingError:
    """Return what became of an entry, or why it is refused."""
    if isinstance(entry, OpenBookingError):
        return entry
    try:
        return await _registered(catalogue, entry, seller)
    except OpenBookingError as error:
        return error
    except UnknownPoolError as error:
        return UnknownOpportunityError(
            f"$.capacityPools: {error} is no registered CapacityPool of this Seller; register it"
            " first."
        )
    except OtherKindError:
        message = f"$.@type: {entry.id} is both a CapacityPool and an Opportunity; use two ids."
    except SellerLeftOutError:
        message = SELLER_LEFT_OUT
    except BusyPoolError as error:
        message = (
            f"$.capacityPools: too many Opportunities draw on {error}; withdraw those that are"
            " over."
        )
    return OpenBookingError(message)


async def _registered(
    catalogue: Catalogue, entry: OpportunityRegistration, seller: str | None
) -> int:
    """Register one Opportunity or pool, after what can be judged without the store."""
    named = identity(entry.seller)
    if named and seller and named != seller:
        raise OpenBookingError(f"$.seller: {named} is not the Seller of this request, {seller}.")
    maximum, remaining = spaces(entry)
    capacity = remaining if maximum is None else maximum
    if capacity is None:
        raise OpenBookingError("$.maximumAttendeeCapacity: the capacity is missing.")
    drawn = entry.capacity_pools or ()
    pools = {pool.id: pool.spaces or 1 for pool in drawn}
    if len(pools) < len(drawn) or (pools and entry.type == POOL):
        raise OpenBookingError("$.capacityPools: name each pool once, and none for a pool.")
    return await catalogue.register(
        named or seller or await catalogue.default_seller(),
        entry.id,
        kind=entry.type,
        capacity=capacity,
        booked=0 if remaining is None else max(0, capacity - remaining),
        modified=version_text(entry.modified),
        offers={offer.id: price_text(offer) for offer in entry.offers or ()},
        pools=pools,
    )


def price_text(offer: OfferRegistration) -> str:
    """Return an offer's price as the ledger keeps it: exact, with its currency."""
    if offer.price is None:
        return ""
    return f"{offer.price} {offer.price_currency or ''}".rstrip()


def version_text(modified: int | str | None) -> str:
    """Return a `modified` as the ledger compares it: a whole number, `=` and a text, or `""`."""
    if modified is None:
        return ""
    return f"={modified}" if isinstance(modified, str) else str(modified)


def spaces(entry: OpportunityRegistration) -> tuple[int | None, int | None]:
    """Return the maximum and the remaining spaces, by whichever names they were given."""
    attendees = (entry.maximum_attendee_capacity, entry.remaining_attendee_capacity)
    uses = (entry.maximum_uses, entry.remaining_uses)
    return uses if attendees == (None, None) else attendees
