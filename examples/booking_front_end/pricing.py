"""What is to be paid: sums, tax, and whether in advance."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from examples.booking_front_end.errors import (
    IncompletePaymentDetailsError,
    MissingPaymentDetailsError,
    UnnecessaryPaymentDetailsError,
)
from examples.booking_front_end.sellers import TAX_NET
from service.errors import TotalPaymentDueMismatchError
from service.model import TotalRequest

CURRENCY: Final = "GBP"
REQUIRED: Final = "https://openactive.io/Required"
OPTIONAL: Final = "https://openactive.io/Optional"
UNAVAILABLE: Final = "https://openactive.io/Unavailable"

_STRICTEST_FIRST: Final = (REQUIRED, OPTIONAL, UNAVAILABLE)
_RATE: Final = Decimal("0.2")
_PENNY: Final = Decimal("0.01")


def unit_tax(price: Decimal, tax_mode: str) -> list[dict[str, Any]]:
    """Return the `unitTaxSpecification` of an OrderItem; nothing for what is free."""
    if not price:
        return []
    share = _RATE if tax_mode == TAX_NET else _RATE / (1 + _RATE)
    return [_charge((price * share).quantize(_PENNY, ROUND_HALF_UP))]


def totals(items: Iterable[dict[str, Any]], tax_mode: str) -> dict[str, Any]:
    """Return `totalPaymentDue`, and `totalPaymentTax` if there is any.

    Args:
        items: OrderItems with full Offers, without those that have an error or are cancelled.
        tax_mode: With TaxNet the tax comes on top of the prices, with TaxGross it is in them.

    """
    offers = []
    total = tax = Decimal(0)
    for item in items:
        offers.append(item["acceptedOffer"])
        total += item["acceptedOffer"]["price"]
        tax += sum(charge["price"] for charge in item.get("unitTaxSpecification", ()))
    due = total + tax if tax_mode == TAX_NET else total
    result: dict[str, Any] = {
        "totalPaymentDue": {
            "@type": "PriceSpecification",
            "price": due,
            "priceCurrency": CURRENCY,
            "openBookingPrepayment": _prepayment(offers, due),
        }
    }
    if tax:
        result["totalPaymentTax"] = [_charge(tax)]
    return result


def prepayment(offer: dict[str, Any]) -> str:
    """Return whether an Offer is paid in advance."""
    return str(offer.get("openBookingPrepayment", REQUIRED))


def check_payment(
    due: dict[str, Any], claimed: TotalRequest | None, payment: dict[str, Any] | None
) -> None:
    """Refuse a booking whose sum or payment is not what it should be.

    Args:
        due: The `totalPaymentDue`.
        claimed: What the Broker says that it is; None: it says nothing.
        payment: The Broker's `payment`.

    Raises:
        TotalPaymentDueMismatchError: The sums, or their currencies, differ.
        UnnecessaryPaymentDetailsError: Nothing is paid in advance.
        MissingPaymentDetailsError: It has to be.
        IncompletePaymentDetailsError: The payment has no identifier.

    """
    said = (claimed.price, claimed.price_currency) if claimed else ()
    right = (due["price"], due["priceCurrency"])
    if any(one not in {None, other} for one, other in zip(said, right, strict=False)):
        raise TotalPaymentDueMismatchError(f"The total is {right[0]} {right[1]}.")
    when = due["openBookingPrepayment"]
    if payment is None:
        if when == REQUIRED:
            raise MissingPaymentDetailsError("This Order has to be paid in advance.")
    elif when == UNAVAILABLE:
        raise UnnecessaryPaymentDetailsError("Nothing of this Order is paid in advance.")
    elif not payment.get("identifier"):
        raise IncompletePaymentDetailsError("$.payment.identifier is missing.")


def _prepayment(offers: Iterable[dict[str, Any]], due: Decimal) -> str:
    asked = {prepayment(offer) for offer in offers if offer["price"]}
    return next((when for when in _STRICTEST_FIRST if due and when in asked), UNAVAILABLE)


def _charge(price: Decimal) -> dict[str, Any]:
    return {
        "@type": "TaxChargeSpecification",
        "name": "VAT at 20%",
        "identifier": "VAT20",
        "price": price,
        "priceCurrency": CURRENCY,
        "rate": _RATE,
    }
