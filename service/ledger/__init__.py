"""The rules of `docs/protocol.md`, once: each verb as one atomic script in Redis."""

from service.ledger.answers import error_body
from service.ledger.catalogue import Catalogue, Entry
from service.ledger.keys import OrderKey
from service.ledger.ledger import Ledger
from service.ledger.orders import Booked, Orders, Proposed, Quoted, Step

__all__ = [
    "Booked",
    "Catalogue",
    "Entry",
    "Ledger",
    "OrderKey",
    "Orders",
    "Proposed",
    "Quoted",
    "Step",
    "error_body",
]
