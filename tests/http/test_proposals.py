from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from msgspec import structs

from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.settings import Settings
from tests.http.application import api
from tests.http.front_end import (
    EXAMPLES,
    ITEM,
    OPENACTIVE,
    PUBLISHED_UUID,
    SESSION,
    UUIDS,
    FrontEnd,
)
from tests.http.served import MakeClient
from tests.polling import eventually
from tests.servers import RedisServer

ORDER, OTHER = UUIDS[:2]


@pytest.fixture
async def forgiving(
    aiohttp_client: MakeClient, valkey_server: RedisServer, settings: Settings
) -> AsyncIterator[FrontEnd]:
    """Give a front-end whose rejected proposals keep their spaces for 10 minutes."""
    batcher = Batcher(connection_factory(valkey_server.url))
    gracious = structs.replace(settings, rejection_grace_seconds=600)
    yield FrontEnd(await aiohttp_client(api(batcher, gracious)))
    await batcher.close()


async def status(desk: FrontEnd, uuid: str = ORDER) -> str:
    """Return the status of a proposal."""
    text: str = (await desk.look(uuid, "order-proposals")).body["orderProposalStatus"]
    return text.removeprefix(OPENACTIVE)


async def test_the_published_proposal_goes_through_to_its_order(desk: FrontEnd) -> None:
    """The standard's own P and B from a proposal go through unchanged (rule 19)."""
    await desk.sell(1)
    proposed = await desk.published("p-request")
    answer = json.loads((EXAMPLES / "p-response.json").read_text())["body"]
    assert proposed.status == 201
    for name in ("@context", "@type", "orderProposalStatus"):
        assert proposed.body[name] == answer[name]
    [item], [expected] = proposed.body["orderedItem"], answer["orderedItem"]
    for thing in ("acceptedOffer", "orderedItem"):
        assert item[thing]["@id"] == expected[thing]["@id"]
    assert proposed.prices == [expected["acceptedOffer"]["price"]]
    assert proposed.body["lease"].keys() == answer["lease"].keys()
    assert await desk.free() == 0

    again = await desk.published("p-request")
    assert (again.status, again.body) == (201, proposed.body)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in proposed.headers
    assert (await desk.look(PUBLISHED_UUID, "order-proposals")).body == proposed.body
    assert (await desk.decide(PUBLISHED_UUID, "SellerAccepted")).status == 204
    assert await status(desk, PUBLISHED_UUID) == "SellerAccepted"

    booked = await desk.published("b-request-from-proposal")
    assert (booked.status, booked.body["@type"]) == (201, "Order")
    [item] = booked.body["orderedItem"]
    assert item["orderedItem"]["@id"] == SESSION
    assert item["orderItemStatus"] == f"{OPENACTIVE}OrderItemConfirmed"
    again = await desk.published("b-request-from-proposal")
    assert (again.body, again.headers["Idempotency-Replayed"]) == (booked.body, "true")
    gone = await desk.look(PUBLISHED_UUID, "order-proposals")
    assert gone.error == (404, "UnknownOrderError")
    assert (await desk.look(PUBLISHED_UUID, "orders")).body == booked.body
    assert await desk.free() == 0


async def test_the_published_rejection_returns_the_spaces(desk: FrontEnd) -> None:
    """The standard's own rejection by the Customer goes through unchanged (rule 19)."""
    await desk.sell(1)
    await desk.published("p-request")
    for _ in range(2):
        assert (await desk.published("order-proposal-update-request")).status == 204
        assert await desk.free() == 1
    assert await status(desk, PUBLISHED_UUID) == "CustomerRejected"
    assert "lease" not in (await desk.look(PUBLISHED_UUID, "order-proposals")).body
    refused = await desk.published("b-request-from-proposal")
    assert refused.error == (500, "OrderCreationFailedError")
    assert await desk.free() == 1


async def test_the_seller_may_reject_what_it_accepted(desk: FrontEnd) -> None:
    """A rejection from either side ends the lease, and is final (rule 19)."""
    await desk.sell(1)
    await desk.propose(ORDER, ITEM)
    assert (await desk.decide(ORDER, "SellerAccepted")).status == 204
    assert await desk.free() == 0
    assert (await desk.decide(ORDER, "SellerRejected")).status == 204
    assert await desk.free() == 1
    refused = await desk.decide(ORDER, "SellerAccepted")
    assert refused.error == (400, "PatchNotAllowedOnPropertyError")
    assert await status(desk) == "SellerRejected"


