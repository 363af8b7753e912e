"""Rules 1–8: who may have how many spaces, and what the others are told."""

import asyncio

import pytest

from service.ledger import Step
from tests.ledger.desk import CLASS, COURT, OFFER, OTHER_OFFER, SELLER, errors, remaining


async def test_a_request_that_fits_is_held_whole(desk):
    """Rule 2: when r ≤ A the Order holds r, and no OrderItem has an error."""
    await desk.register(5)
    quoted = await desk.quote(1, 5)
    assert not quoted.refused
    assert errors(quoted.body.ordered_item) == [""] * 5
    assert await desk.spaces() == (0, 5, 0)


async def test_the_example_of_rule_3(desk):
    """Rule 3: of 10 asked for with 5, 3 of them leased: 2 fit, 3 reserved, 5 insufficient."""
    await desk.register(5)
    await desk.quote(1, 3)
    quoted = await desk.quote(2, 10)
    assert errors(quoted.body.ordered_item) == [""] * 2 + ["reserved"] * 3 + ["insufficient"] * 5
    assert remaining(quoted.body.ordered_item) == [2] * 10
    assert quoted.refused
    assert not quoted.body.lease
    assert await desk.spaces() == (0, 3, 2)


async def test_the_scenario_of_the_test_suite(desk):
    """Two spaces, one leased, three asked for: one fits, one reserved, one insufficient."""
    await desk.register(2)
    await desk.quote(1, 1)
    assert await desk.quoted_errors(2, 3) == ["", "reserved", "insufficient"]
    assert (await desk.inspect()).remaining_attendee_capacity == 1


async def test_errors_are_given_in_order_of_position(desk):
    """Rule 3: positions decide who is without error, whatever the order of the request."""
    await desk.register(2)
    items = [
        {"orderedItem": CLASS, "acceptedOffer": OFFER, "position": position}
        for position in (30, 10, 20)
    ]
    quoted = await desk.quote(1, items)
    found = {item.position: bool(item.error) for item in quoted.body.ordered_item}
    assert found == {10: False, 20: False, 30: True}


async def test_an_order_is_not_in_its_own_way(desk):
    """Rule 1: A counts what the Order itself holds as free to it."""
    await desk.register(5)
    await desk.quote(1, 4)
    quoted = await desk.quote(1, 5)
    assert not quoted.refused
    assert remaining(quoted.body.ordered_item) == [5] * 5
    assert await desk.spaces() == (0, 5, 0)


async def test_an_order_that_asks_for_too_much_keeps_what_it_had(desk):
    """Rule 3: with r > A the Order holds min(h, r), and gets nothing new of the Opportunity."""
    await desk.register(5)
    await desk.quote(1, 2)
    await desk.quote(2, 2)
    quoted = await desk.quote(1, 4)
    assert errors(quoted.body.ordered_item) == ["", "", "", "reserved"]
    assert quoted.body.lease
    assert await desk.spaces() == (0, 4, 1)


async def test_a_booked_out_opportunity_is_full(desk):
    """Rule 3: when c − b ≤ 0 every OrderItem has OpportunityIsFullError."""
    await desk.register(2)
    await desk.book(1, 2)
    assert await desk.quoted_errors(2, 3) == ["full"] * 3


async def test_a_leased_out_opportunity_is_reserved_and_not_full(desk):
    """Rule 3: leases of others can lapse, so what they hold is reserved."""
    await desk.register(1)
    await desk.quote(1, 1)
    quoted = await desk.quote(2, 1)
    assert errors(quoted.body.ordered_item) == ["reserved"]
    assert remaining(quoted.body.ordered_item) == [0]


async def test_what_cannot_be_known_is_refused_by_item(desk):
    """Rule 4: unknown Opportunity, unknown Offer and incomplete OrderItems, each for itself."""
    await desk.register(5, offers=[{"@id": OFFER}])
    quoted = await desk.quote(
        1,
        [
            (CLASS, OFFER),
            (CLASS, OTHER_OFFER),
            (COURT, OFFER),
            {"orderedItem": CLASS},
            {"acceptedOffer": OFFER},
            {},
        ],
    )
    assert errors(quoted.body.ordered_item) == [
        "",
        "UnknownOfferError",
        "UnknownOpportunityError",
        "IncompleteOrderItemError",
        "IncompleteOrderItemError",
        "IncompleteOrderItemError",
    ]
    assert await desk.spaces() == (0, 1, 4)


