"""The catalogue's verbs: what can be booked, and on which Seller's terms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from service.errors import OpenBookingError
from service.ledger import bodies
from service.ledger.catalogue import Catalogue
from service.ledger.policies import described_policy, stored_policy
from service.ledger.refusals import refusals
from service.ledger.registration import Entry, register_entries
from service.model import Opportunity, Registration, SellerPolicy, SellerPolicyRequest


class Register:
    """The Opportunities, capacity pools and Sellers that the front-end made known."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Keep them in `catalogue`."""
        self._catalogue = catalogue

    async def register(
        self, entries: AsyncIterator[Entry], *, seller: str | None = None
    ) -> Registration:
        """Make Opportunities and pools known, each entry by itself (contract, «Calls»; rule 28).

        Args:
            entries: As they are decoded; a refused one counts as failed.
            seller: The Seller of entries that name none; one that names another is refused.

        Raises:
            OpenBookingError: Redis does not answer; the repeated call settles it (rule 25).

        """
        with refusals(OpenBookingError):
            return await register_entries(self._catalogue, entries, seller)

    async def default_seller(self) -> str:
        """Return the Seller of a call that names none (`docs/protocol.md`, Sellers).

        Raises:
            OpenBookingError: Others are registered and `default` is not (400), or Redis does not
                answer (rule 25).

        """
        with refusals(OpenBookingError):
            return await self._catalogue.default_seller()

    async def inspect(self, seller: str, ids: Sequence[str]) -> list[Opportunity]:
        """Return the ledger of Opportunities in the order of `ids`; unknown ones are left out.

        Raises:
            OpenBookingError: Redis does not answer (rule 25).

        """
        with refusals(OpenBookingError):
            found = await asyncio.gather(*(self._catalogue.inspect(seller, id_) for id_ in ids))
        return [
            bodies.ledgered(seller, id_, said)
            for id_, said in zip(ids, found, strict=True)
            if said
        ]

    async def withdraw(self, seller: str, ids: Sequence[str]) -> None:
        """Make Opportunities unknown again; their leases end, their Orders stay.

        Raises:
            OpenBookingError: Redis does not answer; the repeated call settles it (rule 25).

        """
        with refusals(OpenBookingError):
            await asyncio.gather(*(self._catalogue.withdraw(seller, id_) for id_ in ids))

    async def set_policy(
        self, seller: str, policy: SellerPolicy | SellerPolicyRequest
    ) -> SellerPolicy:
        """Replace a Seller's policy, from the next call on, at every replica (contract, rule 14).

        Raises:
            OpenBookingError: Redis does not answer; the repeated call settles it (rule 25).

        """
        with refusals(OpenBookingError):
            await self._catalogue.set_policy(seller, stored_policy(policy))
        return await self.look_at_policy(seller)

    async def look_at_policy(self, seller: str) -> SellerPolicy:
        """Return a Seller's policy; what it leaves out comes from the settings.

        Raises:
            OpenBookingError: Nothing is known of this Seller (404), or Redis does not answer (rule
                25).

        """
        with refusals(OpenBookingError):
            stored = await self._catalogue.policy(seller)
        if stored is None:
            raise OpenBookingError("Nothing is known of this Seller.", status=404)
        return described_policy(seller, stored)
