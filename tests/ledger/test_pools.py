"""Rule 28: Opportunities that share capacity."""

import pytest

from service.errors import (
    OpportunityHasInsufficientCapacityError,
)
from tests.ledger.desk import CLASS, COURT, OFFER, SELLER, errors, remaining
from tests.ledger.follow import Follower

HALL = "https://example.com/halls/1"
CLASSES = [f"https://example.com/classes/{number}" for number in range(3)]
HALVES = [f"https://example.com/courts/1/halves/{number}" for number in range(2)]


async def share(desk, pool, capacity, *opportunities, spaces=1, own=100):
    """Register a pool, and Opportunities that draw on it."""
    await desk.register(capacity, pool, **{"@type": "CapacityPool"})
    for id_ in opportunities:
        await desk.register(own, id_, capacityPools=[{"@id": pool, "spaces": spaces}])


async def test_a_hall_of_100_places_serves_three_classes(desk):
    """Rule 28: whoever comes to one class takes a place of the hall from the others."""
    await share(desk, HALL, 100, *CLASSES, own=60)
    await desk.book(1, [(CLASSES[0], OFFER)] * 60)
    await desk.quote(2, [(CLASSES[1], OFFER)] * 30)
    assert await desk.spaces(HALL) == (60, 30, 10)
    assert await desk.spaces(CLASSES[2]) == (0, 0, 10)
    quoted = await desk.quote(3, [(CLASSES[2], OFFER)] * 50)
    assert (
        errors(quoted.body.ordered_item) == [""] * 10 + ["reserved"] * 30 + ["insufficient"] * 10
    )
    assert remaining(quoted.body.ordered_item) == [10] * 50
    assert HALL in quoted.body.ordered_item[10].error[0].description


async def test_a_full_court_takes_both_halves(desk):
    """Rule 28: the court draws on both halves, so any half that is gone rules it out."""
    for half in HALVES:
        await share(desk, f"{half}/space", 1, half)
    await desk.register(1, COURT, capacityPools=[{"@id": f"{half}/space"} for half in HALVES])
    await desk.quote(1, [(COURT, OFFER)])
    assert [await desk.spaces(half) for half in HALVES] == [(0, 0, 0), (0, 0, 0)]
    assert await desk.quoted_errors(2, [(HALVES[0], OFFER)]) == ["reserved"]
    await desk.release(1)
    await desk.book(2, [(HALVES[0], OFFER)])
    assert await desk.quoted_errors(1, [(COURT, OFFER)]) == ["full"]
    assert await desk.quoted_errors(3, [(HALVES[1], OFFER)]) == [""]


async def test_the_whole_basket_is_counted_together(desk):
    """Rule 28: two classes of one Order do not each get the last place of the hall."""
    await share(desk, HALL, 3, *CLASSES)
    basket = [(CLASSES[0], OFFER)] * 2 + [(CLASSES[1], OFFER)] * 2
    quoted = await desk.quote(1, basket)
    assert errors(quoted.body.ordered_item) == ["", "", "", "insufficient"]
    assert remaining(quoted.body.ordered_item) == [2, 2, 1, 1]
    assert await desk.spaces(HALL) == (0, 2, 1)
    with pytest.raises(OpportunityHasInsufficientCapacityError):
        await desk.book(2, [(CLASSES[1], OFFER), (CLASSES[2], OFFER)])
    assert await desk.spaces(HALL) == (0, 2, 1)


async def test_the_order_of_positions_decides(desk):
    """Rule 28: in order of position, not of the list."""
    await share(desk, HALL, 1, *CLASSES)
    items = [
        {"position": position, "orderedItem": id_, "acceptedOffer": OFFER}
        for position, id_ in ((2, CLASSES[0]), (1, CLASSES[1]))
    ]
    quoted = await desk.quote(1, items)
    assert [item.position for item in quoted.body.ordered_item] == [1, 2]
    assert errors(quoted.body.ordered_item) == ["", "insufficient"]
    assert await desk.spaces(CLASSES[1]) == (0, 1, 0)


async def test_what_is_held_is_not_given_to_another_item_of_the_order(desk):
    """Rules 3 and 28: what an Order holds and asks for again comes before everything new."""
    await share(desk, HALL, 2, *CLASSES)
    await desk.quote(1, [(CLASSES[1], OFFER)])
    asked = [(CLASSES[0], OFFER), (CLASSES[0], OFFER), (CLASSES[1], OFFER)]
    assert await desk.quoted_errors(1, asked) == ["", "insufficient", ""]
    assert await desk.spaces(CLASSES[1]) == (0, 1, 1)


