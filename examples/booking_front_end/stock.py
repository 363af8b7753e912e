"""What the shelves hold at the start: a fortnight's programme, or what the suite draws from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Final

from examples.booking_front_end.catalogue import Catalogue, Listing
from examples.booking_front_end.listings import APPROVAL, Terms, individual_slot, session, slot
from examples.booking_front_end.sellers import Seller
from examples.booking_front_end.test_interface import listing

_DAYS: Final = 14
_CLASSES: Final = (
    # name, hour, spaces, price, whether the Seller has to approve of it
    ("Yoga for Beginners", 7, 12, "6.50", False),
    ("Lunchtime Stretch", 12, 20, "0", False),
    ("Advanced Climbing", 18, 4, "14.95", True),
    ("Swim Fit", 19, 30, "8.00", False),
)
_COURT_HOURS: Final = (9, 10, 17, 18)

# What `random-mode.json` draws from: each of these for each type and Seller, so many times.
_TYPES: Final = ("ScheduledSession", "FacilityUseSlot", "IndividualFacilityUseSlot")
_CRITERIA: Final = (
    "",
    "Cancellable",
    "NonFree",
    "SellerTermsOfService",
    "Free",
    "OneSpace",
    "FiveSpaces",
    "NoSpaces",
    "InPast",
    "NonFreePrepaymentOptional",
    "NonFreePrepaymentRequired",
    "NonFreePrepaymentUnavailable",
    "CancellableWithinWindow",
    "CancellableOutsideWindow",
    "NotCancellable",
    "WithinValidFromBeforeStartDate",
    "OutsideValidFromBeforeStartDate",
    "AttendeeDetails",
    "AdditionalDetails",
)
_OF_EACH: Final = 40


async def programme(
    catalogue: Catalogue, base_url: str, sellers: dict[str, Seller]
) -> AsyncIterator[Listing]:
    """Yield classes and court slots over the next two weeks, for each Seller."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for day, seller in product(range(1, _DAYS + 1), sellers.values()):
        start = midnight + timedelta(days=day)
        for name, hour, spaces, price, approval in _CLASSES:
            offer = {"price": Decimal(price), "allowCustomerCancellationFullRefund": True}
            if approval:
                offer["openBookingFlowRequirement"] = [APPROVAL]
            terms = Terms(start + timedelta(hours=hour), spaces, spaces, offer)
            yield session(base_url, await catalogue.next_number(), seller, name, terms)
        for hour in _COURT_HOURS:
            when = start + timedelta(hours=hour)
            offer = {"price": Decimal(12), "allowCustomerCancellationFullRefund": True}
            yield slot(
                base_url,
                await catalogue.next_number(),
                seller,
                "Indoor Tennis",
                Terms(when, 4, 4, offer),
            )
            yield individual_slot(
                base_url,
                await catalogue.next_number(),
                seller,
                "Centre Court",
                Terms(when, 1, 1, offer),
            )


async def for_random_mode(
    catalogue: Catalogue, base_url: str, sellers: dict[str, Seller]
) -> AsyncIterator[Listing]:
    """Yield what OpenActive's suite draws from where it makes nothing by itself."""
    for seller, kind, criterion in product(sellers.values(), _TYPES, _CRITERIA):
        for _ in range(_OF_EACH):
            number = await catalogue.next_number()
            yield listing(base_url, number, seller, kind, criterion, approval=False)


STOCKS: Final = {"demo": programme, "random-mode": for_random_mode}
