"""Registering, inspecting and withdrawing Opportunities (contract, «Calls»; rules 7 and 13)."""

from decimal import Decimal

import msgspec
import pytest

from tests.ledger.desk import CLASS, COURT, OFFER, OTHER_OFFER, SELLER, errors


async def test_the_first_registration_tells_what_was_booked_before(desk):
    """`remaining…` counts at the first registration: what is missing to the maximum is booked."""
    result = await desk.register(30, remainingAttendeeCapacity=20)
    assert (result.registered, result.updated, result.unchanged, result.failed) == (1, 0, 0, 0)
    assert await desk.spaces() == (10, 0, 20)


async def test_later_registrations_leave_booked_alone(desk):
    """From the first registration on `booked` is what B, cancel and delete made it."""
    await desk.register(30, remainingAttendeeCapacity=20)
    await desk.book(1, 5)
    result = await desk.register(40, remainingAttendeeCapacity=1)
    assert result.updated == 1
    assert await desk.spaces() == (15, 0, 25)


async def test_remaining_is_the_capacity_where_there_is_no_maximum(desk):
    """Without `maximum…` the capacity is `remaining…`, and nothing was booked before."""
    await desk.register_entries(_class(remainingAttendeeCapacity=7))
    assert await desk.spaces() == (0, 0, 7)


async def test_a_slot_counts_uses(desk):
    """A `Slot` has `maximumUses` and `remainingUses`, in registration and answers."""
    entry = {"@type": "Slot", "@id": COURT, "seller": SELLER, "maximumUses": 4, "remainingUses": 3}
    await desk.register_entries(entry)
    found = await desk.inspect(COURT)
    assert (found.maximum_uses, found.remaining_uses, found.booked) == (4, 3, 1)
    assert not found.maximum_attendee_capacity
    [item] = (await desk.quote(1, [(COURT, OFFER)])).body.ordered_item
    assert item.ordered_item.remaining_uses == 3
    assert not item.ordered_item.remaining_attendee_capacity


async def test_the_same_entry_again_is_unchanged(desk):
    """An equal entry changes nothing and counts as unchanged."""
    offers = [{"@id": OFFER, "price": 10, "priceCurrency": "GBP"}]
    await desk.register(5, offers=offers, modified=1)
    result = await desk.register(5, offers=offers, modified=2)
    assert (result.registered, result.updated, result.unchanged) == (0, 0, 1)


@pytest.mark.parametrize(("modified", "capacity"), [(9, 5), (10, 8), (11, 8), (None, 8)])
async def test_an_older_entry_is_skipped(desk, modified, capacity):
    """An entry with an older `modified` than the last is skipped; an equal or newer one counts."""
    await desk.register(5, modified=10)
    await desk.register(8, modified=modified)
    assert (await desk.inspect()).maximum_attendee_capacity == capacity


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (1795200000000000, 1795200000000001),
        (637_000_000_000_000_000, 637_000_000_000_000_001),
        (2**63 - 2, 2**63 - 1),
        (2**53, 2**53 + 1),
        (9, 10),
        (-1, 0),
        (-10, -9),
        (-(2**63), -(2**63) + 1),
        (-(2**63), 2**63 - 1),
    ],
)
async def test_whole_numbers_compare_exactly(desk, older, newer):
    """`modified` is exact to the last digit, such as ticks of 100 ns near 6.4e17."""
    await desk.register(5, modified=newer)
    await desk.register(8, modified=older)
    assert (await desk.inspect()).maximum_attendee_capacity == 5
    await desk.register(9, modified=newer)
    assert (await desk.inspect()).maximum_attendee_capacity == 9


async def test_a_text_is_no_older_than_anything(desk):
    """A text as `modified` is another version than the last, and so is any after it."""
    versions = ["2018-10-02", "2018-10-01", "10", "9", 5, "=4", "-1", -3]
    for capacity, modified in enumerate(versions, start=1):
        await desk.register(capacity, modified=modified)
        assert (await desk.inspect()).maximum_attendee_capacity == capacity


@pytest.mark.parametrize("modified", [2**63, -(2**63) - 1, "a\nb", "x" * 129, True, [], 1.5])
async def test_what_is_no_version_fails_its_entry(desk, modified):
    """`modified` is a whole number of 64 bits or a short text; else the entry is an error."""
    with pytest.raises(msgspec.ValidationError, match="modified"):
        await desk.register(5, modified=modified)


@pytest.mark.parametrize(("stored", "older"), [("1795200000000001", 5), ("41", 5)])
async def test_a_version_of_an_earlier_release_is_read(desk, stored, older):
    """What earlier releases stored as `modified`, plain digits, is compared as before."""
    await desk.register(5, modified=1)
    [key] = await desk.raw_keys("*:opp:*")
    await desk.batcher.command("HSET", key, "modified", stored)
    await desk.register(8, modified=int(stored) - 1)
    assert (await desk.inspect()).maximum_attendee_capacity == older
    await desk.register(9, modified=int(stored) + 1)
    assert (await desk.inspect()).maximum_attendee_capacity == 9


@pytest.mark.parametrize("between", [0, 300])
async def test_of_two_entries_for_one_opportunity_the_later_wins(desk, between):
    """Entries of one body count in their order, also where the first one has to be tried again."""
    pool = {"@type": "CapacityPool", "seller": SELLER, "maximumAttendeeCapacity": 100}
    halls = [f"https://example.com/halls/{number}" for number in range(2)]
    await desk.register_entries(*[pool | {"@id": hall} for hall in halls])
    await desk.register(5, capacityPools=[{"@id": halls[0]}])
    others = [_class(f"{COURT}/{n}", maximumAttendeeCapacity=1) for n in range(between)]
    # The script has to be run again for the first, which it shows the pool that is left.
    first = _class(maximumAttendeeCapacity=6, capacityPools=[{"@id": halls[1]}])
    second = _class(maximumAttendeeCapacity=7, capacityPools=[{"@id": halls[0]}])
    result = await desk.register_entries(*others, first, second)
    assert (result.registered, result.updated, result.failed) == (between, 2, 0)
    await desk.quote(1, 1)
    assert [(await desk.spaces(hall))[1] for hall in halls] == [1, 0]
    assert (await desk.inspect()).maximum_attendee_capacity == 7


