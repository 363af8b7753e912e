"""The refusals that are the front-end's own: what the service neither knows nor decides."""

from __future__ import annotations

from service.errors import OpenBookingError


class IncompleteBrokerDetailsError(OpenBookingError):
    """The Broker has no name, or is there where the `brokerRole` says that there is none."""


class IncompleteCustomerDetailsError(OpenBookingError):
    """The Customer, or their email address, is missing."""


class MissingPaymentDetailsError(OpenBookingError):
    """There is something to be paid, and no `payment`."""


class IncompletePaymentDetailsError(OpenBookingError):
    """The `payment` has no `identifier`."""


class UnnecessaryPaymentDetailsError(OpenBookingError):
    """There is a `payment`, and nothing to be paid in advance."""


class CancellationNotPermittedError(OpenBookingError):
    """The Customer may not cancel this OrderItem, or not any more."""


class PatchContainsExcessivePropertiesError(OpenBookingError):
    """The PATCH has properties that it may not change."""


class OpportunityOfferPairNotBookableError(OpenBookingError):
    """The Opportunity cannot be booked with this Offer at this time."""

    status = 409


class SellerNotFoundError(OpenBookingError):
    """There is no such Seller."""

    status = 500


class SellerMismatchError(OpenBookingError):
    """An OrderItem is another Seller's."""

    status = 500


class OrderItemIdInvalidError(OpenBookingError):
    """The `@id` is not that of an OrderItem."""

    status = 500


class OrderProposalVersionOutdatedError(OpenBookingError):
    """The `orderProposalVersion` is not the one that the Seller accepted."""

    status = 500
