"""The store: the only package that talks to Redis."""

from service.redis.errors import (
    MisuseError,
    NothingSentError,
    OutcomeUnknownError,
    StoreError,
    UnusableServerError,
)
from service.store.catalogue import Catalogue
from service.store.keys import DEFAULT_SELLER, DefaultOrderKey, OrderKey, digest
from service.store.orders import Cancellation, Terms
from service.store.refusals import (
    BusyPoolError,
    DeletedOrderError,
    NoOrderItemsError,
    OrderExistsError,
    OtherKindError,
    ProposalDecidedError,
    SellerLeftOutError,
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
    "DEFAULT_SELLER",
    "Availability",
    "BookedItem",
    "BusyPoolError",
    "Cancellation",
    "Catalogue",
    "DefaultOrderKey",
    "DeletedOrderError",
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
    "SellerLeftOutError",
    "Shortage",
    "Store",
    "StoreError",
    "Terms",
    "TooManyLeasesError",
    "TotalMismatchError",
    "UnknownOrderError",
    "UnknownOrderItemError",
    "UnknownPoolError",
    "UnusableServerError",
    "digest",
]
