"""Reads what a Broker orders, checks it in the standard's order, and drafts the answer."""

from __future__ import annotations

from typing import Any, NamedTuple

from aiohttp import web

from examples.booking_front_end import pricing
from examples.booking_front_end.answers import CONTEXT
from examples.booking_front_end.authentication import authorise, order_of
from examples.booking_front_end.basket import Line, lines_of, order_item
from examples.booking_front_end.bodies import OrderBody
from examples.booking_front_end.errors import SellerNotFoundError
from examples.booking_front_end.keys import CATALOGUE, SELLERS, SETTINGS
from examples.booking_front_end.sellers import BOOKING_SERVICE, Seller
from service.client import OrderName
from service.model import identity


class Draft(NamedTuple):
    """What a Broker ordered, checked, and not yet leased or booked."""

    order: OrderName
    seller: Seller
    body: OrderBody
    lines: list[Line]

    @property
    def sound(self) -> list[Line]:
        """The OrderItems without an error."""
        return [line for line in self.lines if line.error is None]

    @property
    def is_refused(self) -> bool:
        """Whether any OrderItem has an error."""
        return len(self.sound) < len(self.lines)

    def answer(self, kind: str, path: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the OrderQuote, OrderProposal or Order with these OrderItems."""
        return {
            "@context": CONTEXT,
            "@type": kind,
            "@id": f"{path}/{self.order.uuid}",
            "identifier": self.order.uuid,
            **self.body.parties(),
            "seller": self.seller,
            "bookingService": BOOKING_SERVICE,
            # No property is empty (Open Booking API, «Model»).
            **({"orderedItem": items} if items else {}),
            **pricing.totals(
                (item for item in items if "error" not in item), self.seller["taxMode"]
            ),
        }

    def items(self) -> list[dict[str, Any]]:
        """Return the OrderItems as the Broker reads them."""
        return [order_item(line, self.seller) for line in self.lines]


async def draft(request: web.Request, body: OrderBody, *, customer: bool) -> Draft:
    """Return what a Broker ordered.

    Args:
        request: The call.
        body: Its body.
        customer: Whether this step needs to know the Customer.

    Raises:
        SellerNotFoundError: There is no such Seller.
        InvalidAuthorizationDetailsError: The caller may not sell for it.
        IncompleteBrokerDetailsError: As its name says.
        IncompleteCustomerDetailsError: As its name says.
        SellerMismatchError: An OrderItem is another Seller's.

    """
    order = order_of(request)
    seller = request.app[SELLERS].get(body.seller_id)
    if seller is None:
        raise SellerNotFoundError(f"There is no Seller {body.seller_id}.")
    authorise(order, body.seller_id)
    body.check_parties(customer=customer)
    asked = body.ordered_item or []
    found = await request.app[CATALOGUE].find([identity(item.ordered_item) for item in asked])
    return Draft(order, seller, body, lines_of(asked, found, order.seller))


def path_of(request: web.Request, collection: str) -> str:
    """Return the address of a collection of the API."""
    return f"{request.app[SETTINGS].api_url}/{collection}"
