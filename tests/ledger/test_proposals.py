"""Rule 19: a proposal holds its spaces until it is decided, booked, or over."""

import pytest

from service.errors import (
    OpportunityHasInsufficientCapacityError,
    OrderAlreadyExistsError,
    OrderCreationFailedError,
    PatchNotAllowedOnPropertyError,
    UnknownOrderError,
)
from service.ledger import Step
from tests.ledger.desk import CLASS, COURT, OFFER, OPENACTIVE, epoch_seconds
from tests.polling import eventually

DAY = 86_400


async def test_p_carries_the_lease_over_and_extends_it(desk):
    """Rule 19: what C2 holds is held once, for the proposal's length."""
    await desk.register(5)
    await desk.quote(1, 2, Step.NAMED)
    before = await desk.now()
    proposed = await desk.propose(1, 2)
    expires = epoch_seconds(proposed)
    assert before + 7 * DAY <= expires <= await desk.now() + 7 * DAY + 1
    assert proposed.body.order_proposal_status == f"{OPENACTIVE}AwaitingSellerConfirmation"
    assert await desk.spaces() == (0, 2, 3)


async def test_p_holds_every_item_or_none(desk):
    """Rules 16 and 19: one OrderItem too many and nothing is held that was not before."""
    await desk.register(2)
    await desk.register(5, COURT)
    await desk.quote(1, 1)
    with pytest.raises(OpportunityHasInsufficientCapacityError):
        await desk.propose(1, [(CLASS, OFFER)] * 3 + [(COURT, OFFER)])
    assert await desk.spaces() == (0, 1, 1)
    assert await desk.spaces(COURT) == (0, 0, 5)
    await desk.book(2, 1)
    with pytest.raises(OpportunityHasInsufficientCapacityError):
        await desk.propose(3, 1)


async def test_the_same_p_again_answers_the_same(desk):
    """Rules 17 and 19: a repeated P changes nothing; another one on the UUID is a clash."""
    await desk.register(5)
    first = await desk.propose(1, 2)
    again = await desk.propose(1, 2)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.body == first.body
    with pytest.raises(OrderAlreadyExistsError):
        await desk.propose(1, 3)
    with pytest.raises(OrderAlreadyExistsError):
        await desk.quote(1, 2)
    assert await desk.spaces() == (0, 2, 3)


@pytest.mark.parametrize("is_accepted", [True, False])
async def test_b_of_a_proposal_needs_no_items(desk, is_accepted):
    """Rule 19: B books what was proposed, with the ids that P was given."""
    await desk.register(5)
    items = [{"@id": f"#{n}", "orderedItem": CLASS, "acceptedOffer": OFFER} for n in (1, 2)]
    await desk.propose(1, items)
    if is_accepted:
        await desk.decide(1, "SellerAccepted")
    booked = await desk.book_proposed(1)
    assert [item.id for item in booked.body.ordered_item] == ["#1", "#2"]
    assert await desk.spaces() == (2, 0, 3)
    assert (await desk.book_proposed(1)).replayed
    with pytest.raises(UnknownOrderError):
        await desk.ledger.look_at_proposal(desk.key(1))


@pytest.mark.parametrize("status", ["SellerRejected", "CustomerRejected"])
async def test_a_rejection_from_either_side_lets_the_lease_lapse(desk, status):
    """Rule 19: without grace the spaces are free at once, and B is refused."""
    await desk.register(5)
    await desk.propose(1, 2)
    await desk.decide(1, status)
    assert await desk.spaces() == (0, 0, 5)
    with pytest.raises(OrderCreationFailedError):
        await desk.book_proposed(1)
    look = await desk.ledger.look_at_proposal(desk.key(1))
    assert look.order_proposal_status == OPENACTIVE + status
    assert not look.lease


async def test_a_rejected_proposal_keeps_its_spaces_for_the_grace(make_desk):
    """Rule 19: the spaces come back when the grace is over, and not before."""
    desk = make_desk(rejection_grace_seconds=1)
    await desk.register(2)
    await desk.propose(1, 2)
    await desk.decide(1, "SellerRejected")
    expires = epoch_seconds(await desk.propose(1, 2))

    async def is_free():
        asked = await desk.now()
        _, leased, _ = await desk.spaces()
        assert leased or await desk.now() >= expires
        assert not leased or asked < expires
        return not leased

    await eventually(is_free)


async def test_a_rejection_never_makes_a_lease_longer(make_desk):
    """Rule 19: the grace shortens, or changes nothing."""
    desk = make_desk(proposal_seconds=60, rejection_grace_seconds=600)
    await desk.register(2)
    expires = epoch_seconds(await desk.propose(1, 1))
    await desk.decide(1, "CustomerRejected")
    assert epoch_seconds(await desk.propose(1, 1)) == expires


async def test_b_is_tried_after_the_lease_lapsed(make_desk):
    """Rule 19: B of a lapsed proposal books if there is room, else it says what is missing."""
    desk = make_desk(proposal_seconds=1)
    await desk.register(3)
    await desk.propose(1, 1)
    expires = epoch_seconds(await desk.propose(2, 2))

    async def is_over():
        return await desk.now() >= expires

    await eventually(is_over)
    await desk.book_proposed(1)
    await desk.book(3, 1)
    with pytest.raises(OpportunityHasInsufficientCapacityError):
        await desk.book_proposed(2)
    assert await desk.spaces() == (2, 0, 1)


async def test_a_decision_is_final_once_it_is_a_no(desk):
    """Rule 19: the same decision again changes nothing, another one after a no is refused."""
    await desk.register(2)
    await desk.propose(1, 1)
    for status in ("SellerAccepted", "SellerAccepted", "CustomerRejected", "CustomerRejected"):
        await desk.decide(1, status)
    with pytest.raises(PatchNotAllowedOnPropertyError):
        await desk.decide(1, "SellerAccepted")
    with pytest.raises(UnknownOrderError):
        await desk.decide(2, "SellerAccepted")


async def test_release_leaves_a_proposal_alone(desk):
    """Rule 19: only a rejection gives back what a proposal holds."""
    await desk.register(2)
    await desk.propose(1, 1)
    assert await desk.release(1) == 0
    assert await desk.spaces() == (0, 1, 1)


async def test_a_proposal_that_does_not_lease_is_one_all_the_same(desk):
    """Rules 14 and 19: with a null step P checks and holds nothing; B is tried later."""
    await desk.register(2)
    await desk.policy(proposal=None)
    assert not (await desk.propose(1, 2)).body.lease
    assert await desk.spaces() == (0, 0, 2)
    await desk.book_proposed(1)
    assert await desk.spaces() == (2, 0, 0)


async def test_the_same_p_again_tells_no_lease_of_what_was_withdrawn(desk):
    """Rules 9 and 19: what P answers of the lease is what it holds by now, as the look has it."""
    await desk.register(5)
    await desk.propose(1, 2)
    await desk.ledger.withdraw(desk.key(1).seller, [CLASS])
    assert not (await desk.ledger.look_at_proposal(desk.key(1))).lease
    again = await desk.propose(1, 2)
    assert again.replayed
    assert not again.body.lease