async def test_a_rejected_lease_lapses_after_its_grace(forgiving: FrontEnd) -> None:
    """With `LEASE_REJECTION_GRACE_SECONDS` the spaces do not come back at once (rule 19)."""
    await forgiving.sell(2)
    await forgiving.policy(proposal={"duration": "PT1H"})
    proposed = await forgiving.propose(ORDER, ITEM)
    await forgiving.decide(ORDER, "SellerRejected")
    rejected = await forgiving.look(ORDER, "order-proposals")
    assert 2_980 <= (proposed.expires - rejected.expires).total_seconds() <= 3_000
    assert await forgiving.free() == 1


async def test_a_rejection_makes_no_lease_longer(forgiving: FrontEnd) -> None:
    """A grace beyond the lease's end does not move it (rule 19)."""
    await forgiving.sell(2)
    await forgiving.policy(proposal={"duration": "PT5M"})
    proposed = await forgiving.propose(ORDER, ITEM)
    await forgiving.decide(ORDER, "CustomerRejected")
    assert (await forgiving.look(ORDER, "order-proposals")).expires == proposed.expires


async def test_a_proposal_takes_over_the_lease(desk: FrontEnd) -> None:
    """P uses the lease of C2, price and all, and makes it as long as the policy says (rule 19)."""
    await desk.sell(1, 10)
    await desk.policy(named={"duration": "PT15M"}, proposal={"duration": "PT1H"})
    quoted = await desk.c2(ORDER, ITEM)
    await desk.sell(1, 99)
    proposed = await desk.propose(ORDER, ITEM)
    assert (proposed.status, proposed.prices) == (201, [10])
    assert 2_700 <= (proposed.expires - quoted.expires).total_seconds() <= 2_720
    assert await desk.free() == 0


async def test_the_maximum_hold_is_not_for_proposals(desk: FrontEnd) -> None:
    """A proposal lasts as long as the policy says, beyond the maximum hold (rule 19)."""
    await desk.sell(1)
    await desk.policy(proposal={"duration": "P1D"}, maximumHold="PT10M")
    quoted = await desk.c2(ORDER, ITEM)
    proposed = await desk.propose(ORDER, ITEM)
    assert (proposed.expires - quoted.expires).total_seconds() > 80_000


async def test_a_seller_may_not_lease_proposals(desk: FrontEnd) -> None:
    """With the step null P checks, holds nothing, and B still books the proposal (rule 14)."""
    await desk.sell(1)
    await desk.policy(proposal=None)
    proposed = await desk.propose(ORDER, ITEM)
    assert proposed.status == 201
    assert "lease" not in proposed.body
    assert await desk.free() == 1
    assert (await desk.book_proposal(ORDER)).status == 201


async def test_what_cannot_be_proposed_is_refused_with_its_items(desk: FrontEnd) -> None:
    """P holds every OrderItem or none, and sustains the lease of C2 (rules 16 and 19)."""
    await desk.sell(3)
    leased = await desk.c2(ORDER, ITEM)
    await desk.c2(OTHER, ITEM)
    refused = await desk.propose(ORDER, ITEM, ITEM, ITEM)
    assert refused.error == (409, "OpportunityHasInsufficientCapacityError")
    assert refused.errors == [None, None, "OpportunityCapacityIsReservedByLeaseError"]
    assert int(refused.headers["Retry-After"]) > 0
    assert (await desk.look(ORDER)).expires == leased.expires
    gone = await desk.look(ORDER, "order-proposals")
    assert gone.error == (404, "UnknownOrderError")
    assert await desk.free() == 1


@pytest.mark.parametrize("rival", ["c2", "book"])
async def test_a_lapsed_proposal_is_booked_if_there_is_room(desk: FrontEnd, rival: str) -> None:
    """After the lease's expiry B is tried anyway, and refused with its items (rule 19)."""
    await desk.sell(1)
    await desk.policy(proposal={"duration": "PT1S"})
    await desk.propose(ORDER, ITEM)

    async def lapsed() -> bool:
        return await desk.free() == 1

    await eventually(lapsed)
    assert (await getattr(desk, rival)(OTHER, ITEM)).status in {200, 201}
    refused = await desk.book_proposal(ORDER)
    assert refused.error == (409, "OpportunityHasInsufficientCapacityError")
    assert refused.errors == [
        "OpportunityIsFullError"
        if rival == "book"
        else "OpportunityCapacityIsReservedByLeaseError"
    ]
    kind = "orders" if rival == "book" else "order-quotes"
    await desk.call("DELETE", f"/{kind}/{OTHER}")
    assert (await desk.book_proposal(ORDER)).status == 201


