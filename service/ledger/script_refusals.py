"""What the verbs refuse, as exceptions: the negative codes of the scripts' replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class OrderExistsError(Exception):
    """The Order UUID belongs to another Order, or to a deleted one."""

    def __init__(self, *, deleted: bool) -> None:
        """Say which of the two."""
        super().__init__(deleted)
        self.deleted = deleted


class UnknownOrderError(Exception):
    """There is no such Order, OrderProposal or lease."""


class DeletedOrderError(UnknownOrderError):
    """There is no such Order any more: it was deleted."""


class TooManyLeasesError(Exception):
    """The Booking Partner may have no more leases; the argument is the seconds until it may."""


class TotalMismatchError(Exception):
    """The sum of the prices is another one: the argument, as a price is written."""


class ProposalDecidedError(Exception):
    """The OrderProposal has a status that rules the call out: the argument."""


class NoOrderItemsError(Exception):
    """There is nothing to book: neither OrderItems nor an OrderProposal."""


class UnknownOrderItemError(Exception):
    """The Order has no OrderItem that is called like the argument."""


class SellerLeftOutError(Exception):
    """The call names no Seller, and the only one that it could be is not registered."""


class UnknownPoolError(Exception):
    """A capacity pool is not registered; the argument is its `@id`."""


class BusyPoolError(Exception):
    """Too many Opportunities draw on a capacity pool; the argument is its `@id`."""


class OtherKindError(Exception):
    """What is registered as a pool cannot become an Opportunity, nor the other way round."""


def raise_refusal(reply: Sequence[Any]) -> None:
    """Raise what a negative code of `quote`, `propose` or `book` stands for."""
    match reply[0]:
        case code if code >= 0:
            return
        case -1:
            raise OrderExistsError(deleted=False)
        case -2:
            raise OrderExistsError(deleted=True)
        case -3:
            raise TooManyLeasesError(reply[1])
        case -4:
            raise TotalMismatchError(reply[1].decode())
        case -5:
            raise ProposalDecidedError("rejected")
        case _:
            raise NoOrderItemsError