async def test_an_offer_of_another_opportunity_of_the_basket_is_not_acceptable(desk):
    """Rule 4: an Offer that another Opportunity of the same call has is known, and not its own."""
    await desk.register(5, offers=[{"@id": OFFER}])
    await desk.register(5, COURT, offers=[{"@id": OTHER_OFFER}])
    both = [(CLASS, OFFER), (COURT, OFFER), (COURT, "https://example.com/none")]
    assert await desk.quoted_errors(1, both) == ["", "UnacceptableOfferError", "UnknownOfferError"]
    assert await desk.quoted_errors(2, [(COURT, OFFER)]) == ["UnknownOfferError"]
    await desk.register(5, offers=[{"@id": OTHER_OFFER}])
    assert await desk.quoted_errors(1, both) == ["", "UnknownOfferError", "UnknownOfferError"]
    assert await desk.spaces() == (0, 1, 4)
    assert await desk.spaces(COURT) == (0, 0, 5)


async def test_any_offer_will_do_where_none_is_registered(desk):
    """Rule 4: an Opportunity whose offers are not known takes every offer."""
    await desk.register(5)
    assert await desk.quoted_errors(1, [(CLASS, OFFER), (CLASS, OTHER_OFFER)]) == ["", ""]


async def test_opportunities_belong_to_their_seller(desk):
    """Rule 4: what one Seller registered is unknown to every other."""
    await desk.register(5)
    assert await desk.ledger.inspect("https://example.com/api/organisations/4", [CLASS]) == []
    assert [found.seller for found in await desk.ledger.inspect(SELLER, [CLASS])] == [SELLER]


async def test_what_fits_is_leased_beside_what_does_not(desk):
    """Rule 5: Opportunities without an error are leased all the same."""
    await desk.register(1)
    await desk.register(5, COURT)
    await desk.quote(1, 1)
    quoted = await desk.quote(2, [(CLASS, OFFER), (COURT, OFFER)])
    assert errors(quoted.body.ordered_item) == ["reserved", ""]
    assert quoted.body.lease
    assert await desk.spaces(COURT) == (0, 1, 4)


@pytest.mark.parametrize("trouble", [(CLASS, OFFER), ("https://example.com/none", OFFER), {}])
async def test_strict_handling_holds_everything_or_nothing_new(desk, trouble):
    """Rule 5: with strict handling nothing new is held unless every OrderItem can be."""
    await desk.register(1)
    await desk.register(5, COURT)
    await desk.quote(1, 1)
    quoted = await desk.quote(2, [trouble, (COURT, OFFER)], strict=True)
    assert quoted.refused
    assert not quoted.body.lease
    assert await desk.spaces(COURT) == (0, 0, 5)


async def test_strict_handling_keeps_what_was_held(desk):
    """Rule 5: a refused strict call takes nothing away that the latest OrderItems still name."""
    await desk.register(1)
    await desk.register(5, COURT)
    await desk.quote(1, 1)
    await desk.quote(2, [(COURT, OFFER)] * 2)
    quoted = await desk.quote(2, [(CLASS, OFFER)] + [(COURT, OFFER)] * 3, strict=True)
    assert quoted.body.lease
    assert await desk.spaces(COURT) == (0, 2, 3)


async def test_retry_after_is_when_enough_leases_will_have_expired(make_desk):
    """Rule 6: the earliest instant at which the reserved errors will be gone."""
    short, long = make_desk(anonymous_seconds=100), make_desk(anonymous_seconds=200)
    await short.register(4)
    await short.quote(1, 1)
    await long.quote(2, 3)
    one = await short.quote(3, 1)
    two = await short.quote(3, 2)
    assert errors(one.body.ordered_item) == ["reserved"]
    assert 99 <= one.retry_after <= 101
    assert errors(two.body.ordered_item) == ["reserved"] * 2
    assert 199 <= two.retry_after <= 201
    assert "leases hold 4 spaces" in two.body.ordered_item[0].error[0].description


async def test_ones_own_lease_does_not_count_as_competing(make_desk):
    """Rule 6: the Order's own lease, the first to expire, does not make room for itself."""
    short, long = make_desk(anonymous_seconds=100), make_desk(anonymous_seconds=200)
    await short.register(3)
    await short.quote(1, 1)
    await long.quote(2, 2)
    quoted = await short.quote(1, 2)
    assert errors(quoted.body.ordered_item) == ["", "reserved"]
    assert quoted.retry_after > 150


async def test_no_retry_after_without_a_competing_lease(desk):
    """Rule 6: waiting does not help where no lease is in the way."""
    await desk.register(2)
    quoted = await desk.quote(1, 3)
    assert errors(quoted.body.ordered_item) == ["", "", "insufficient"]
    assert quoted.retry_after is None


