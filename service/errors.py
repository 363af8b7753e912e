"""Every refusal that the service can give, as the Open Booking API names it.

The class is the error: its name is the `@type`, its docstring the `name` (title), `status` the
`statusCode` that the standard's Error Model fixes for it. An instance adds what happened this
time. The edge renders them in one place (`service/http/middleware.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class OpenBookingError(Exception):
    """The request could not be carried out."""

    status: ClassVar[int] = 400

    def __init__(
        self,
        description: str,
        *,
        status: int | None = None,
        retry_after: int | None = None,
        ordered_item: Sequence[object] | None = None,
    ) -> None:
        """Make an error for one occurrence.

        Args:
            description: What happened and what to do about it, for a person; no markup.
            status: The HTTP status, for the base class only (413, 503 …); else the class's own.
            retry_after: Whole seconds after which the call is worth repeating.
            ordered_item: The OrderItems with their own errors, where the whole Order is refused
                (contract, rule 16).

        """
        super().__init__(description)
        self.description = description
        self.status_code = self.status if status is None else status
        self.retry_after = retry_after
        self.ordered_item = ordered_item

    @classmethod
    def title(cls) -> str:
        """Return the standard's short text for this type: the first line of the docstring."""
        return (cls.__doc__ or "").partition("\n")[0]


class OpportunityHasInsufficientCapacityError(OpenBookingError):
    """There are not enough available spaces in the Opportunity."""

    status = 409


class OpportunityIsFullError(OpenBookingError):
    """There are no available spaces for the Opportunity."""

    status = 409


class OpportunityCapacityIsReservedByLeaseError(OpenBookingError):
    """The capacity required to book the Opportunity is reserved by another Customer's lease."""

    status = 409


class UnknownOpportunityError(OpenBookingError):
    """The `@id` of the `orderedItem` is not an Opportunity of this Seller."""

    status = 409


class UnknownOfferError(OpenBookingError):
    """The `@id` of the `acceptedOffer` is not an Offer of the Opportunity."""

    status = 409


class UnacceptableOfferError(OpenBookingError):
    """The `acceptedOffer` is not an Offer that is applicable to the Opportunity."""

    status = 409


class IncompleteOrderItemError(OpenBookingError):
    """The OrderItem has no `acceptedOffer` or no `orderedItem`."""

    status = 409


class UnableToProcessOrderItemError(OpenBookingError):
    """At least one OrderItem has an error; C2 with the same items says which."""

    status = 409


class OpportunityIsInConflictError(OpenBookingError):
    """The OrderItems cannot be booked together."""

    status = 409


class TotalPaymentDueMismatchError(OpenBookingError):
    """The `totalPaymentDue` is not the sum that the Booking System has."""

    status = 400


class PatchNotAllowedOnPropertyError(OpenBookingError):
    """The property may not be changed to the requested value."""

    status = 400


class OrderItemNotWithinOrderError(OpenBookingError):
    """The Order has no such OrderItem."""

    status = 500


class UnexpectedOrderTypeError(OpenBookingError):
    """The Order is not of the type that the endpoint takes."""

    status = 500


class OrderCreationFailedError(OpenBookingError):
    """The Order could not be created."""

    status = 500


class OrderAlreadyExistsError(OpenBookingError):
    """The Order UUID belongs to an Order that exists or was deleted."""

    status = 500


class UnknownOrderError(OpenBookingError):
    """There is no Order, OrderProposal or OrderQuote with this Order UUID."""

    status = 404


class GoneError(OpenBookingError):
    """The Order was deleted."""

    status = 410


class UnknownOrIncorrectEndpointError(OpenBookingError):
    """There is no endpoint at this path."""

    status = 404


class MethodNotAllowedError(OpenBookingError):
    """The endpoint does not know this HTTP verb."""

    status = 405


class NoAPITokenError(OpenBookingError):
    """The request carried no API token."""

    status = 403


class InvalidAPITokenError(OpenBookingError):
    """The API token is unknown."""

    status = 401


class InvalidAuthorizationDetailsError(OpenBookingError):
    """The API token does not allow this call."""

    status = 401


class TooManyRequestsError(OpenBookingError):
    """The Broker asks for too much at once."""

    status = 429


class TemporarilyUnableToProduceOrderQuoteError(OpenBookingError):
    """The OrderQuote cannot be produced for technical reasons."""

    status = 503


class TemporarilyUnableToCreateOrderError(OpenBookingError):
    """The Order cannot be created for technical reasons."""

    status = 503


class TemporarilyUnableToUpdateOrderError(OpenBookingError):
    """The Order cannot be updated for technical reasons."""

    status = 503


class TemporarilyUnableToDeleteOrderError(OpenBookingError):
    """The Order cannot be deleted for technical reasons."""

    status = 503


class InternalApplicationError(OpenBookingError):
    """The service failed in a way that it did not foresee."""

    status = 500
