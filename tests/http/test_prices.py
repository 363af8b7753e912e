from __future__ import annotations

import json

import pytest

from tests.http.front_end import (
    ITEM,
    OFFER,
    OTHER_ITEM,
    OTHER_SESSION,
    SESSION,
    UUIDS,
    FrontEnd,
    due,
)

ORDER, OTHER = UUIDS[:2]

LIES = {
    "orderedItem": {
        "@type": "ScheduledSession",
        "@id": SESSION,
        "maximumAttendeeCapacity": 1_000_000,
        "remainingAttendeeCapacity": 1_000_000,
        "offers": [{"@type": "Offer", "@id": OFFER, "price": 0}],
    },
    "acceptedOffer": {
        "@type": "Offer",
        "@id": OFFER,
        "price": -1e308,
        "priceCurrency": ["ZZZ"],
        "capacityPools": [],
    },
    "unitTaxSpecification": [{"price": "free"}],
}


async def test_a_leased_price_is_guaranteed(desk: FrontEnd) -> None:
    """The price of the first lease stays until B, whatever is registered meanwhile (rule 13)."""
    await desk.policy("TaxGross")
    await desk.sell(5, 10)
    assert (await desk.c1(ORDER, ITEM)).prices == [10]
    await desk.sell(5, 99)
    assert (await desk.c2(ORDER, ITEM)).prices == [10]
    assert (await desk.look(ORDER)).prices == [10]
    booked = await desk.book(ORDER, ITEM)
    assert (booked.status, booked.prices, booked.total) == (201, [10], 10)
    assert (await desk.look(ORDER, "orders")).prices == [10]


async def test_an_item_that_is_added_later_has_that_days_price(desk: FrontEnd) -> None:
    """Prices are guaranteed per OrderItem, the oldest guarantee first (rule 13)."""
    await desk.policy("TaxGross")
    await desk.sell(5, 10)
    await desk.c2(ORDER, ITEM)
    await desk.sell(5, 12)
    assert (await desk.c2(ORDER, ITEM, ITEM)).prices == [10, 12]
    await desk.sell(5, 14)
    added = await desk.c2(ORDER, ITEM, ITEM, ITEM)
    assert (added.prices, added.total) == ([10, 12, 14], 36)
    assert (await desk.c2(ORDER, ITEM)).prices == [10]


async def test_a_guarantee_ends_with_its_lease(desk: FrontEnd) -> None:
    """After a release the price is the one of the day (rule 13)."""
    await desk.sell(5, 10)
    await desk.c2(ORDER, ITEM)
    await desk.sell(5, 12)
    assert (await desk.call("DELETE", f"/order-quotes/{ORDER}")).headers["Lease-Released"] == "1"
    assert (await desk.c2(ORDER, ITEM)).prices == [12]


async def test_what_the_broker_says_of_prices_and_capacities_changes_nothing(
    desk: FrontEnd,
) -> None:
    """Absurd prices and capacities in C1, C2, P and B get the answers of a plain request."""
    await desk.policy("TaxGross")
    await desk.sell(1, 10)
    for ask in (desk.c1, desk.c2):
        honest, absurd = await ask(ORDER, ITEM), await ask(OTHER, LIES)
        assert (honest.status, honest.prices, honest.total) == (200, [10], 10)
        assert (absurd.status, absurd.prices) == (409, [10])
        assert absurd.errors == ["OpportunityCapacityIsReservedByLeaseError"]
    for book in (desk.propose, desk.book):
        assert (await book(OTHER, LIES)).error == (409, "OpportunityHasInsufficientCapacityError")
    booked = await desk.book(ORDER, LIES)
    assert (booked.status, booked.prices, booked.total) == (201, [10], 10)
    assert (await desk.look(ORDER, "orders")).prices == [10]
    [ledger] = (await desk.call("GET", "/opportunities", id=SESSION)).body
    assert (ledger["maximumAttendeeCapacity"], ledger["booked"], ledger["leased"]) == (1, 1, 0)


async def test_a_price_that_is_written_otherwise_is_the_same(desk: FrontEnd) -> None:
    """However a price is written, as a number or a string, it is one price (rule 18)."""
    await desk.sell(5, 10)
    for price in (10.0, "10", "10.000000000", "1e1"):
        offer = {"@id": OFFER, "price": price, "priceCurrency": "GBP"}
        entry = {"@type": "ScheduledSession", "@id": SESSION, "maximumAttendeeCapacity": 5}
        done = await desk.call("PUT", "/opportunities", [entry | {"offers": [offer]}])
        assert done.body["unchanged"] == 1


