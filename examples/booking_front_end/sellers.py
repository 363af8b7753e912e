"""The two Sellers: one with tax in its prices, one with tax on top."""

from __future__ import annotations

from typing import Any, Final

from examples.booking_front_end.settings import SELLERS_PATH

TAX_GROSS: Final = "https://openactive.io/TaxGross"
TAX_NET: Final = "https://openactive.io/TaxNet"

Seller = dict[str, Any]

ADDRESS: Final = {
    "@type": "PostalAddress",
    "streetAddress": "1 High Street",
    "addressLocality": "Oxford",
    "addressRegion": "Oxfordshire",
    "postalCode": "OX1 1AA",
    "addressCountry": "GB",
}
TERMS: Final = [
    {
        "@type": "PrivacyPolicy",
        "name": "Privacy Policy",
        "url": "https://example.com/privacy.html",
        "requiresExplicitConsent": False,
    }
]
BOOKING_SERVICE: Final = {
    "@type": "BookingService",
    "name": "Example Booking",
    "url": "https://example.com/booking",
    "termsOfService": TERMS,
}


def sellers(base_url: str) -> dict[str, Seller]:
    """Return the Sellers by their `@id`."""
    return {
        seller["@id"]: seller
        for seller in (
            _seller(base_url, "1", "Acme Fitness", TAX_GROSS),
            _seller(base_url, "2", "Lakeside Leisure", TAX_NET),
        )
    }


def _seller(base_url: str, identifier: str, name: str, tax_mode: str) -> Seller:
    return {
        "@type": "Organization",
        "@id": f"{base_url}{SELLERS_PATH}/{identifier}",
        "identifier": identifier,
        "name": name,
        "legalName": f"{name} Ltd",
        "taxMode": tax_mode,
        "url": "https://example.com",
        "telephone": "020 7946 0123",
        "email": "bookings@example.com",
        "vatID": "GB 789 1234 56",
        "address": ADDRESS,
        "termsOfService": TERMS,
    }
