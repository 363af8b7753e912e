from __future__ import annotations

from decimal import Decimal

import pytest

from tests.http.front_end import (
    ITEM,
    OFFER,
    OTHER_ITEM,
    OTHER_SESSION,
    SESSION,
    UUIDS,
    Answer,
    FrontEnd,
    due,
)

ORDER, OTHER = UUIDS[:2]


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
    """`totalPaymentDue` is a decimal sum, never one of binary floats (rule 18)."""
    await desk.policy("TaxGross")
    items = []
    for number, price in enumerate(prices):
        await desk.sell(1, price, id_=f"{SESSION}/{number}")
        items.append({"orderedItem": f"{SESSION}/{number}", "acceptedOffer": OFFER})
    quoted = await desk.c2(ORDER, *items)
    assert quoted.total == total
    assert quoted.body["totalPaymentDue"]["priceCurrency"] == "GBP"
    assert (await desk.book(ORDER, *items)).total == total


async def every_answer(desk: FrontEnd, *items: object) -> list[Answer]:
    """Return what each call answers that says what is to be paid, in the order of a booking."""
    return [
        await desk.c1(ORDER, *items),
        await desk.c2(ORDER, *items),
        await desk.look(ORDER),
        await desk.propose(ORDER, *items),
        await desk.look(ORDER, "order-proposals"),
        await desk.propose(ORDER, *items),
        await desk.book_proposal(ORDER),
        await desk.look(ORDER, "orders"),
        await desk.book_proposal(ORDER),
        await desk.book(ORDER, *items),
    ]


async def test_no_total_where_a_price_is_not_known(desk: FrontEnd) -> None:
    """A price that is not known gives no `totalPaymentDue` (rule 18)."""
    await desk.policy("TaxGross")
    await desk.sell(5, 10)
    await desk.sell(5, None, id_=OTHER_SESSION)
    for answer in await every_answer(desk, ITEM, OTHER_ITEM):
        assert answer.status in {200, 201}
        assert answer.total is None


@pytest.mark.parametrize(("tax_mode", "total"), [("TaxGross", 20), ("TaxNet", None), ("", None)])
async def test_a_total_is_answered_only_where_prices_are_gross(
    desk: FrontEnd, tax_mode: str, total: int | None
) -> None:
    """The standard's total is gross: with another `taxMode`, or none, it is left out (rule 18)."""
    if tax_mode:
        await desk.policy(tax_mode)
    await desk.sell(5, 10)
    for answer in await every_answer(desk, ITEM, ITEM):
        assert answer.status in {200, 201}
        assert answer.total == total
        assert answer.prices == [10, 10]


@pytest.mark.parametrize("tax_modes", [("TaxGross", "TaxNet"), ("TaxNet", "TaxGross")])
async def test_a_repeated_answer_is_that_of_the_policy_of_its_day(
    desk: FrontEnd, tax_modes: tuple[str, str]
) -> None:
    """Another `taxMode` changes nothing of what was proposed or booked before (rule 17)."""
    await desk.policy(tax_modes[0])
    await desk.sell(5, 10)
    proposed = await desk.propose(ORDER, ITEM)
    booked = await desk.book(OTHER, ITEM)
    await desk.policy(tax_modes[1])
    assert (await desk.propose(ORDER, ITEM)).body == proposed.body
    assert (await desk.look(ORDER, "order-proposals")).body == proposed.body
    assert (await desk.book(OTHER, ITEM)).body == booked.body
    assert (await desk.look(OTHER, "orders")).total == booked.total
    # What the proposal becomes is of today.
    assert ((await desk.book_proposal(ORDER)).total is None) is (booked.total is not None)


async def test_the_total_is_of_what_can_be_had(desk: FrontEnd) -> None:
    """`totalPaymentDue` sums the OrderItems without error: none of them, 0 (rule 18)."""
    await desk.policy("TaxGross")
    await desk.sell(1, 10)
    quoted = await desk.c2(ORDER, ITEM, ITEM)
    assert (quoted.status, quoted.total) == (409, 10)
    await desk.book(OTHER, ITEM)
    quoted = await desk.c2(ORDER, ITEM, ITEM)
    assert (quoted.errors, quoted.total) == (["OpportunityIsFullError"] * 2, 0)


@pytest.mark.parametrize("first", [(0, ""), (3, ""), (None, "EUR")])
async def test_what_names_no_currency_goes_with_any(
    desk: FrontEnd, first: tuple[int | None, str]
) -> None:
    """A price without a currency, free or not, or no price is in no other one (rule 18)."""
    await desk.policy("TaxGross")
    await desk.sell(5, first[0], currency=first[1])
    await desk.sell(5, 12, id_=OTHER_SESSION)
    total = None if first[0] is None else first[0] + 12
    for answer in await every_answer(desk, ITEM, OTHER_ITEM):
        assert (answer.status, answer.total) in {(200, total), (201, total)}
        if total is not None:
            assert answer.body["totalPaymentDue"]["priceCurrency"] == "GBP"


