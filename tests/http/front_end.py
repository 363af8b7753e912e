"""A booking front-end for tests: it registers, sets policies, and forwards what a Broker sends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tests.http.served import Client

EXAMPLES = Path(__file__).parents[1] / "data" / "open-booking-examples"
OPENACTIVE = "https://openactive.io/"
SELLER = "https://example.com/api/organisations/123"
SESSION = "https://example.com/events/452/subEvents/132"
OFFER = "https://example.com/events/452#/offers/878"
UUIDS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(10)]
PUBLISHED_UUID = "e11429ea-467f-4270-ab62-e47368996fe8"

ITEM: Mapping[str, Any] = {"orderedItem": SESSION, "acceptedOffer": OFFER}
OTHER_SESSION = "https://example.com/events/452/subEvents/133"
OTHER_ITEM: Mapping[str, Any] = {**ITEM, "orderedItem": OTHER_SESSION}


class Answer(NamedTuple):
    """What came back; its decimal numbers are exact."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def error(self) -> tuple[int, str]:
        """The status and the type of an OpenBookingError."""
        return self.status, self.body["@type"]

    @property
    def errors(self) -> list[str | None]:
        """The type of each OrderItem's error."""
        items = self.body["orderedItem"]
        return [item["error"][0]["@type"] if "error" in item else None for item in items]

    @property
    def prices(self) -> list[Any]:
        """The price of each OrderItem."""
        return [item["acceptedOffer"].get("price") for item in self.body["orderedItem"]]

    @property
    def total(self) -> Any:
        """The price of `totalPaymentDue`, None where there is none."""
        return self.body["totalPaymentDue"]["price"] if "totalPaymentDue" in self.body else None

    @property
    def expires(self) -> datetime:
        """When the lease does."""
        return datetime.fromisoformat(self.body["lease"]["leaseExpires"])


class FrontEnd:
    """Calls the API about one Seller."""

    def __init__(self, client: Client) -> None:
        """Call the API of `client`."""
        self._client = client

    async def call(
        self, method: str, path: str, body: object = None, *, partner: str = "acme", **query: str
    ) -> Answer:
        """Send a request; the Seller is in the query."""
        response = await self._client.request(
            method,
            path,
            params={"seller": SELLER, **query},
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": "application/json", "Booking-Partner": partner},
        )
        text = await response.text()
        body = json.loads(text, parse_float=Decimal) if text else None
        return Answer(response.status, body, response.headers)

    async def published(self, name: str) -> Answer:
        """Send a request that the standard publishes, unchanged."""
        example = json.loads((EXAMPLES / f"{name}.json").read_text())
        path = example["path"].removeprefix("/api")
        return await self.call(example["verb"], path, example["body"])

    async def register(self, *entries: Mapping[str, Any]) -> None:
        """Register Opportunities and pools."""
        done = await self.call("PUT", "/opportunities", entries)
        assert done.body["failed"] == 0, done.body

    async def sell(
        self,
        capacity: int,
        price: object = 10,
        *,
        id_: str = SESSION,
        currency: str = "GBP",
        **more: object,
    ) -> None:
        """Register a session with one Offer, or change it."""
        offer = {"@id": OFFER, "price": price, "priceCurrency": currency or None}
        await self.register(
            {
                "@type": "ScheduledSession",
                "@id": id_,
                "maximumAttendeeCapacity": capacity,
                "offers": [offer if price is not None else {"@id": OFFER}],
                **more,
            }
        )

    async def free(self, id_: str = SESSION) -> int:
        """Return how many spaces nobody holds."""
        [found] = (await self.call("GET", "/opportunities", id=id_)).body
        return int(found["remainingAttendeeCapacity"])

    async def policy(self, tax_mode: str = "TaxNet", **leasing: object) -> Answer:
        """Replace the Seller's policy."""
        policy = {"taxMode": OPENACTIVE + tax_mode, "leasing": leasing}
        answer = await self.call("PUT", "/sellers", policy)
        assert answer.status == 200, answer.body
        return answer

    async def c1(self, uuid: str, *items: object, partner: str = "acme") -> Answer:
        """Quote anonymously."""
        path = f"/order-quote-templates/{uuid}"
        return await self.call("PUT", path, {"orderedItem": items}, partner=partner)

    async def c2(self, uuid: str, *items: object) -> Answer:
        """Quote for a Customer."""
        return await self.call("PUT", f"/order-quotes/{uuid}", {"orderedItem": items})

    async def look(self, uuid: str, kind: str = "order-quotes") -> Answer:
        """Look at a quote, a proposal or an Order."""
        return await self.call("GET", f"/{kind}/{uuid}")

    async def propose(self, uuid: str, *items: object, **more: object) -> Answer:
        """Propose."""
        return await self.call("PUT", f"/order-proposals/{uuid}", {"orderedItem": items, **more})

    async def decide(self, uuid: str, status: str) -> Answer:
        """Accept or reject a proposal."""
        body = {"orderProposalStatus": OPENACTIVE + status}
        return await self.call("PATCH", f"/order-proposals/{uuid}", body)

    async def book(self, uuid: str, *items: object, **more: object) -> Answer:
        """Book."""
        return await self.call("PUT", f"/orders/{uuid}", {"orderedItem": items, **more})

    async def book_proposal(self, uuid: str) -> Answer:
        """Book what was proposed."""
        return await self.call("PUT", f"/orders/{uuid}", {"@type": "Order"})

    async def cancel(self, uuid: str, *named: Mapping[str, object]) -> Answer:
        """Cancel OrderItems for the Customer."""
        status = {"orderItemStatus": f"{OPENACTIVE}CustomerCancelled"}
        body = {"orderedItem": [status | {**name} for name in named]}
        return await self.call("PATCH", f"/orders/{uuid}", body)


def due(price: object, currency: str | None = None) -> dict[str, object]:
    """Return what the Broker expects to pay."""
    total = {"@type": "PriceSpecification", "price": price, "priceCurrency": currency}
    return {"totalPaymentDue": total}
