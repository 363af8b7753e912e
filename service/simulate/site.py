"""The Opportunities of a run: its own, so that nothing real is touched."""

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


class SiteError(Exception):
    """The Opportunities could not be registered; the message says why."""


class Site:
    """What is for sale in a run."""

    def __init__(self, service: LeaseService, scenario: Scenario, seller: str, run: str) -> None:
        """Name the Opportunities of a run.

        Args:
            service: To be called with patience.
            scenario: How many Opportunities, and how many spaces.
            seller: Whose they are.
            run: What no other run is called: it is in every `@id`.

        """
        self.seller = seller
        self.ids = [f"{OWN_SELLER}:{run}:{number}" for number in range(scenario.opportunities)]
        self.is_open = False
        """Whether something is on sale."""
        self._service = service
        self._scenario = scenario
        self._offer = f"{OWN_SELLER}:{run}:offer"

    async def open(self) -> None:
        """Register everything.

        The policy is changed for the Seller of the simulation only: never for one that is real.

        Raises:
            OpenBookingError: The service refuses, or does not answer.
            SiteError: It does not take an Opportunity.

        """
        seconds = self._scenario.lease_seconds
        if seconds is not None and self.seller == OWN_SELLER:
            await self._service.set_policy(_policy(seconds))
        self.is_open = True
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
            raise SiteError(done.errors[0].error.description)

    def items(self, opportunity: int, spaces: int) -> Sequence[OrderItemRequest]:
        """Return the OrderItems for so many spaces of an Opportunity."""
        id_ = self.ids[opportunity]
        return [OrderItemRequest(position, id_, self._offer) for position in range(spaces)]

    async def ledgers(self) -> list[Opportunity]:
        """Return the ledger of every Opportunity that the service has.

        Raises:
            OpenBookingError: The service does not answer.

        """
        return await self._service.inspect(self.seller, self.ids)

    async def close(self) -> None:
        """Withdraw everything; the Orders stay, as those of every Opportunity do.

        Raises:
            OpenBookingError: The service does not answer.

        """
        await self._service.withdraw(self.seller, self.ids)
        self.is_open = False


def capacity(ledger: Opportunity) -> int:
    """Return how many spaces an Opportunity has in all."""
    spaces = ledger.maximum_attendee_capacity
    return 0 if spaces is UNSET else spaces


def _policy(seconds: int) -> SellerPolicy:
    anonymous, named = (StepPolicy(timedelta(seconds=length)) for length in (seconds, 2 * seconds))
    return SellerPolicy(id=OWN_SELLER, leasing=LeasingPolicy(anonymous=anonymous, named=named))
