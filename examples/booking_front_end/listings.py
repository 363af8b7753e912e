"""How a class and a court look in the open feeds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from examples.booking_front_end.catalogue import (
    FACILITY_SLOTS,
    FACILITY_USES,
    INDIVIDUAL_SLOTS,
    SESSION_SERIES,
    SESSIONS,
    Listing,
    Opportunity,
)
from examples.booking_front_end.pricing import CURRENCY
from examples.booking_front_end.sellers import ADDRESS, Seller

APPROVAL: Final = "https://openactive.io/OpenBookingApproval"

_PLACE: Final = {
    "@type": "Place",
    "identifier": "0140",
    "name": "Acme Sports Village",
    "url": "https://example.com/venue",
    "address": ADDRESS,
    "geo": {"@type": "GeoCoordinates", "latitude": 51.752, "longitude": -1.2577},
}
_ACTIVITY_LIST: Final = "https://openactive.io/activity-list"
_FACILITY_TYPES: Final = "https://openactive.io/facility-types"
_YOGA: Final = "bf1a5e00-cdcf-465d-8c5a-6f57040b7f7e"
_TENNIS_COURT: Final = "bba8ae59-d152-40bc-85cc-88c5375696d4"
_HOUR: Final = timedelta(hours=1)


class Terms(NamedTuple):
    """When, how many and on which conditions.

    Attributes:
        start: When it begins.
        maximum: How many spaces it has.
        remaining: How many of them are not sold yet.
        offer: The properties of its Offer, with `price`.

    """

    start: datetime
    maximum: int
    remaining: int
    offer: dict[str, Any]


def session(base_url: str, number: int, seller: Seller, name: str, terms: Terms) -> Listing:
    """Return a ScheduledSession with a SessionSeries of its own."""
    url = f"{base_url}/api/opportunities/session-series/{number}"
    series = {
        "@context": "https://openactive.io/",
        "@type": "SessionSeries",
        "@id": url,
        "identifier": number,
        "name": name,
        "url": f"https://example.com/classes/{number}",
        "description": f"{name}: an hour for everybody.",
        "eventAttendanceMode": "https://schema.org/OfflineEventAttendanceMode",
        "location": _PLACE,
        "activity": [_concept(_ACTIVITY_LIST, _YOGA, "Yoga")],
        "organizer": _open_for_booking(seller),
        "offers": [_offer(url, terms)],
    }
    event = {
        "@context": "https://openactive.io/",
        "@type": "ScheduledSession",
        "@id": f"{url}/events/{number}",
        "identifier": number,
        **_when(terms.start),
        "url": f"https://example.com/classes/{number}/next",
        "eventStatus": "https://schema.org/EventScheduled",
        "maximumAttendeeCapacity": terms.maximum,
        "superEvent": url,
    }
    opportunity = Opportunity(seller["@id"], event, series, terms.remaining)
    return Listing(opportunity, SESSION_SERIES, SESSIONS)


def slot(base_url: str, number: int, seller: Seller, name: str, terms: Terms) -> Listing:
    """Return a Slot with a FacilityUse of its own."""
    url = f"{base_url}/api/opportunities/facility-uses/{number}"
    court = _slot(url, url, number, terms)
    opportunity = Opportunity(
        seller["@id"], court, _facility_use(url, number, seller, name), terms.remaining
    )
    return Listing(opportunity, FACILITY_USES, FACILITY_SLOTS)


def individual_slot(
    base_url: str, number: int, seller: Seller, name: str, terms: Terms
) -> Listing:
    """Return a Slot of the one IndividualFacilityUse of a FacilityUse of its own."""
    url = f"{base_url}/api/opportunities/facility-uses/{number}"
    individual = {
        "@type": "IndividualFacilityUse",
        "@id": f"{url}/individual-facility-uses/1",
        "name": "Court 1",
    }
    facility = _facility_use(url, number, seller, name) | {"individualFacilityUse": [individual]}
    court = _slot(individual["@id"], url, number, terms)
    opportunity = Opportunity(seller["@id"], court, facility, terms.remaining)
    return Listing(opportunity, FACILITY_USES, INDIVIDUAL_SLOTS)


def _facility_use(url: str, number: int, seller: Seller, name: str) -> dict[str, Any]:
    return {
        "@context": "https://openactive.io/",
        "@type": "FacilityUse",
        "@id": url,
        "identifier": number,
        "name": name,
        "url": f"https://example.com/courts/{number}",
        "description": f"{name}: bring your own racket.",
        "location": _PLACE,
        "facilityType": [_concept(_FACILITY_TYPES, _TENNIS_COURT, "Tennis Court")],
        "provider": _open_for_booking(seller),
    }


def _slot(belongs_to: str, facility: str, number: int, terms: Terms) -> dict[str, Any]:
    url = f"{facility}/slots/{number}"
    return {
        "@context": "https://openactive.io/",
        "@type": "Slot",
        "@id": url,
        "identifier": number,
        "facilityUse": belongs_to,
        **_when(terms.start),
        "maximumUses": terms.maximum,
        "offers": [_offer(url, terms)],
    }


def _when(start: datetime) -> dict[str, Any]:
    return {
        "startDate": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "endDate": f"{start + _HOUR:%Y-%m-%dT%H:%M:%SZ}",
        "duration": "PT1H",
    }


def _offer(url: str, terms: Terms) -> dict[str, Any]:
    return {
        "@type": "Offer",
        "@id": f"{url}#/offers/0",
        "name": "Standard",
        "priceCurrency": CURRENCY,
        **terms.offer,
    }


def _concept(scheme: str, identifier: str, label: str) -> dict[str, Any]:
    return {
        "@type": "Concept",
        "@id": f"{scheme}#{identifier}",
        "prefLabel": label,
        "inScheme": scheme,
    }


def _open_for_booking(seller: Seller) -> dict[str, Any]:
    return {**seller, "isOpenBookingAllowed": True}