async def test_what_fits_remains_though_the_rest_of_the_basket_does_not_fit(desk):
    """Rules 3, 16 and 28: a class that comes to draw on the hall leaves the leased court its A."""
    await share(desk, HALL, 3, COURT, spaces=2)
    await desk.register(5)
    basket = [(COURT, OFFER), (CLASS, OFFER), (CLASS, OFFER)]
    await desk.quote(1, basket)
    await share(desk, HALL, 3, CLASS)
    with pytest.raises(OpportunityHasInsufficientCapacityError):
        await desk.propose(1, basket)
    refused = await desk.refused_booking(1, basket)
    assert type(refused).__name__ == "OpportunityHasInsufficientCapacityError"
    assert errors(refused.ordered_item) == ["", "", "insufficient"]
    assert remaining(refused.ordered_item) == [1, 1, 1]
    await desk.book(1, basket[:2])


async def test_nothing_remains_of_what_a_smaller_pool_has_no_room_for(desk):
    """Rules 3, 7, 16 and 28: in order of position, the first class keeps the one place left."""
    await share(desk, HALL, 2, *CLASSES)
    basket = [(CLASSES[0], OFFER), (CLASSES[1], OFFER)]
    await desk.quote(1, basket)
    await share(desk, HALL, 1)
    refused = await desk.refused_booking(1, basket)
    assert type(refused).__name__ == "OpportunityHasInsufficientCapacityError"
    assert errors(refused.ordered_item) == ["", "insufficient"]
    assert remaining(refused.ordered_item) == [1, 0]
    await desk.book(1, basket[:1])


async def test_a_space_may_take_several_of_a_pool(desk):
    """Rule 28: each space takes `spaces` of the pool, at every step and back."""
    await share(desk, HALL, 7, CLASS, spaces=3)
    assert await desk.spaces() == (0, 0, 2)
    await desk.quote(1, 2)
    assert await desk.spaces(HALL) == (0, 6, 1)
    await desk.book(1, 2)
    assert await desk.spaces(HALL) == (6, 0, 1)
    await desk.cancel(1, 0)
    assert await desk.spaces(HALL) == (3, 0, 4)
    await desk.ledger.delete(desk.key(1))
    assert await desk.spaces(HALL) == (0, 0, 7)


async def test_a_cancellation_gives_back_what_was_taken(desk):
    """Rule 28: also after the Opportunity was registered to take another number of spaces."""
    await share(desk, HALL, 9, CLASS, spaces=3)
    await desk.book(1, 2)
    await share(desk, HALL, 9, CLASS, spaces=1)
    await desk.cancel(1, 0, 1)
    assert await desk.spaces(HALL) == (0, 0, 9)


async def test_a_change_of_a_pool_moves_all_that_draw_on_it(desk):
    """Rules 22 and 28: lease, booking, new capacity and withdrawal of a pool are told for each."""
    await share(desk, HALL, 10, *CLASSES)
    reader = Follower(desk)
    assert sorted(await reader.read()) == CLASSES
    for call, free in (
        (lambda: desk.quote(1, [(CLASSES[0], OFFER)]), 9),
        (lambda: desk.release(1), 10),
        (lambda: desk.book(2, [(CLASSES[1], OFFER)] * 2), 8),
        (lambda: desk.cancel(2, 0), 9),
        (lambda: desk.register(6, HALL, **{"@type": "CapacityPool"}), 5),
        (lambda: desk.ledger.withdraw(SELLER, [HALL]), 0),
        (lambda: desk.register(4, HALL, **{"@type": "CapacityPool"}), 3),
    ):
        await call()
        assert sorted(await reader.read()) == CLASSES
        assert {reader.free[id_] for id_ in CLASSES} == {free}


async def test_a_pool_that_is_not_registered_is_an_entrys_error(desk):
    """Rule 28: a pool comes before what draws on it; an Opportunity is none."""
    await desk.register(5, COURT)
    for pool in (HALL, COURT):
        result = await desk.register(5, capacityPools=[{"@id": pool}])
        assert [entry.error.type for entry in result.errors] == ["UnknownOpportunityError"]
    await share(desk, HALL, 5, CLASS)
    await desk.ledger.withdraw(SELLER, [HALL])
    assert (await desk.register(5, CLASSES[0], capacityPools=[{"@id": HALL}])).failed == 1


async def test_a_pool_itself_cannot_be_ordered(desk):
    """Rule 28: a CapacityPool is no Opportunity."""
    await share(desk, HALL, 5, CLASS)
    assert await desk.quoted_errors(1, [(HALL, OFFER)]) == ["UnknownOpportunityError"]


async def test_a_look_survives_the_withdrawal_of_a_pool(desk):
    """Rule 28: an Order that holds spaces from before the pool can be looked at after it."""
    await desk.register(5)
    await desk.quote(1, 1)
    await share(desk, HALL, 5, CLASS)
    await desk.ledger.withdraw(SELLER, [HALL])
    assert len((await desk.ledger.look_at_quote(desk.key(1))).ordered_item) == 1
