"""The rules of the contract; knows neither HTTP nor Redis."""

from service.ledger.answers import error_body
from service.ledger.keys import DEFAULT_SELLER, DefaultOrderKey, OrderKey
from service.ledger.ledger import Booked, Ledger, Proposed, Quoted, Step
from service.ledger.registration import Entry

__all__ = [
    "DEFAULT_SELLER",
    "Booked",
    "DefaultOrderKey",
    "Entry",
    "Ledger",
    "OrderKey",
    "Proposed",
    "Quoted",
    "Step",
    "error_body",
]
