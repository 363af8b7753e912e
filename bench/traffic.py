"""What a front-end sends, as text with marks where each request differs from the next."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from service.ledger.keys import digest

EXAMPLES: Final = Path(__file__).parents[1] / "tests" / "data" / "open-booking-examples"

# Ids of 80 characters: a front-end's are about that long.
SELLER: Final = "https://example.com/api/organisations/".ljust(80, "1")
_OPPORTUNITY: Final = "https://example.com/api/scheduled-sessions/".ljust(73, "4")
_OFFER: Final = "https://example.com/api/scheduled-sessions/offers/".ljust(73, "8")
OPPORTUNITIES_AT_MOST: Final = 10_000_000
PARTNER: Final = "a-broker"

CAPACITY: Final = 10**8
PRICE: Final = "10 GBP"

MARK: Final = re.compile(r"@(uuid|order|ref|number|hex(\d+))@")
"""A place in a text: the Order's UUID, how Redis keys name the Order and the Opportunity, the
seven digits at the end of its ids, or so many characters that nobody else sends."""

# Two to the power of 32 over the golden ratio: neighbours end up far apart. Of the customer only
# so many bits count that Lua's numbers are exact.
_SCATTER: Final = 2_654_435_761


def uuid(customer: int) -> str:
    """Return a customer's Order UUID: always the same, and in no order (as in wrk.lua)."""
    return _uuid(customer).decode()


def _uuid(customer: int) -> bytes:
    return b"%08x-%04x-4000-8000-%012x" % (_scattered(customer), customer % 65_536, customer)


def order(customer: int) -> str:
    """Return how Redis keys name a customer's Order."""
    return digest(SELLER, PARTNER, uuid(customer))


def choice(customer: int, opportunities: int) -> int:
    """Return which of so many Opportunities a customer wants (as in wrk.lua)."""
    return _scattered(customer) % opportunities


def _scattered(customer: int) -> int:
    return customer % 2**21 * _SCATTER % 2**32


def opportunity(number: int | str) -> str:
    """Return the id of an Opportunity; a mark may stand for its number."""
    return _OPPORTUNITY + _seven(number)


def offer(number: int | str) -> str:
    """Return the id of its Offer."""
    return _OFFER + _seven(number)


def ref(number: int) -> str:
    """Return how Redis keys name an Opportunity."""
    return digest(SELLER, opportunity(number))


def _seven(number: int | str) -> str:
    return number if isinstance(number, str) else f"{number:07}"


class Template:
    """A text with marks, to be filled for a customer and an Opportunity: always equally long."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._format = MARK.sub("%b", text.replace("%", "%%")).encode()
        self._fillings = [_filling(mark) for mark in MARK.finditer(text)]

    def fill(self, customer: int = 0, opportunity: int = 0) -> bytes:
        """Return the text for one of them."""
        return self._format % tuple([fill(customer, opportunity) for fill in self._fillings])

    def __len__(self) -> int:
        """Return how many bytes it has once filled."""
        return len(self.fill())


def _filling(mark: re.Match[str]) -> Callable[[int, int], bytes]:
    width = int(mark[2] or 0)
    fillings: dict[str, Callable[[int, int], bytes]] = {
        "uuid": lambda customer, _: _uuid(customer),
        "order": lambda customer, _: order(customer).encode(),
        "ref": lambda _, opportunity: ref(opportunity).encode(),
        "number": lambda _, opportunity: b"%07d" % opportunity,
    }
    return fillings.get(mark[1], lambda customer, _: b"%0*x" % (width, customer))


def http_request(method: str, path: str, body: str = "", **headers: str) -> Template:
    """Return a request as a front-end sends it, ready for a connection that stays open."""
    length = {"Content-Length": str(len(Template(body)))} if body else {}
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in (headers | length).items()]
    return Template("\r\n".join([*lines, "", body]))


def c1(*, items: int = 1, opportunities: Sequence[int | str] = ("@number@",)) -> Template:
    """Return C1 for so many spaces, of these Opportunities by turns."""
    return _order("c1", "/order-quote-templates/@uuid@", items, opportunities)


def c2() -> Template:
    """Return C2 for a space."""
    return _order("c2", "/order-quotes/@uuid@", 1, ("@number@",))


def b() -> Template:
    """Return B for a space."""
    return _order("b", "/orders/@uuid@", 1, ("@number@",))


def release() -> Template:
    """Return the release of what an Order holds."""
    return http_request("DELETE", f"/order-quotes/@uuid@?seller={SELLER}", Booking_Partner=PARTNER)


def delete() -> Template:
    """Return the deletion of an Order."""
    return http_request("DELETE", f"/orders/@uuid@?seller={SELLER}", Booking_Partner=PARTNER)


def _order(example: str, path: str, items: int, opportunities: Sequence[int | str]) -> Template:
    """Return a published example request, about these Opportunities."""
    published = json.loads((EXAMPLES / f"{example}-request.json").read_text("utf-8"))
    body: dict[str, Any] = published["body"]
    body["seller"]["@id"] = SELLER
    body["orderedItem"] = [
        {
            "@type": "OrderItem",
            "position": position,
            "acceptedOffer": {"@type": "Offer", "@id": offer(number)},
            "orderedItem": {"@type": "ScheduledSession", "@id": opportunity(number)},
        }
        for position, number in zip(range(items), [*opportunities] * items, strict=False)
    ]
    text = json.dumps(body, separators=(",", ":"))
    return http_request(
        "PUT", path, text, Content_Type=published["mediaType"], Booking_Partner=PARTNER
    )


def registration(number: int) -> dict[str, Any]:
    """Return the entry that registers an Opportunity with room for everyone and one Offer."""
    price, currency = PRICE.split()
    return {
        "@type": "ScheduledSession",
        "@id": opportunity(number),
        "seller": SELLER,
        "maximumAttendeeCapacity": CAPACITY,
        "offers": [
            {
                "@type": "Offer",
                "@id": offer(number),
                "price": int(price),
                "priceCurrency": currency,
            }
        ],
    }
