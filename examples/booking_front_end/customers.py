"""A trickle of simulated Customers, so that something moves in the demo."""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import Any, Final

from aiohttp import ClientError, ClientSession

from examples.booking_front_end.authentication import PARTNER_HEADER, SELLER_HEADER
from examples.booking_front_end.catalogue import Catalogue, Opportunity
from examples.booking_front_end.listings import APPROVAL
from examples.booking_front_end.settings import Settings

_BETWEEN_CUSTOMERS_SECONDS: Final = 0.8
_THINKING_SECONDS: Final = (1.0, 8.0)
_MOST_SPACES: Final = 3
_ABANDONED: Final = 0.25
_GIVEN_BACK: Final = 0.15
_OK: Final = 200


async def trickle(settings: Settings, catalogue: Catalogue) -> None:
    """Let Customers come for ever: some book, some give up, some just fall silent."""
    on_sale = [each for each in await catalogue.on_sale() if not _is_proposed(each)]
    async with ClientSession() as session, asyncio.TaskGroup() as group:
        while True:
            chosen = random.choice(on_sale)  # noqa: S311 - nobody has to be unable to guess it
            group.create_task(_visit(session, settings, chosen))
            await asyncio.sleep(random.expovariate(1 / _BETWEEN_CUSTOMERS_SECONDS))


async def _visit(session: ClientSession, settings: Settings, chosen: Opportunity) -> None:
    order = uuid.uuid4()
    headers = {PARTNER_HEADER: "demo-broker", SELLER_HEADER: chosen.seller}
    body = _body(chosen)
    base = settings.api_url

    async def call(
        method: str, collection: str, body: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        url = f"{base}/{collection}/{order}"
        async with session.request(method, url, json=body, headers=headers) as response:
            said = await response.json(content_type=None) if response.status == _OK else {}
            return response.status, said

    try:
        status, _ = await call("PUT", "order-quote-templates", body)
        await _think()
        if status != _OK or random.random() < _ABANDONED:  # noqa: S311 - as above
            return
        body["customer"] = {"@type": "Person", "email": "customer@example.com"}
        status, quote = await call("PUT", "order-quotes", body)
        await _think()
        if status != _OK or random.random() < _GIVEN_BACK:  # noqa: S311 - as above
            await call("DELETE", "order-quotes")
            return
        due = body["totalPaymentDue"] = quote["totalPaymentDue"]
        body["@type"] = "Order"
        if due["price"]:
            body["payment"] = {"@type": "Payment", "identifier": str(order)}
        await call("PUT", "orders", body)
    except ClientError:
        # The demo is being stopped.
        return


def _body(chosen: Opportunity) -> dict[str, Any]:
    offer = next(iter(chosen.offers))
    spaces = random.randint(1, _MOST_SPACES)  # noqa: S311 - as above
    return {
        "@context": "https://openactive.io/",
        "@type": "OrderQuote",
        "brokerRole": "https://openactive.io/AgentBroker",
        "broker": {"@type": "Organization", "name": "Demo Broker"},
        "seller": chosen.seller,
        "orderedItem": [
            {
                "@type": "OrderItem",
                "position": position,
                "acceptedOffer": offer,
                "orderedItem": chosen.id,
            }
            for position in range(spaces)
        ],
    }


def _is_proposed(opportunity: Opportunity) -> bool:
    return any(
        APPROVAL in offer.get("openBookingFlowRequirement", ())
        for offer in opportunity.offers.values()
    )


async def _think() -> None:
    await asyncio.sleep(random.uniform(*_THINKING_SECONDS))  # noqa: S311 - as above