async def test_an_undecided_proposal_may_be_booked(desk: FrontEnd) -> None:
    """Whether the Seller must accept first is for the front-end to say (rule 19)."""
    await desk.sell(1)
    await desk.propose(ORDER, ITEM)
    assert (await desk.book_proposal(ORDER)).status == 201


async def test_a_proposal_may_be_booked_with_its_items(desk: FrontEnd) -> None:
    """B on a proposal may also say what it books (rules 15 and 19)."""
    await desk.sell(2)
    await desk.propose(ORDER, ITEM)
    assert (await desk.book(ORDER, ITEM, ITEM)).status == 201
    assert await desk.free() == 0


async def test_quotes_and_release_leave_a_proposal_alone(desk: FrontEnd) -> None:
    """C1 and C2 on a proposal's UUID are refused, and release gives nothing back (rule 17)."""
    await desk.sell(2)
    proposed = await desk.propose(ORDER, ITEM)
    for quote in (desk.c1, desk.c2):
        assert (await quote(ORDER, ITEM, ITEM)).error == (500, "OrderAlreadyExistsError")
    released = await desk.call("DELETE", f"/order-quotes/{ORDER}")
    assert (released.status, released.headers["Lease-Released"]) == (204, "0")
    assert (await desk.look(ORDER, "order-proposals")).body == proposed.body
    assert await desk.free() == 1


async def test_another_proposal_needs_another_uuid(desk: FrontEnd) -> None:
    """P with other items, or on the UUID of an Order, is `OrderAlreadyExistsError` (rule 17)."""
    await desk.sell(3)
    await desk.propose(ORDER, ITEM)
    exists = (500, "OrderAlreadyExistsError")
    assert (await desk.propose(ORDER, ITEM, ITEM)).error == exists
    assert (await desk.propose(ORDER, ITEM, customer={"email": "x"})).error == exists
    await desk.book(OTHER, ITEM)
    assert (await desk.propose(OTHER, ITEM)).error == exists


async def test_a_bad_decision_is_refused_by_its_place(desk: FrontEnd) -> None:
    """A status that is no decision gives 400 by its place, an unknown proposal 404 (rule 24)."""
    assert (await desk.decide(ORDER, "SellerAccepted")).error == (404, "UnknownOrderError")
    await desk.sell(1)
    await desk.propose(ORDER, ITEM)
    for bad in ("AwaitingSellerConfirmation", "nonsense", ""):
        refused = await desk.decide(ORDER, bad)
        assert refused.error == (400, "PatchNotAllowedOnPropertyError")
        assert "$.orderProposalStatus" in refused.body["description"]
    assert await status(desk) == "AwaitingSellerConfirmation"


async def test_a_note_alone_decides_nothing(desk: FrontEnd) -> None:
    """A PATCH of a proposal without `orderProposalStatus` is 204 and changes nothing."""
    await desk.sell(3)
    path = f"/order-proposals/{ORDER}"
    note = {"@type": "OrderProposal", "orderCustomerNote": "Sorry."}
    assert (await desk.call("PATCH", path, note)).error == (404, "UnknownOrderError")
    await desk.propose(ORDER, ITEM)
    before = (await desk.call("GET", path)).body
    for body in (note, {}, note | {"orderProposalStatus": None}):
        assert (await desk.call("PATCH", path, body)).status == 204
        assert (await desk.call("GET", path)).body == before
    await desk.decide(ORDER, "SellerAccepted")
    assert (await desk.book_proposal(ORDER)).status == 201
    assert (await desk.call("PATCH", path, note)).error == (404, "UnknownOrderError")


async def test_there_must_be_something_to_propose_or_to_book(desk: FrontEnd) -> None:
    """P without OrderItems, and B without a proposal, give a 400 by its place (rule 24)."""
    for answer in (
        await desk.propose(ORDER),
        await desk.call("PUT", f"/order-proposals/{ORDER}", {}),
        await desk.book_proposal(ORDER),
    ):
        assert answer.error == (400, "OpenBookingError")
        assert "$.orderedItem" in answer.body["description"]