async def test_a_pool_is_known_to_the_entries_after_it(desk):
    """A pool may be registered anew in the same body, before or after what draws on it."""
    hall = "https://example.com/halls/1"
    pool = _class(hall, maximumAttendeeCapacity=9) | {"@type": "CapacityPool"}
    drawing = _class(maximumAttendeeCapacity=5, capacityPools=[{"@id": hall}])
    result = await desk.register_entries(
        drawing, pool, drawing, pool | {"maximumAttendeeCapacity": 3}
    )
    assert (result.registered, result.updated, result.failed) == (2, 1, 1)
    assert await desk.spaces() == (0, 0, 3)


async def test_an_entry_without_capacity_fails_alone(desk):
    """Each entry stands alone: one without a capacity is an error with its index."""
    result = await desk.register_entries(_class(), _class(COURT, maximumAttendeeCapacity=3))
    assert (result.registered, result.failed) == (1, 1)
    assert [error.index for error in result.errors] == [0]
    assert "capacity" in result.errors[0].error.description


async def test_at_most_a_hundred_errors_are_told_in_full(desk):
    """All failures count, and the first 100 are told."""
    result = await desk.register_entries(*[_class()] * 300)
    assert result.failed == 300
    assert len(result.errors) == 100


async def test_inspection_keeps_the_order_asked_for(desk):
    """`GET /opportunities` answers in the order of the ids; unknown ones are left out."""
    await desk.register(1)
    await desk.register(2, COURT)
    found = await desk.ledger.inspect(SELLER, [COURT, "https://example.com/none", CLASS])
    assert [opportunity.id for opportunity in found] == [COURT, CLASS]


async def test_a_guaranteed_price_outlives_a_new_one(desk):
    """Rule 13: the price of a leased OrderItem stays; an item added later has that day's price."""
    await desk.register(5, offers=[_offer("10.00")])
    await desk.quote(1, 1)
    await desk.register(5, offers=[_offer("12.00")])
    quoted = await desk.quote(1, 2)
    assert _prices(quoted.body) == [Decimal("10.00"), Decimal("12.00")]
    booked = await desk.book(1, 2)
    assert _prices(booked.body) == [Decimal("10.00"), Decimal("12.00")]


async def test_an_offer_that_is_no_longer_on_sale_is_unknown(desk):
    """Rule 4: an offer that the latest registration left out is unknown to new OrderItems."""
    await desk.register(5, offers=[_offer("10.00"), {"@id": OTHER_OFFER}])
    await desk.quote(1, 1)
    await desk.register(5, offers=[{"@id": OTHER_OFFER}])
    assert await desk.quoted_errors(2, 1) == ["UnknownOfferError"]
    held = await desk.ledger.look_at_quote(desk.key(1))
    assert held.ordered_item[0].accepted_offer.id == OFFER


async def test_a_guarantee_outlasts_the_sale_of_its_offer(desk):
    """Rule 13: what is leased keeps its offer and price, whatever is registered meanwhile."""
    await desk.register(5, offers=[_offer("10.00"), {"@id": OTHER_OFFER}])
    await desk.quote(1, 1)
    await desk.register(5, offers=[{"@id": OTHER_OFFER}])
    again = await desk.quote(1, 2)
    assert errors(again.body.ordered_item) == ["", "UnknownOfferError"]
    assert _prices(again.body)[0] == Decimal("10.00")
    assert _prices((await desk.book(1, 1)).body) == [Decimal("10.00")]


async def test_offers_may_come_and_go(desk):
    """Offers that nobody leases leave no trace, and none takes another's place in a lease."""
    for round_ in range(5):
        await desk.register(5, offers=[{"@id": f"{OFFER}/{round_}", "price": round_}])
    [key] = await desk.raw_keys("*:opp:*")
    fields = await desk.batcher.command("HKEYS", key)
    assert [field for field in fields if field.startswith(b"offer:")] == [
        f"offer:{OFFER}/4".encode()
    ]
    await desk.register(5)
    assert await desk.quoted_errors(1, 1) == [""]


async def test_prices_are_exact(desk):
    """Prices are decimal numbers from registration to answer, whatever their size."""
    for text, exact in (("0.1", "0.1"), ("0.30", "0.3"), ("199999999.99",) * 2, ("-0.0", "0")):
        await desk.register(5, offers=[{"@id": OFFER, "price": text, "priceCurrency": "GBP"}])
        quoted = await desk.quote(1, 1)
        assert str(quoted.body.ordered_item[0].accepted_offer.price) == exact
        await desk.release(1)


async def test_withdrawing_twice_is_the_same_as_once(desk):
    """Withdrawing is idempotent, also for what was never registered."""
    await desk.register(5)
    for _ in range(2):
        await desk.ledger.withdraw(SELLER, [CLASS, "https://example.com/none"])
    assert await desk.ledger.inspect(SELLER, [CLASS]) == []


def _class(id_: str = CLASS, **properties) -> dict[str, object]:
    return {"@type": "ScheduledSession", "@id": id_, "seller": SELLER} | properties


def _offer(price: str) -> dict[str, object]:
    return {"@id": OFFER, "price": price, "priceCurrency": "GBP"}


def _prices(body):
    return [item.accepted_offer.price for item in body.ordered_item]
