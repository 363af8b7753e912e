"""Orders that their Seller has to approve of."""

from __future__ import annotations

import pytest

from tests.front_end.broker import API, PAYMENT, Answer, Broker, new_order

REJECT = {"orderProposalStatus": "https://openactive.io/CustomerRejected"}


async def proposed(broker: Broker) -> tuple[str, Answer]:
    """Propose an Order for one space, and return its Opportunity and the answer to P."""
    id_, order = await broker.create(flow="Approval"), new_order()
    assert (await broker.c2(order, id_)).body["orderRequiresApproval"] is True
    answer = await broker.p(order, id_)
    assert answer.status == 201
    return id_, answer


async def b_after_p(broker: Broker, proposal: Answer, version: str | None = None) -> Answer:
    """Book what was proposed."""
    body = {
        "@type": "Order",
        "orderProposalVersion": version or proposal.body["orderProposalVersion"],
        "payment": PAYMENT,
    }
    return await broker.call("PUT", f"{API}/orders/{proposal.body['identifier']}", body)


async def test_an_accepted_proposal_becomes_an_order(broker: Broker) -> None:
    """P keeps the lease, the Seller accepts, B books the same OrderItems, and P is over."""
    id_, proposal = await proposed(broker)
    order = proposal.body["identifier"]
    await broker.sees(id_, 9)
    await broker.act("SellerAcceptOrderProposal", proposal)
    told = (await broker.feed(f"{API}/order-proposals-rpde"))[order]["data"]
    assert told["orderProposalStatus"] == "https://openactive.io/SellerAccepted"
    booked = await b_after_p(broker, proposal)
    assert booked.status == 201
    assert [item["@id"] for item in booked.body["orderedItem"]] == [
        item["@id"] for item in proposal.body["orderedItem"]
    ]
    assert await b_after_p(broker, proposal) == booked
    assert (await broker.feed(f"{API}/order-proposals-rpde"))[order]["state"] == "deleted"
    assert await broker.published(id_) == 9


@pytest.mark.parametrize("by", ["Seller", "Customer"])
async def test_a_rejected_proposal_books_nothing(broker: Broker, by: str) -> None:
    """After a rejection by either side B fails, and the spaces do not come back at once."""
    id_, proposal = await proposed(broker)
    await broker.sees(id_, 9)
    order = proposal.body["identifier"]
    if by == "Seller":
        await broker.act("SellerRejectOrderProposal", proposal)
    else:
        path = f"{API}/order-proposals/{order}"
        assert (await broker.call("PATCH", path, REJECT)).status == 204
    told = (await broker.feed(f"{API}/order-proposals-rpde"))[order]["data"]
    assert told["orderProposalStatus"] == f"https://openactive.io/{by}Rejected"
    refused = await b_after_p(broker, proposal)
    assert (refused.status, refused.body["@type"]) == (500, "OrderCreationFailedError")
    assert await broker.published(id_) == 9


async def test_only_what_was_accepted_is_booked(broker: Broker) -> None:
    """B before the Seller's answer, and B of another version, fail."""
    _, proposal = await proposed(broker)
    assert (await b_after_p(broker, proposal)).body["@type"] == "OrderCreationFailedError"
    await broker.act("SellerAcceptOrderProposal", proposal)
    outdated = await b_after_p(broker, proposal, "https://example.com/versions/0")
    assert outdated.body["@type"] == "OrderProposalVersionOutdatedError"


async def test_approval_cannot_be_passed_over(broker: Broker) -> None:
    """B of what needs the Seller's approval fails without a proposal, and takes no space."""
    id_ = await broker.create(flow="Approval")
    assert (await broker.b(new_order(), id_)).body["@type"] == "OrderCreationFailedError"
    assert await broker.published(id_) == 10


async def test_p_again_is_answered_the_same(broker: Broker) -> None:
    """The same P again has the same body, to the letter."""
    id_, proposal = await proposed(broker)
    assert await broker.p(proposal.body["identifier"], id_) == proposal
