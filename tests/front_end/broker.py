"""A Booking Partner of the example front-end, for tests."""

from __future__ import annotations

import json
import uuid
from typing import Any, NamedTuple

from aiohttp import ClientSession

from tests.polling import eventually

API = "/api/openbooking"
SESSION = "ScheduledSession"
SLOT = "FacilityUseSlot"
INDIVIDUAL = "IndividualFacilityUseSlot"
CUSTOMER = {"@type": "Person", "email": "a@example.com"}
PAYMENT = {"@type": "Payment", "identifier": "p1"}
FEEDS = {
    SESSION: "scheduled-sessions",
    SLOT: "facility-use-slots",
    INDIVIDUAL: "individual-facility-use-slots",
}
_TEST_INTERFACE = "https://openactive.io/test-interface"


class Answer(NamedTuple):
    """What the front-end answered."""

    status: int
    body: Any
    text: str

    def errors(self) -> list[str | None]:
        """Return the type of the first error of each OrderItem."""
        return [item.get("error", [{}])[0].get("@type") for item in self.body["orderedItem"]]

    def remaining(self) -> list[int]:
        """Return what remains according to each OrderItem."""
        return [remaining_of(item["orderedItem"]) for item in self.body["orderedItem"]]


def remaining_of(opportunity: dict[str, Any]) -> int:
    """Return what remains of an Opportunity."""
    name = "remainingUses" if opportunity["@type"] == "Slot" else "remainingAttendeeCapacity"
    return int(opportunity[name])


class Broker:
    """Calls one front-end for one Seller."""

    def __init__(
        self, session: ClientSession, url: str, base_url: str, *, seller: str = "1"
    ) -> None:
        """Call the front-end at `url`, whose ids begin with `base_url`."""
        self._session = session
        self._url = url
        self.base_url = base_url
        self.seller = f"{base_url}/api/identifiers/sellers/{seller}"
        self.headers = {
            "X-OpenActive-Test-Client-Id": "booking-partner-1",
            "X-OpenActive-Test-Seller-Id": self.seller,
        }

    def of_seller(self, seller: str) -> Broker:
        """Return the same Booking Partner, selling for another."""
        return Broker(self._session, self._url, self.base_url, seller=seller)

    def of_partner(self, partner: str) -> Broker:
        """Return another Booking Partner, selling for the first Seller."""
        other = Broker(self._session, self._url, self.base_url)
        other.headers["X-OpenActive-Test-Client-Id"] = partner
        return other

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Make one call; a body in bytes is sent as it is."""
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with self._session.request(
            method, f"{self._url}{path}", headers=self.headers | headers, **content
        ) as response:
            text = await response.text()
            is_json = "json" in response.headers.get("Content-Type", "")
            return Answer(response.status, json.loads(text) if text and is_json else None, text)

    async def create(self, kind: str = SESSION, criterion: str = "", flow: str = "Simple") -> str:
        """Let the test interface publish an Opportunity, and return its id."""
        seller = {"@type": "Organization", "@id": self.seller}
        if kind == SESSION:
            what: dict[str, Any] = {
                "@type": kind,
                "superEvent": {"@type": "SessionSeries", "organizer": seller},
            }
        else:
            facility = kind.removesuffix("Slot")
            what = {"@type": "Slot", "facilityUse": {"@type": facility, "provider": seller}}
        what["test:testOpportunityCriteria"] = (
            f"{_TEST_INTERFACE}#TestOpportunityBookable{criterion}"
        )
        what["test:testOpenBookingFlow"] = f"{_TEST_INTERFACE}#OpenBooking{flow}Flow"
        path = f"{API}/test-interface/datasets/tests/opportunities"
        made = await self.call("POST", path, what)
        assert made.status == 200, made
        return str(made.body["@id"])

    async def act(self, action: str, order: Answer) -> None:
        """Let the test interface play the Seller."""
        thing = {"@type": order.body["@type"], "@id": order.body["@id"]}
        body = {"@type": f"test:{action}SimulateAction", "object": thing}
        assert (await self.call("POST", f"{API}/test-interface/actions", body)).status == 204

    def body(self, *ids: str, **more: object) -> dict[str, Any]:
        """Return a complete body for a call, one OrderItem for each id."""
        return {
            "@context": "https://openactive.io/",
            "@type": "OrderQuote",
            "brokerRole": "https://openactive.io/AgentBroker",
            "broker": {"@type": "Organization", "name": "MyFitnessApp"},
            "customer": CUSTOMER,
            "seller": self.seller,
            "orderedItem": [
                {
                    "@type": "OrderItem",
                    "position": position,
                    "orderedItem": id_,
                    "acceptedOffer": offer_of(id_),
                }
                for position, id_ in enumerate(ids)
            ],
            **more,
        }

    async def c1(self, order: str, *ids: str, **more: object) -> Answer:
        """Ask for a quote without a Customer."""
        body = self.body(*ids, **more)
        del body["customer"]
        return await self.call("PUT", f"{API}/order-quote-templates/{order}", body)

    async def c2(self, order: str, *ids: str, **more: object) -> Answer:
        """Ask for a quote for a Customer."""
        return await self.call("PUT", f"{API}/order-quotes/{order}", self.body(*ids, **more))

    async def b(self, order: str, *ids: str, **more: object) -> Answer:
        """Book, paying in advance."""
        body = self.body(*ids, **{"@type": "Order", "payment": PAYMENT, **more})
        return await self.call("PUT", f"{API}/orders/{order}", body)

    async def p(self, order: str, *ids: str, **more: object) -> Answer:
        """Propose, paying in advance."""
        body = self.body(*ids, **{"@type": "OrderProposal", "payment": PAYMENT, **more})
        return await self.call("PUT", f"{API}/order-proposals/{order}", body)

    async def feed(self, path: str) -> dict[str, dict[str, Any]]:
        """Read a feed to its end, and return its items by their id."""
        items: dict[str, dict[str, Any]] = {}
        while True:
            page = (await self.call("GET", path)).body
            for item in page["items"]:
                items[item["id"]] = item
            if not page["items"]:
                return items
            path = page["next"].removeprefix(self.base_url)

    async def published(self, id_: str) -> int | None:
        """Return what remains of an Opportunity according to the open feeds; None: it is gone."""
        for feed in FEEDS.values():
            for item in (await self.feed(f"/feeds/{feed}")).values():
                if item["state"] == "updated" and item["data"]["@id"] == id_:
                    return remaining_of(item["data"])
        return None

    async def sees(self, id_: str, remaining: int | None) -> None:
        """Wait until the open feeds say that so much remains."""

        async def is_so() -> bool:
            return await self.published(id_) == remaining

        await eventually(is_so)


def new_order() -> str:
    """Return a UUID for a new Order."""
    return str(uuid.uuid4())


def offer_of(opportunity: str) -> str:
    """Return the `@id` of an Opportunity's one Offer."""
    owner = opportunity if "/slots/" in opportunity else opportunity.partition("/events/")[0]
    return f"{owner}#/offers/0"
