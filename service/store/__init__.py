"""The store: the only package that talks to Redis."""

from service.redis.errors import (
    MisuseError,
    NothingSentError,
    OutcomeUnknownError,
    StoreError,
)
from service.store.catalogue import Catalogue
from service.store.keys import OrderKey, digest
from service.store.orders import Cancellation, Terms
from service.store.refusals import (
    BusyPoolError,
    NoOrderItemsError,
    OrderExistsError,
    OtherKindError,
    ProposalDecidedError,
    TooManyLeasesError,
    TotalMismatchError,
    UnknownOrderError,
    UnknownOrderItemError,
    UnknownPoolError,
)
from service.store.replies import (
    Availability,
    BookedItem,
    HeldItem,
    HeldLease,
    Item,
    Ledgered,
    OrderRecord,
    Reason,
    Shortage,
)
from service.store.store import Store

__all__ = [
    "Availability",
    "BookedItem",
    "BusyPoolError",
    "Cancellation",
    "Catalogue",
    "HeldItem",
    "HeldLease",
    "Item",
    "Ledgered",
    "MisuseError",
    "NoOrderItemsError",
    "NothingSentError",
    "OrderExistsError",
    "OrderKey",
    "OrderRecord",
    "OtherKindError",
    "OutcomeUnknownError",
    "ProposalDecidedError",
    "Reason",
    "Shortage",
    "Store",
    "StoreError",
    "Terms",
    "TooManyLeasesError",
    "TotalMismatchError",
    "UnknownOrderError",
    "UnknownOrderItemError",
    "UnknownPoolError",
    "digest",
]
