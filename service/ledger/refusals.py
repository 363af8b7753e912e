"""What a script refuses, in the standard's words: the one table of reply codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from service.errors import (
    OpenBookingError,
    OrderAlreadyExistsError,
    OrderCreationFailedError,
    OrderItemNotWithinOrderError,
    PatchNotAllowedOnPropertyError,
    TooManyRequestsError,
    TotalPaymentDueMismatchError,
    UnknownOpportunityError,
    UnknownOrderError,
)

UNKNOWN: Final = -7


def _too_many_leases(seconds: int) -> OpenBookingError:
    message = f"The Booking Partner has too many leases; the first expires in {seconds} s."
    return TooManyRequestsError(message, retry_after=max(1, seconds))


_REFUSALS: Final[Mapping[int, Callable[..., OpenBookingError]]] = {
    -1: lambda: OrderAlreadyExistsError(
        "An Order or OrderProposal with this UUID exists; use a new UUID."
    ),
    -2: lambda: OrderAlreadyExistsError("An Order with this UUID was deleted; use a new UUID."),
    -3: _too_many_leases,
    -4: lambda total: TotalPaymentDueMismatchError(
        f"The prices make {Decimal(total).normalize():f}; ask the Customer, then repeat with that."
    ),
    -5: lambda: OrderCreationFailedError("The OrderProposal was rejected."),
    -6: lambda: OpenBookingError(
        "$.orderedItem: there are no OrderItems, and no OrderProposal to book."
    ),
    UNKNOWN: lambda: UnknownOrderError(
        "Nothing is known under this UUID for this Seller and Booking Partner."
    ),
    -8: lambda status: PatchNotAllowedOnPropertyError(
        f"$.orderProposalStatus: it is {status} for good."
    ),
    -9: lambda name: OrderItemNotWithinOrderError(
        f"The Order has no OrderItem {name}; nothing was cancelled."
    ),
    -10: lambda pool: UnknownOpportunityError(
        f"$.capacityPools: {pool} is no registered CapacityPool of this Seller; register it first."
    ),
    -11: lambda pool: OpenBookingError(
        f"$.capacityPools: too many Opportunities draw on {pool}; withdraw those that are over."
    ),
    -12: lambda id_: OpenBookingError(
        f"$.@type: {id_} is both a CapacityPool and an Opportunity; use two ids."
    ),
}


def refusal(code: int, *details: Any) -> OpenBookingError:  # noqa: ANN401 - words of a reply
    """Return the error of a reply.

    Args:
        code: The reply's first word, negative.
        details: The other words, as the header of the script says.

    """
    words = [each.decode() if isinstance(each, bytes) else each for each in details]
    return _REFUSALS[code](*words)
