"""How one call leads to the next, as links of the OpenAPI document: what comes after C1, C2, P, B.

People see the exchange in them, and tools that play the document follow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_SAME: Final = "$request.body"
_C1: Final = ("PUT", "/order-quote-templates/{uuid}")
_C2: Final = ("PUT", "/order-quotes/{uuid}")
_P: Final = ("PUT", "/order-proposals/{uuid}")
_B: Final = ("PUT", "/orders/{uuid}")
_POLICY: Final = ("PUT", "/sellers")


class Link(NamedTuple):
    """A call that another one leads to.

    Attributes:
        name: What it is for.
        method: Its verb.
        path: Its path.
        body: Its body; None: it has none.

    """

    name: str
    method: str
    path: str
    body: object = None


_LOOK_AND_RELEASE: Final = (
    Link("look", "GET", "/order-quotes/{uuid}"),
    Link("release", "DELETE", "/order-quotes/{uuid}"),
)
_CANCELLED: Final = {
    "orderedItem": [
        {"position": 0, "orderItemStatus": "https://openactive.io/CustomerCancelled"},
    ]
}

AFTER: Final[Mapping[tuple[str, str], tuple[Link, ...]]] = {
    _C1: (Link("C2", *_C2, _SAME), *_LOOK_AND_RELEASE),
    _C2: (
        Link("P", *_P, _SAME),
        Link("B", *_B, _SAME),
        Link("payment", "PUT", "/order-quotes/{uuid}/payment-window", {"duration": "PT2M"}),
        *_LOOK_AND_RELEASE,
    ),
    _P: (
        Link(
            "decide",
            "PATCH",
            "/order-proposals/{uuid}",
            {"orderProposalStatus": "https://openactive.io/SellerAccepted"},
        ),
        Link("B", *_B, {}),
        Link("look", "GET", "/order-proposals/{uuid}"),
    ),
    _B: (
        Link("again", *_B, _SAME),
        Link("cancel", "PATCH", "/orders/{uuid}", _CANCELLED),
        Link("look", "GET", "/orders/{uuid}"),
        Link("delete", "DELETE", "/orders/{uuid}"),
    ),
    _POLICY: (Link("look", "GET", "/sellers"),),
}
"""What each call leads to when it did what it was for."""


def link(of: Link, operation_id: str, path: str) -> dict[str, Any]:
    """Return a link as the document has it: to the same Order, or Seller.

    Args:
        of: Where it leads.
        operation_id: The id of that call.
        path: The path of the call that it is for.

    """
    parameters = {"query.seller": "$response.body#/@id"}
    if "{uuid}" in path:
        parameters = {
            "path.uuid": "$request.path.uuid",
            "query.seller": "$response.body#/seller",
            "header.Booking-Partner": "$request.header.Booking-Partner",
        }
    found: dict[str, Any] = {"operationId": operation_id, "parameters": parameters}
    if of.body is not None:
        found["requestBody"] = of.body
    return found