async def test_retry_after_is_the_last_expiry_where_waiting_is_not_enough(make_desk):
    """Rule 6: over a lowered capacity it is when the last competing lease will have expired."""
    short, long = make_desk(anonymous_seconds=100), make_desk(anonymous_seconds=200)
    await short.register(5)
    await short.quote(1, 2)
    await long.quote(2, 3)
    await short.register(1)
    quoted = await short.quote(3, 3)
    assert errors(quoted.body.ordered_item) == ["reserved"] * 3
    assert 199 <= quoted.retry_after <= 201


@pytest.mark.parametrize("step", [Step.ANONYMOUS, Step.NAMED])
async def test_ones_own_lease_is_not_the_last_to_wait_for(make_desk, step):
    """Rule 6: nor where it expires last, and the very call that tells has written it anew."""
    short = make_desk(anonymous_seconds=100)
    long = make_desk(anonymous_seconds=200, named_seconds=200)
    await short.register(3)
    await short.quote(1, 2)
    await long.quote(2, 1)
    await short.register(2)
    quoted = await long.quote(2, 3, step)
    assert errors(quoted.body.ordered_item) == ["", "reserved", "reserved"]
    assert 99 <= quoted.retry_after <= 101


async def test_a_lowered_capacity_leaves_leases_in_place(desk):
    """Rule 7: what is free is then 0, existing leases may be quoted again, nothing new is had."""
    await desk.register(5)
    await desk.quote(1, 3)
    await desk.quote(2, 2)
    await desk.register(2)
    assert await desk.spaces() == (0, 5, 0)
    again = await desk.quote(2, 2, Step.NAMED)
    assert not again.refused
    assert remaining(again.body.ordered_item) == [2, 2]
    assert (await desk.quote(1, 3)).refused
    assert await desk.quoted_errors(3, 1) == ["reserved"]


async def test_after_a_lowered_capacity_only_so_many_are_booked(desk):
    """Rule 7: B succeeds only while booked + r ≤ capacity, lease or no lease."""
    await desk.register(5)
    await desk.quote(1, 2)
    await desk.quote(2, 2)
    await desk.register(3)
    await desk.book(1, 2)
    refused = await desk.refused_booking(2, 2)
    assert type(refused).__name__ == "OpportunityHasInsufficientCapacityError"
    assert await desk.spaces() == (2, 2, 0)
    await desk.book(2, 1)
    assert await desk.spaces() == (3, 0, 0)


async def test_what_is_kept_of_a_full_class_stays_as_it_was_leased(desk):
    """Rules 3 and 13: asked for again by another Offer, it keeps the Offer and its price."""
    offers = [{"@id": OFFER, "price": 10}, {"@id": OTHER_OFFER, "price": 12}]
    await desk.register(3, offers=offers)
    await desk.quote(1, 3)
    await desk.register(0, offers=offers)
    assert await desk.quoted_errors(1, [(CLASS, OTHER_OFFER)] * 2) == ["full"] * 2
    held = (await desk.ledger.look_at_quote(desk.key(1))).ordered_item
    assert [(item.accepted_offer.id, item.accepted_offer.price) for item in held] == [
        (OFFER, 10)
    ] * 2


async def test_a_hundred_racers_for_seven_spaces(desk):
    """Rule 8: of 100 concurrent C1 calls exactly as many win as there are spaces."""
    await desk.register(7)
    quotes = await asyncio.gather(*(desk.quote(customer, 1) for customer in range(100)))
    assert sum(not quote.refused for quote in quotes) == 7
    assert await desk.spaces() == (0, 7, 0)


async def test_a_hundred_racers_book_seven_spaces(desk):
    """Rule 8: of 100 concurrent B calls exactly as many win as there are spaces."""
    await desk.register(7)
    calls = (desk.book(customer, 1) for customer in range(100))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(answer, Exception) for answer in answers) == 7
    assert await desk.spaces() == (7, 0, 0)


async def test_baskets_over_the_same_opportunities_do_not_deadlock_or_split(desk):
    """Rule 8: concurrent baskets that name two Opportunities in opposite order stay consistent."""
    await desk.register(10)
    await desk.register(10, COURT)
    one, other = [(CLASS, OFFER), (COURT, OFFER)], [(COURT, OFFER), (CLASS, OFFER)]
    await asyncio.gather(
        *(desk.quote(customer, one if customer % 2 else other) for customer in range(40))
    )
    assert await desk.spaces() == (0, 10, 0)
    assert await desk.spaces(COURT) == (0, 10, 0)
