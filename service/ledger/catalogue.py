"""What can be booked, and on which Seller's terms: Opportunities, pools and policies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Final

import msgspec
from msgspec import UNSET

from service.errors import OpenBookingError
from service.ledger.answers import counts, error_body
from service.ledger.scripts import RegisterArguments, Scripts
from service.model import (
    EntryError,
    LeasingPolicy,
    OfferRegistration,
    Opportunity,
    OpportunityRegistration,
    Registration,
    SellerPolicy,
    StepPolicy,
    identity,
    whole_seconds,
)

Entry = tuple[int, OpportunityRegistration | OpenBookingError]
"""The index of an entry, and the entry or why it is refused."""

POOL: Final = "CapacityPool"
DEFAULT_SELLER: Final = "default"

_AT_ONCE: Final = 256
_ERRORS_IN_FULL: Final = 100
_OUTCOMES: Final = {1: "registered", 2: "updated", 3: "unchanged"}

# Names in the Seller's hash, by what `docs/protocol.md`, rule 14, calls them.
_POLICY: Final = {
    "anonymous": "anonymous",
    "named": "named",
    "proposal": "proposal",
    "maximumHold": "maximum_hold",
    "paymentWindow": "payment_window",
    "maximumSpaces": "maximum_spaces",
    "maximumLeases": "maximum_leases",
}
_STEPS: Final = ("anonymous", "named", "proposal")
_LENGTHS: Final = ("maximumHold", "paymentWindow")
POLICY_FIELDS: Final = (*_POLICY.values(), "tax_mode")


class Catalogue:
    """The Opportunities, capacity pools and Sellers that the front-end made known.

    Every method raises `NothingSentError` when Redis is out of reach, and `OutcomeUnknownError`
    when an answer was lost: the repeated call settles it (`docs/protocol.md`, rule 25).
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._keys = scripts.keys

    async def register(
        self, entries: AsyncIterator[Entry], *, seller: str | None = None
    ) -> Registration:
        """Make Opportunities and pools known, each entry by itself, a bounded number at once.

        Args:
            entries: As they are decoded; a refused one counts as failed.
            seller: The Seller of entries that name none; one that names another is refused.

        Returns:
            The counts, and the first 100 errors in full.

        """
        result = Registration()
        portion: list[Entry] = []
        async for entry in entries:
            portion.append(entry)
            if len(portion) == _AT_ONCE:
                await self._register_portion(portion, seller, result)
                portion.clear()
        await self._register_portion(portion, seller, result)
        return result

    async def inspect(self, seller: str, ids: Sequence[str]) -> list[Opportunity]:
        """Return the ledger of Opportunities in the order of `ids`; unknown ones are left out."""
        found = await asyncio.gather(
            *(self._scripts.of_opportunity("inspect", seller, id_) for id_ in ids)
        )
        opportunities = []
        for id_, (_, *known) in zip(ids, found, strict=True):
            if known:
                kind, capacity, booked, leased, remaining = known
                opportunities.append(
                    Opportunity(
                        id=id_,
                        type=kind.decode(),
                        seller=seller,
                        booked=booked,
                        leased=leased,
                        **counts(kind.decode(), capacity, remaining),
                    )
                )
        return opportunities

    async def withdraw(self, seller: str, ids: Sequence[str]) -> None:
        """Make Opportunities unknown again; their leases end, their Orders stay."""
        await asyncio.gather(
            *(self._scripts.of_opportunity("withdraw", seller, id_) for id_ in ids)
        )

    async def set_policy(self, seller: str, policy: SellerPolicy) -> SellerPolicy:
        """Replace a Seller's policy, from the next call on, at every replica (rule 14)."""
        key = self._keys.seller(seller).policy
        stored = _stored_policy(policy)
        # One command, so that no call ever meets half a policy; an empty field says nothing.
        fields = [part for name in POLICY_FIELDS for part in (name, stored.get(name, ""))]
        await self._scripts.nodes.of(key).command("HSET", key, "id", seller, *fields)
        return await self.policy(seller)

    async def policy(self, seller: str) -> SellerPolicy:
        """Return a Seller's policy; what it leaves out comes from the settings.

        Raises:
            OpenBookingError: Nothing is known of this Seller (404).

        """
        key = self._keys.seller(seller).policy
        id_, *values = await self._scripts.nodes.of(key).command(
            "HMGET", key, "id", *POLICY_FIELDS
        )
        if id_ is None:
            raise OpenBookingError("Nothing is known of this Seller.", status=404)
        pairs = zip(POLICY_FIELDS, values, strict=True)
        return _described_policy(seller, {name: value.decode() for name, value in pairs if value})

    async def _register_portion(
        self, portion: Sequence[Entry], seller: str | None, result: Registration
    ) -> None:
        outcomes = await asyncio.gather(*(self._register(entry, seller) for _, entry in portion))
        for (index, _), outcome in zip(portion, outcomes, strict=True):
            if isinstance(outcome, OpenBookingError):
                result.failed += 1
                if len(result.errors) < _ERRORS_IN_FULL:
                    result.errors.append(EntryError(index=index, error=error_body(outcome)))
            else:
                name = _OUTCOMES[outcome]
                setattr(result, name, getattr(result, name) + 1)

    async def _register(
        self, entry: OpportunityRegistration | OpenBookingError, seller: str | None
    ) -> int | OpenBookingError:
        """Return what became of an entry, or why it is refused."""
        if isinstance(entry, OpenBookingError):
            return entry
        try:
            return await self._register_one(entry, seller)
        except OpenBookingError as error:
            return error

    async def _register_one(self, entry: OpportunityRegistration, seller: str | None) -> int:
        named = identity(entry.seller) if entry.seller else None
        if named and seller and named != seller:
            raise OpenBookingError(
                f"$.seller: {named} is not the Seller of this request, {seller}."
            )
        maximum, remaining = _spaces(entry)
        capacity = remaining if maximum is None else maximum
        if capacity is None:
            raise OpenBookingError("$.maximumAttendeeCapacity: the capacity is missing.")
        pools = {pool.id: pool.spaces for pool in entry.capacity_pools}
        if len(pools) < len(entry.capacity_pools) or (pools and entry.type == POOL):
            raise OpenBookingError("$.capacityPools: name each pool once, and none for a pool.")
        owner = named or seller or DEFAULT_SELLER
        keys = self._keys.seller(owner)
        drawn = {self._keys.ref(owner, pool): spaces for pool, spaces in pools.items()}
        arguments = RegisterArguments(
            entry.id,
            entry.type,
            keys.ref,
            owner,
            capacity,
            0 if remaining is None else max(0, capacity - remaining),
            "" if entry.modified is None else str(entry.modified),
            " ".join(f"{ref}:{spaces}" for ref, spaces in drawn.items()),
            len(entry.offers),
        )
        offers = [part for offer in entry.offers for part in (offer.id, _price_text(offer))]
        [outcome] = await self._scripts.run(
            "register",
            keys.partition,
            (keys.policy, keys.partition.feed),
            (*arguments, *offers),
            dict.fromkeys((self._keys.ref(owner, entry.id), *drawn), ()),
        )
        return int(outcome)