@pytest.mark.parametrize("verb", ["propose", "book"])
async def test_another_total_is_refused(desk: FrontEnd, verb: str) -> None:
    """Gross prices make another sum: 400, and the lease is sustained (rule 18)."""
    await desk.policy("TaxGross")
    await desk.sell(5, 10.10)
    leased = await desk.c2(ORDER, ITEM, ITEM)
    await desk.sell(5, 99)
    call = getattr(desk, verb)
    for wrong in (20, 20.200001, 198, 0):
        refused = await call(ORDER, ITEM, ITEM, **due(wrong))
        assert refused.error == (400, "TotalPaymentDueMismatchError")
        assert "20.2 GBP" in refused.body["description"]
    assert (await desk.look(ORDER)).expires == leased.expires
    assert (await call(ORDER, ITEM, ITEM, **due(20.20))).status == 201


async def test_the_total_of_a_proposal_is_checked_when_it_is_booked(desk: FrontEnd) -> None:
    """B without OrderItems knows the guaranteed prices of the proposal (rules 18 and 19)."""
    await desk.policy("TaxGross")
    await desk.sell(5, 10)
    await desk.propose(ORDER, ITEM)
    path = f"/orders/{ORDER}"
    for wrong in (due(9), due(10, "EUR")):
        refused = await desk.call("PUT", path, wrong)
        assert refused.error == (400, "TotalPaymentDueMismatchError")
    assert (await desk.call("PUT", path, due(10, "GBP"))).status == 201


async def test_a_total_counts_only_for_gross_prices(desk: FrontEnd) -> None:
    """Where the policy says `TaxNet`, or there is none, the sum is not compared (rule 18)."""
    await desk.sell(5, 10)
    await desk.c2(ORDER, ITEM)
    assert (await desk.book(ORDER, ITEM, **due(7))).status == 201
    await desk.policy("TaxNet")
    await desk.c2(OTHER, ITEM)
    assert (await desk.book(OTHER, ITEM, **due(7))).status == 201


@pytest.mark.parametrize("verb", ["propose", "book"])
async def test_without_a_lease_todays_prices_count(desk: FrontEnd, verb: str) -> None:
    """What is not leased costs what it costs today, and the sum is compared (rule 18)."""
    await desk.policy("TaxGross")
    await desk.sell(5, 10)
    await desk.c2(OTHER, ITEM)
    await desk.sell(5, 12)
    call = getattr(desk, verb)
    for uuid, items, right in ((ORDER, [ITEM], 12), (OTHER, [ITEM, ITEM], 22)):
        for wrong in (10, 20, 24):
            refused = await call(uuid, *items, **due(wrong))
            assert refused.error == (400, "TotalPaymentDueMismatchError")
        assert (await call(uuid, *items, **due(right))).status == 201


@pytest.mark.parametrize("verb", ["propose", "book"])
async def test_a_total_in_another_currency_is_refused(desk: FrontEnd, verb: str) -> None:
    """The same number of another currency is another sum, and so is its name alone (rule 18)."""
    await desk.policy("TaxGross")
    await desk.sell(5, 10)
    leased = await desk.c2(ORDER, ITEM, ITEM)
    call = getattr(desk, verb)
    for price in (20, None):
        refused = await call(ORDER, ITEM, ITEM, **due(price, "EUR"))
        assert refused.error == (400, "TotalPaymentDueMismatchError")
        assert "20 GBP" in refused.body["description"]
    assert (await desk.look(ORDER)).expires == leased.expires
    refused = await call(ORDER, ITEM, ITEM, **due(20, "pounds"))
    assert refused.error == (400, "OpenBookingError")
    assert "$.totalPaymentDue.priceCurrency" in refused.body["description"]
    assert (await call(ORDER, ITEM, ITEM, **due(None, "GBP"))).status == 201


async def test_a_total_may_name_a_currency_that_no_price_has(desk: FrontEnd) -> None:
    """Where no price says its currency, none is another one (rule 18)."""
    await desk.policy("TaxGross")
    await desk.sell(5, 0, currency="")
    assert (await desk.book(ORDER, ITEM, **due(0, "EUR"))).status == 201


async def test_a_total_counts_only_where_all_prices_are_known(desk: FrontEnd) -> None:
    """With an OrderItem whose price nobody knows, the sum is not compared (rule 18)."""
    await desk.policy("TaxGross")
    await desk.sell(5, 10)
    await desk.sell(5, None, id_=OTHER_SESSION)
    await desk.c2(ORDER, ITEM, OTHER_ITEM)
    assert (await desk.book(ORDER, ITEM, OTHER_ITEM, **due(7, "EUR"))).status == 201


async def test_a_thousand_prices_make_a_sum_beyond_doubles(desk: FrontEnd) -> None:
    """The sum of the most and largest prices is exact to the last decimal (rule 18)."""
    await desk.policy("TaxGross")
    await desk.sell(1000, "999999999.999999")
    items = [ITEM] * 1000
    assert (await desk.c2(ORDER, *items)).total == Decimal("999999999999.999")
    for wrong in ("999999999999.998999", "999999999999.999001"):
        refused = await desk.book(ORDER, *items, **due(wrong))
        assert refused.error == (400, "TotalPaymentDueMismatchError")
    assert (await desk.book(ORDER, *items, **due("999999999999.999"))).status == 201


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


@pytest.mark.parametrize("price", [-1, 1e13, 0.0000001, "ten", "NaN"])
async def test_a_total_that_is_no_money_is_refused(desk: FrontEnd, price: object) -> None:
    """A `totalPaymentDue` that is no amount of money gives a 400 by its place (rule 24)."""
    await desk.sell(1)
    refused = await desk.book(ORDER, ITEM, **due(price))
    assert refused.error == (400, "OpenBookingError")
    assert "$.totalPaymentDue" in refused.body["description"]
