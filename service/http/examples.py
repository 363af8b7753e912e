"""One Opportunity's life, as the examples of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from service.errors import OpportunityCapacityIsReservedByLeaseError
from service.model import CONTEXT

_SELLER: Final = "https://example.com/api/organisations/123"
_SESSION: Final = "https://example.com/events/452/subEvents/132"
_OFFER: Final = "https://example.com/events/452#/offers/878"
_HALL: Final = "https://example.com/halls/1"
UUID: Final = "e11429ea-467f-4270-ab62-e47368996fe8"

_PRICE: Final = {"price": 10, "priceCurrency": "GBP"}
_TOTAL: Final = {"@type": "PriceSpecification", **_PRICE}
_LEASE: Final = {"@type": "Lease", "leaseExpires": "2018-10-01T11:00:00Z"}
_ASKED: Final = {
    "@type": "OrderItem",
    "acceptedOffer": {"@type": "Offer", "@id": _OFFER},
    "orderedItem": {"@type": "ScheduledSession", "@id": _SESSION},
}
_ANSWERED: Final = {
    "@type": "OrderItem",
    "acceptedOffer": {"@type": "Offer", "@id": _OFFER, **_PRICE},
    "orderedItem": {
        "@type": "ScheduledSession",
        "@id": _SESSION,
        "remainingAttendeeCapacity": 1,
    },
}
_RESERVED: Final = {
    "@type": "OpportunityCapacityIsReservedByLeaseError",
    "statusCode": 409,
    "name": OpportunityCapacityIsReservedByLeaseError.title(),
    "description": "1 space is held by other Customers until 2018-10-01T10:55:00Z.",
}


def _order(kind: str, *items: Mapping[str, object], **more: object) -> dict[str, object]:
    return {
        "@context": CONTEXT,
        "@type": kind,
        "identifier": UUID,
        "seller": _SELLER,
        "orderedItem": [{"position": index, **item} for index, item in enumerate(items)],
        **more,
    }


_POLICY: Final = {
    "@type": "Organization",
    "@id": _SELLER,
    "taxMode": "https://openactive.io/TaxGross",
    "leasing": {
        "anonymous": {"duration": "PT5M"},
        "named": {"duration": "PT15M"},
        "proposal": {"duration": "P7D"},
        "maximumHold": "PT2H",
        "maximumSpaces": 10,
        "maximumLeases": 500,
        "paymentWindow": "PT2M",
    },
}
_CHANGE: Final = {
    "state": "updated",
    "kind": "ScheduledSession",
    "id": "kQ4pBXf0VZQ-xZ3o",
    "modified": 1538391000123456,
    "data": {
        "@context": CONTEXT,
        "@type": "ScheduledSession",
        "@id": _SESSION,
        "seller": _SELLER,
        "maximumAttendeeCapacity": 30,
        "remainingAttendeeCapacity": 18,
    },
}


_REQUESTED: Final = {
    "seller": {"@type": "Organization", "@id": _SELLER},
    "orderedItem": [{**_ASKED, "position": 0}, {**_ASKED, "position": 1}],
}

REQUESTS: Final[dict[str, object]] = {
    "QuoteRequest": {"@context": CONTEXT, "@type": "OrderQuote", **_REQUESTED},
    "OrderRequest": {"@context": CONTEXT, **_REQUESTED},
    "ProposalPatch": {
        "@context": CONTEXT,
        "@type": "OrderProposal",
        "orderProposalStatus": "https://openactive.io/SellerAccepted",
    },
    "OrderPatch": {
        "@context": CONTEXT,
        "@type": "Order",
        "orderedItem": [
            {
                "@type": "OrderItem",
                "position": 1,
                "orderItemStatus": "https://openactive.io/CustomerCancelled",
            }
        ],
    },
    "PaymentWindowRequest": {"duration": "PT2M"},
    "SellerPolicyRequest": _POLICY,
    "OpportunityRegistration": [
        {
            "@type": "CapacityPool",
            "@id": _HALL,
            "seller": _SELLER,
            "maximumAttendeeCapacity": 100,
        },
        {
            "@type": "ScheduledSession",
            "@id": _SESSION,
            "seller": _SELLER,
            "maximumAttendeeCapacity": 30,
            "remainingAttendeeCapacity": 20,
            "modified": 1542884400123,
            "offers": [{"@type": "Offer", "@id": _OFFER, **_PRICE}],
            "capacityPools": [{"@id": _HALL, "spaces": 1}],
        },
    ],
}

ANSWERS: Final[dict[tuple[str, int], object]] = {
    ("OrderQuote", 200): _order("OrderQuote", _ANSWERED, lease=_LEASE, totalPaymentDue=_TOTAL),
    ("OrderQuote", 409): _order(
        "OrderQuote",
        _ANSWERED,
        {**_ANSWERED, "error": [_RESERVED]},
        lease=_LEASE,
        totalPaymentDue=_TOTAL,
    ),
    ("Lease", 200): _LEASE,
    ("OrderProposal", 201): _order(
        "OrderProposal",
        _ANSWERED,
        orderProposalStatus="https://openactive.io/AwaitingSellerConfirmation",
        lease=_LEASE,
        totalPaymentDue=_TOTAL,
    ),
    ("Order", 201): _order(
        "Order",
        {**_ANSWERED, "orderItemStatus": "https://openactive.io/OrderItemConfirmed"},
        totalPaymentDue=_TOTAL,
    ),
    ("SellerPolicy", 200): _POLICY,
    ("CapacityPage", 200): {
        "next": "http://127.0.0.1:8080/capacity-feed"
        "?afterTimestamp=1538391000123456&afterId=kQ4pBXf0VZQ-xZ3o",
        "items": [_CHANGE],
        "license": "https://creativecommons.org/licenses/by/4.0/",
    },
    ("Change", 200): _CHANGE,
    ("Registration", 200): {
        "registered": 1,
        "updated": 0,
        "unchanged": 0,
        "failed": 1,
        "errors": [
            {
                "index": 3,
                "error": {
                    "@type": "OpenBookingError",
                    "statusCode": 400,
                    "name": "The request could not be carried out.",
                    "description": "Expected `int | null`, got `str`"
                    " - at `$.maximumAttendeeCapacity`.",
                },
            }
        ],
    },
    ("Opportunity", 200): [
        {
            "@type": "ScheduledSession",
            "@id": _SESSION,
            "seller": _SELLER,
            "maximumAttendeeCapacity": 30,
            "remainingAttendeeCapacity": 18,
            "booked": 10,
            "leased": 2,
        }
    ],
}