def _price_text(offer: OfferRegistration) -> str:
    if offer.price is None:
        return ""
    return f"{offer.price:f} {offer.price_currency or ''}".rstrip()


def _spaces(entry: OpportunityRegistration) -> tuple[int | None, int | None]:
    """Return the maximum and the remaining spaces, by whichever names they were given."""
    attendees = (entry.maximum_attendee_capacity, entry.remaining_attendee_capacity)
    uses = (entry.maximum_uses, entry.remaining_uses)
    first, second = (uses, attendees) if entry.type == "Slot" else (attendees, uses)
    return second if first == (None, None) else first


def _stored_policy(policy: SellerPolicy) -> dict[str, int | str]:
    """Return seconds, counts and the tax mode; a step that is null leases for 0 seconds."""
    stored: dict[str, int | str] = {}
    for field in _POLICY.values():
        match getattr(policy.leasing, field):
            case None:
                stored[field] = 0
            case StepPolicy(duration=length):
                stored[field] = whole_seconds(length)
            case timedelta() as length:
                stored[field] = whole_seconds(length)
            case int() as limit:
                stored[field] = limit
    if policy.tax_mode is not UNSET:
        stored["tax_mode"] = policy.tax_mode
    return stored


def _described_policy(seller: str, stored: Mapping[str, str]) -> SellerPolicy:
    leasing: dict[str, object] = {}
    for name, field in _POLICY.items():
        if field not in stored:
            continue
        number = int(stored[field])
        if name in _STEPS:
            leasing[name] = {"duration": timedelta(seconds=number)} if number else None
        else:
            leasing[name] = timedelta(seconds=number) if name in _LENGTHS else number
    policy: dict[str, object] = {"@id": seller, "leasing": msgspec.convert(leasing, LeasingPolicy)}
    if "tax_mode" in stored:
        policy["taxMode"] = stored["tax_mode"]
    return msgspec.convert(policy, SellerPolicy)