@pytest.mark.parametrize("price", ["+10", " 10 ", "1_0", "１０", "0x1", "NaN", "", -1])  # noqa: RUF001 - digits that Python reads
async def test_a_price_that_is_none_is_refused_by_its_place(desk: FrontEnd, price: object) -> None:
    """What is no decimal number of JSON costs its entry, and the place is named (rule 24)."""
    offers = [{"@id": OFFER, "price": price}]
    entry = {"@type": "ScheduledSession", "@id": SESSION, "maximumAttendeeCapacity": 5}
    done = await desk.call("PUT", "/opportunities", [entry | {"offers": offers}])
    [refused] = done.body["errors"]
    assert "`price`" in refused["error"]["description"]
    assert "$.offers[0]" in refused["error"]["description"]
    await desk.sell(5)
    answer = await desk.book(ORDER, ITEM, **due(price))
    assert answer.error == (400, "OpenBookingError")
    assert "`price`" in answer.body["description"]
    assert "$.totalPaymentDue" in answer.body["description"]


async def sell_in_two_currencies(desk: FrontEnd) -> None:
    """Sell one session in pounds and another in euros, gross."""
    await desk.policy("TaxGross")
    await desk.sell(5, 10, currency="GBP")
    await desk.sell(5, 12, id_=OTHER_SESSION, currency="EUR")


@pytest.mark.parametrize("is_swapped", [False, True])
async def test_an_order_has_one_currency(desk: FrontEnd, *, is_swapped: bool) -> None:
    """The price of the first position decides; in another, an OrderItem is refused (rule 18)."""
    await sell_in_two_currencies(desk)
    items = [{**ITEM, "position": 3}, {**OTHER_ITEM, "position": 1 if is_swapped else 8}]
    errors = [None, "UnacceptableOfferError"]
    prices, other = ([12, 10], "GBP") if is_swapped else ([10, 12], "EUR")
    for quote in (desk.c1, desk.c2):
        quoted = await quote(ORDER, *items)
        assert (quoted.status, quoted.errors, quoted.prices) == (409, errors, prices)
        assert quoted.total == prices[0]
        refused = quoted.body["orderedItem"][1]
        assert refused["acceptedOffer"]["priceCurrency"] == other
        assert refused["orderedItem"]["remainingAttendeeCapacity"] == 5
        assert "22" not in json.dumps(refused["error"], default=str)
    assert len((await desk.look(ORDER)).body["orderedItem"]) == 1
    for book in (desk.propose, desk.book):
        answer = await book(ORDER, *items, **due(22))
        assert answer.error == (409, "UnableToProcessOrderItemError")
        assert answer.errors == errors
    assert await desk.free() + await desk.free(OTHER_SESSION) == 9


async def test_a_price_that_changed_its_currency_is_another(desk: FrontEnd) -> None:
    """A guaranteed price keeps its currency, and what is added must have the same (rule 18)."""
    await sell_in_two_currencies(desk)
    await desk.c2(ORDER, ITEM)
    await desk.sell(5, 11, currency="EUR")
    quoted = await desk.c2(ORDER, ITEM, ITEM)
    assert quoted.errors == [None, "UnacceptableOfferError"]
    assert quoted.prices == [10, 11]
    assert (await desk.book(ORDER, ITEM, ITEM)).error == (409, "UnableToProcessOrderItemError")
    assert (await desk.book(ORDER, ITEM, **due(10, "GBP"))).total == 10


async def test_what_is_held_stays_held_beside_another_currency(desk: FrontEnd) -> None:
    """An OrderItem that is held is kept, though one before it is in another currency (rule 18)."""
    await sell_in_two_currencies(desk)
    held = await desk.c2(ORDER, ITEM)
    await desk.sell(5, 99)
    quoted = await desk.c2(ORDER, OTHER_ITEM, ITEM, ITEM)
    assert quoted.errors == [None, "UnacceptableOfferError", "UnacceptableOfferError"]
    assert quoted.prices == [12, 10, 99]
    assert await desk.free() == 4
    assert await desk.free(OTHER_SESSION) == 4
    refused = await desk.book(ORDER, OTHER_ITEM, ITEM)
    assert refused.error == (409, "UnableToProcessOrderItemError")
    booked = await desk.book(ORDER, ITEM)
    assert (booked.status, booked.prices, booked.total) == (201, held.prices, 10)
