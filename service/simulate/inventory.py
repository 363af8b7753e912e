"""The Opportunities that a run sells: its own, so that nothing real is touched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

from msgspec import UNSET

from service.client import LeaseService
from service.model import (
    LeasingPolicy,
    OfferRegistration,
    Opportunity,
    OpportunityRegistration,
    OrderItemRequest,
    SellerPolicy,
    StepPolicy,
)
from service.simulate.scenario import Scenario

OWN_SELLER: Final = "urn:lease-service:simulate"


class InventoryError(Exception):
    """The Opportunities could not be registered; the message says why."""


class Inventory:
    """The Opportunities of a run. Its calls raise `OpenBookingError`, as the client's do."""

    def __init__(self, service: LeaseService, scenario: Scenario, seller: str, run: str) -> None:
        """Name the Opportunities.

        Args:
            service: A client that repeats its calls.
            scenario: Says how many Opportunities of how many spaces.
            seller: Whose they are.
            run: A word in every `@id` that no other run has.

        """
        self.seller = seller
        self.ids = [f"{OWN_SELLER}:{run}:{number}" for number in range(scenario.opportunities)]
        self._service = service
        self._scenario = scenario
        self._offer = f"{OWN_SELLER}:{run}:offer"

    async def register(self) -> None:
        """Put everything on sale; the policy is set for the simulation's own Seller only.

        Raises:
            InventoryError: The service does not accept an Opportunity.

        """
        seconds = self._scenario.lease_seconds
        if seconds is not None and self.seller == OWN_SELLER:
            await self._service.set_policy(_policy(seconds))
        offers = [OfferRegistration(self._offer, Decimal(10), "GBP")]
        done = await self._service.register(
            OpportunityRegistration(
                id=id_,
                type="ScheduledSession",
                seller=self.seller,
                maximum_attendee_capacity=self._scenario.spaces,
                offers=offers,
            )
            for id_ in self.ids
        )
        if done.failed:
            raise InventoryError(done.errors[0].error.description)

    def items(self, opportunity: int, spaces: int) -> Sequence[OrderItemRequest]:
        """Return OrderItems for a number of spaces of the nth Opportunity."""
        id_ = self.ids[opportunity]
        return [OrderItemRequest(position, id_, self._offer) for position in range(spaces)]

    async def ledgers(self) -> list[Opportunity]:
        """Return the ledgers of the Opportunities that the service knows."""
        return await self._service.inspect(self.seller, self.ids)

    async def withdraw(self) -> None:
        """Withdraw everything; Orders stay."""
        await self._service.withdraw(self.seller, self.ids)


def capacity(ledger: Opportunity) -> int:
    """Return the number of spaces of an Opportunity."""
    spaces = ledger.maximum_attendee_capacity
    return 0 if spaces is UNSET else spaces


def _policy(seconds: int) -> SellerPolicy:
    anonymous, named = (StepPolicy(timedelta(seconds=length)) for length in (seconds, 2 * seconds))
    return SellerPolicy(id=OWN_SELLER, leasing=LeasingPolicy(anonymous=anonymous, named=named))
