"""What the store refuses, in the standard's words."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final

from service.errors import (
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
from service.store import (
    NoOrderItemsError,
    NothingSentError,
    OrderExistsError,
    OutcomeUnknownError,
    ProposalDecidedError,
    TooManyLeasesError,
    TotalMismatchError,
    UnknownOrderItemError,
)
from service.store import UnknownOrderError as NoSuchOrderError
from service.store.replies import Booking

_RETRY_SECONDS: Final = 1


@contextmanager
def refusals(away: type[OpenBookingError]) -> Generator[None]:
    """Turn what the store raises into the standard's errors.

    Args:
        away: The error for Redis out of reach (contract, rule 25).

    """
    try:
        yield
    except NothingSentError as error:
        message = "Redis is out of reach; nothing was changed. Repeat the call."
        raise away(message, status=503, retry_after=_RETRY_SECONDS) from error
    except OutcomeUnknownError as error:
        message = "Redis did not answer in time. Repeat the call: the same call is safe."
        raise away(message, status=503, retry_after=_RETRY_SECONDS) from error
    except OrderExistsError as error:
        state = "was deleted" if error.deleted else "exists"
        message = f"An Order or OrderProposal with this UUID {state}; use a new UUID."
        raise OrderAlreadyExistsError(message) from error
    except NoSuchOrderError as error:
        message = "Nothing is known under this UUID for this Seller and Booking Partner."
        raise UnknownOrderError(message) from error
    except TooManyLeasesError as error:
        seconds = int(error.args[0])
        message = f"The Booking Partner has too many leases; the first expires in {seconds} s."
        raise TooManyRequestsError(message, retry_after=max(1, seconds)) from error
    except TotalMismatchError as error:
        total = f"{Decimal(str(error)).normalize():f}"
        message = f"The guaranteed prices make {total}; ask the Customer, then repeat with that."
        raise TotalPaymentDueMismatchError(message) from error
    except ProposalDecidedError as error:
        raise OrderCreationFailedError(f"The OrderProposal was {error}.") from error
    except NoOrderItemsError as error:
        message = "$.orderedItem: there are no OrderItems, and no OrderProposal to book."
        raise OpenBookingError(message) from error
    except UnknownOrderItemError as error:
        message = f"The Order has no OrderItem {error}; nothing was cancelled."
        raise OrderItemNotWithinOrderError(message) from error


def booking_refusal(basket: Basket, said: Booking) -> OpenBookingError:
    """Return why B or P cannot have what it asks for, with every OrderItem and its error.

    Args:
        basket: What was asked for.
        said: The store's refusal.

    Returns:
        `OpportunityHasInsufficientCapacityError` where no space at all remains for an OrderItem,
        else `UnableToProcessOrderItemError` (contract, rule 16).

    """
    items = answers.quoted_items(basket, said.availabilities)
    kind: type[OpenBookingError] = UnableToProcessOrderItemError
    message = "At least one OrderItem has an error; nothing was booked."
    if any(
        availability and availability.shortages and availability.remaining == 0
        for availability in said.availabilities
    ):
        kind = OpportunityHasInsufficientCapacityError
        message = "No space remains for at least one OrderItem; nothing was booked."
    return kind(
        message,
        retry_after=answers.retry_after(said.now, said.availabilities),
        ordered_item=items,
    )
