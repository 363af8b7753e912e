from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.http.front_end import ITEM, OFFER, SESSION, UUIDS, FrontEnd

ORDER, OTHER = UUIDS[:2]
OTHER_SESSION = "https://example.com/events/452/subEvents/133"
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


@pytest.mark.parametrize(
    ("prices", "total"),
    [
        ((0.1, 0.2), Decimal("0.3")),
        ((0.01,) * 10, Decimal("0.1")),
        ((999_999_999.999999, 0.000001), Decimal(1_000_000_000)),
        ((999_999_999.999999,) * 3, Decimal("2999999999.999997")),
        ((0, 0), Decimal(0)),
    ],
)
async def test_the_total_is_exact(
    desk: FrontEnd, prices: tuple[float, ...], total: Decimal
) -> None:
    """`totalPaymentDue` is a decimal sum, never one of binary floats."""
    items = []
    for number, price in enumerate(prices):
        await desk.sell(1, price, id_=f"{SESSION}/{number}")
        items.append({"orderedItem": f"{SESSION}/{number}", "acceptedOffer": OFFER})
    quoted = await desk.c2(ORDER, *items)
    assert quoted.total == total
    assert quoted.body["totalPaymentDue"]["priceCurrency"] == "GBP"
    assert (await desk.book(ORDER, *items)).total == total


@pytest.mark.parametrize("second", [(10, "EUR"), (None, "GBP")])
async def test_no_total_where_it_would_not_be_one(desk: FrontEnd, second: tuple[Any, str]) -> None:
    """Mixed currencies, or a price that is not known, give no `totalPaymentDue`."""
    await desk.sell(5, 10)
    await desk.sell(5, second[0], id_=OTHER_SESSION, currency=second[1])
    mixed = (ITEM, {**ITEM, "orderedItem": OTHER_SESSION})
    for answer in (
        await desk.c1(ORDER, *mixed),
        await desk.look(ORDER),
        await desk.propose(ORDER, *mixed),
        await desk.book(ORDER, *mixed),
    ):
        assert answer.status in {200, 201}
        assert answer.total is None


async def test_the_total_is_of_what_can_be_had(desk: FrontEnd) -> None:
    """`totalPaymentDue` sums the OrderItems without error: none of them, 0."""
    await desk.sell(1, 10)
    quoted = await desk.c2(ORDER, ITEM, ITEM)
    assert (quoted.status, quoted.total) == (409, 10)
    await desk.book(OTHER, ITEM)
    quoted = await desk.c2(ORDER, ITEM, ITEM)
    assert (quoted.errors, quoted.total) == (["OpportunityIsFullError"] * 2, 0)


def due(price: object) -> dict[str, object]:
    """Return what the Broker expects to pay."""
    return {"totalPaymentDue": {"@type": "PriceSpecification", "price": price}}


@pytest.mark.parametrize("verb", ["propose", "book"])
async def test_another_total_is_refused(desk: FrontEnd, verb: str) -> None:
    """Gross, guaranteed prices make another sum: 400, and the lease is sustained (rule 18)."""
    await desk.policy("TaxGross")
    await desk.sell(5, 10.10)
    leased = await desk.c2(ORDER, ITEM, ITEM)
    await desk.sell(5, 99)
    call = getattr(desk, verb)
    for wrong in (20, 20.200001, 198, 0):
        refused = await call(ORDER, ITEM, ITEM, **due(wrong))
        assert refused.error == (400, "TotalPaymentDueMismatchError")
        assert "20.2" in refused.body["description"]
    assert (await desk.look(ORDER)).expires == leased.expires
    assert (await call(ORDER, ITEM, ITEM, **due(20.20))).status == 201


async def test_the_total_of_a_proposal_is_checked_when_it_is_booked(desk: FrontEnd) -> None:
    """B without OrderItems knows the guaranteed prices of the proposal (rules 18 and 19)."""
    await desk.policy("TaxGross")
    await desk.sell(5, 10)
    await desk.propose(ORDER, ITEM)
    path = f"/orders/{ORDER}"
    refused = await desk.call("PUT", path, due(9))
    assert refused.error == (400, "TotalPaymentDueMismatchError")
    assert (await desk.call("PUT", path, due(10))).status == 201


async def test_a_total_counts_only_for_gross_prices(desk: FrontEnd) -> None:
    """Where the policy says `TaxNet`, or there is none, the sum is not compared (rule 18)."""
    await desk.sell(5, 10)
    await desk.c2(ORDER, ITEM)
    assert (await desk.book(ORDER, ITEM, **due(7))).status == 201
    await desk.policy("TaxNet")
    await desk.c2(OTHER, ITEM)
    assert (await desk.book(OTHER, ITEM, **due(7))).status == 201


async def test_a_total_counts_only_where_all_prices_are_guaranteed(desk: FrontEnd) -> None:
    """Without a lease, or with an item beyond it, the sum is not compared (rule 18)."""
    await desk.policy("TaxGross")
    await desk.sell(5, 10)
    assert (await desk.book(ORDER, ITEM, **due(7))).status == 201
    await desk.c2(OTHER, ITEM)
    assert (await desk.book(OTHER, ITEM, ITEM, **due(7))).status == 201
    await desk.sell(5, None, id_=OTHER_SESSION)
    unpriced = {**ITEM, "orderedItem": OTHER_SESSION}
    await desk.c2(UUIDS[2], unpriced)
    assert (await desk.book(UUIDS[2], unpriced, **due(7))).status == 201


@pytest.mark.parametrize("verb", ["propose", "book"])
@pytest.mark.parametrize("free", [-0.0, "-0", 0, "0.00"])
async def test_nothing_is_nothing_whatever_its_sign(
    desk: FrontEnd, free: object, verb: str
) -> None:
    """A price and a total of `-0.0` are 0, which is answered as 0 (rule 18)."""
    await desk.policy("TaxGross")
    await desk.sell(5, free)
    for uuid, total in zip(UUIDS, (-0.0, "-0", 0), strict=False):
        done = await getattr(desk, verb)(uuid, ITEM, **due(total))
        assert (done.status, done.prices, done.total) == (201, [0], 0)


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


@pytest.mark.parametrize("price", [-1, 1e13, 0.0000001, "ten", "NaN"])
async def test_a_total_that_is_no_money_is_refused(desk: FrontEnd, price: object) -> None:
    """A `totalPaymentDue` that is no amount of money gives a 400 by its place (rule 24)."""
    await desk.sell(1)
    refused = await desk.book(ORDER, ITEM, **due(price))
    assert refused.error == (400, "OpenBookingError")
    assert "$.totalPaymentDue" in refused.body["description"]
