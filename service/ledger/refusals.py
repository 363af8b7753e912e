"""What the store refuses, in the standard's words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Final

from service.errors import (
    GoneError,
    OpenBookingError,
    OpportunityHasInsufficientCapacityError,
    OrderAlreadyExistsError,
    OrderCreationFailedError,
    OrderItemNotWithinOrderError,
    TooManyRequestsError,
    TotalPaymentDueMismatchError,
    UnableToProcessOrderItemError,
    UnknownOrderError,
)
from service.ledger import answers
from service.ledger.basket import Basket
from service.ledger.replies import Booking
from service.ledger.script_refusals import (
    DeletedOrderError,
    NoOrderItemsError,
    OrderExistsError,
    ProposalDecidedError,
    SellerLeftOutError,
    TooManyLeasesError,
    TotalMismatchError,
    UnknownOrderItemError,
)
from service.ledger.script_refusals import UnknownOrderError as NoSuchOrderError
from service.money import normal
from service.redis.errors import NothingSentError, OutcomeUnknownError, UnusableServerError

_AWAY: Final = {
    NothingSentError: "Redis is out of reach, or refuses; nothing was changed. Repeat the call.",
    OutcomeUnknownError: "Redis did not answer in time. Repeat the call: the same call is safe.",
}
_RETRY_SECONDS: Final = 1

SELLER_LEFT_OUT: Final = (
    "$.seller: Sellers are registered here, but not `default`; name the Seller, in the body or"
    " as ?seller=."
)

_PLAIN: Final[Mapping[type[BaseException], tuple[type[OpenBookingError], str]]] = {
    DeletedOrderError: (GoneError, "The Order with this UUID was deleted."),
    NoSuchOrderError: (
        UnknownOrderError,
        "Nothing is known under this UUID for this Seller and Booking Partner.",
    ),
    NoOrderItemsError: (
        OpenBookingError,
        "$.orderedItem: there are no OrderItems, and no OrderProposal to book.",
    ),
    SellerLeftOutError: (OpenBookingError, SELLER_LEFT_OUT),
}
"""What the store refuses in the same words each time."""


class _Refusals:
    """Around a call of the store; a generator's context manager would cost every call more."""

    __slots__ = ("_away",)

    def __init__(self, away: type[OpenBookingError]) -> None:
        self._away = away

    def __enter__(self) -> None:
        """Let the store be asked."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise the standard's error for what the store raised."""
        if error is not None:
            _raise_refusal(error, self._away)


@cache
def refusals(away: type[OpenBookingError]) -> _Refusals:
    """Turn what the store raises in a `with` block into the standard's errors.

    Args:
        away: The error for Redis out of reach (contract, rule 25).

    """
    return _Refusals(away)


def _raise_refusal(error: BaseException, away: type[OpenBookingError]) -> None:
    if (plain := _PLAIN.get(type(error))) is not None:
        kind, message = plain
        raise kind(message) from error
    match error:
        case UnusableServerError():
            # It says no address, no more than the operator's log does.
            message = f"{error} Then repeat the call: the same call is safe."
            raise away(message, status=503, retry_after=_RETRY_SECONDS) from error
        case NothingSentError() | OutcomeUnknownError():
            message = _AWAY[type(error)]
            raise away(message, status=503, retry_after=_RETRY_SECONDS) from error
        case OrderExistsError():
            state = "was deleted" if error.deleted else "exists"
            raise OrderAlreadyExistsError(
                f"An Order or OrderProposal with this UUID {state}; use a new UUID."
            ) from error
        case TooManyLeasesError():
            seconds = int(error.args[0])
            message = f"The Booking Partner has too many leases; the first expires in {seconds} s."
            raise TooManyRequestsError(message, retry_after=max(1, seconds)) from error
        case TotalMismatchError():
            amount, _, currency = str(error).partition(" ")
            total = f"{normal(Decimal(amount))} {currency}".rstrip()
            raise TotalPaymentDueMismatchError(
                f"The prices make {total}; ask the Customer, then repeat with that."
            ) from error
        case ProposalDecidedError():
            raise OrderCreationFailedError(f"The OrderProposal was {error}.") from error
        case UnknownOrderItemError():
            raise OrderItemNotWithinOrderError(
                f"The Order has no OrderItem {error}; nothing was cancelled."
            ) from error


def booking_refusal(basket: Basket, said: Booking) -> OpenBookingError:
    """Return why B or P cannot have what it asks for, with every OrderItem and its error.

    Args:
        basket: What was asked for.
        said: The store's refusal.

    Returns:
        `OpportunityHasInsufficientCapacityError` where spaces are lacking for any OrderItem, else
        `UnableToProcessOrderItemError` (`docs/protocol.md`, rule 16).

    """
    items = answers.quoted_items(basket, said.availabilities)
    kind: type[OpenBookingError] = UnableToProcessOrderItemError
    message = "At least one OrderItem has an error; nothing was booked."
    if said.is_lacking:
        kind = OpportunityHasInsufficientCapacityError
        message = "Spaces are lacking for at least one OrderItem; nothing was booked."
    return kind(
        message,
        retry_after=answers.retry_after(said.now, said.availabilities),
        ordered_item=items,
    )
