"""What the front-end refuses, in the words and with the status of the standard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from examples.booking_front_end.settings import Settings
from tests.front_end.broker import API, CUSTOMER, SLOT, Answer, Broker, new_order, offer_of
from tests.front_end.conftest import edit
from tests.front_end.test_booking import CANCELLED, cancel

PARTIES = [
    ({"broker": {"@type": "Organization"}}, 400, "IncompleteBrokerDetailsError"),
    ({"brokerRole": "https://openactive.io/NoBroker"}, 400, "IncompleteBrokerDetailsError"),
    ({"customer": None}, 400, "IncompleteCustomerDetailsError"),
    ({"customer": {"@type": "Person"}}, 400, "IncompleteCustomerDetailsError"),
    ({"seller": "https://example.com/nobody"}, 500, "SellerNotFoundError"),
]


def said(answer: Answer) -> tuple[int, str]:
    """Return status and type, once the body agrees with the status."""
    assert answer.body["statusCode"] == answer.status
    assert answer.body["@context"] == "https://openactive.io/"
    return answer.status, answer.body["@type"]


@pytest.mark.parametrize(("more", "status", "type_"), PARTIES)
@pytest.mark.parametrize("step", ["c2", "p", "b"])
async def test_parties(
    broker: Broker, step: str, more: dict[str, Any], status: int, type_: str
) -> None:
    """Whoever takes part has to be known, at C2, P and B alike."""
    answer = await getattr(broker, step)(new_order(), await broker.create(), **more)
    assert said(answer) == (status, type_)


async def test_a_reseller_answers_for_the_customer(broker: Broker) -> None:
    """With a Reseller there need not be a Customer."""
    role = {"brokerRole": "https://openactive.io/ResellerBroker", "customer": None}
    assert (await broker.c2(new_order(), await broker.create(), **role)).status == 200


async def test_sellers(broker: Broker) -> None:
    """The body's Seller is the one that the caller may sell for, and that of every OrderItem."""
    id_, other = await broker.create(), broker.of_seller("2")
    wrong = await broker.c1(new_order(), id_, seller=other.seller)
    assert said(wrong) == (401, "InvalidAuthorizationDetailsError")
    assert said(await other.c1(new_order(), id_)) == (500, "SellerMismatchError")


@pytest.mark.parametrize(
    ("criterion", "type_"),
    [
        ("InPast", "OpportunityOfferPairNotBookableError"),
        ("OutsideValidFromBeforeStartDate", "OpportunityOfferPairNotBookableError"),
        ("NoSpaces", "OpportunityIsFullError"),
    ],
)
async def test_what_cannot_be_booked(broker: Broker, criterion: str, type_: str) -> None:
    """The whole Order comes back with 409, and the OrderItem says why, at C1 and at B."""
    id_ = await broker.create(criterion=criterion)
    for answer in (await broker.c1(new_order(), id_), await broker.b(new_order(), id_)):
        assert (answer.status, answer.errors()) == (409, [type_])


def at(minutes: int) -> str:
    """Return an instant that is so many minutes ahead."""
    return f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize(
    ("properties", "is_bookable"),
    [
        ({"eventStatus": "https://schema.org/EventCancelled"}, False),
        ({"eventStatus": "https://schema.org/EventPostponed"}, False),
        ({"eventStatus": "EventCancelled"}, False),
        ({"eventStatus": "https://schema.org/EventRescheduled"}, True),
        ({"eventStatus": None}, True),
        ({"startDate": -30, "endDate": 30}, True),
        ({"startDate": -90, "endDate": -30}, False),
        ({"startDate": -30, "endDate": 30, "duration": "PT10M"}, True),
        ({"startDate": -30, "endDate": None, "duration": "PT1H"}, True),
        ({"startDate": -90, "endDate": None, "duration": "PT1H"}, False),
        ({"startDate": -30, "endDate": None, "duration": None}, False),
        ({"startDate": 30, "endDate": None, "duration": None}, True),
    ],
)
async def test_what_is_called_off_or_over_cannot_be_booked(
    broker: Broker, settings: Settings, properties: dict[str, Any], *, is_bookable: bool
) -> None:
    """Rule 30: until its end an event is bookable, unless it is cancelled or postponed."""
    id_ = await broker.create()
    changed = {
        name: at(value) if isinstance(value, int) else value for name, value in properties.items()
    }
    await edit(settings, id_, **changed)
    for step in (broker.c1, broker.c2, broker.p, broker.b):
        answer = await step(new_order(), id_)
        if is_bookable:
            assert answer.status in {200, 201}
        else:
            assert (answer.status, answer.errors()) == (
                409,
                ["OpportunityOfferPairNotBookableError"],
            )


async def test_a_series_may_be_called_off(broker: Broker, settings: Settings) -> None:
    """Rule 30: a session without an `eventStatus` has its series'."""
    id_ = await broker.create()
    await edit(settings, id_, eventStatus=None)
    series = id_.partition("/events/")[0]
    await edit(settings, series, eventStatus="https://schema.org/EventCancelled")
    assert (await broker.c1(new_order(), id_)).errors() == ["OpportunityOfferPairNotBookableError"]


async def test_an_offer_may_be_closed(broker: Broker, settings: Settings) -> None:
    """Rule 30: an Offer whose `openBookingInAdvance` is Unavailable cannot be booked."""
    id_ = await broker.create(SLOT)
    offer = {"@type": "Offer", "@id": offer_of(id_), "price": 1, "priceCurrency": "GBP"}
    unavailable = {"openBookingInAdvance": "https://openactive.io/Unavailable"}
    await edit(settings, id_, offers=[offer | unavailable])
    assert (await broker.c1(new_order(), id_)).errors() == ["OpportunityOfferPairNotBookableError"]


@pytest.mark.parametrize("step", ["p", "b"])
async def test_nothing_cannot_be_booked(broker: Broker, step: str) -> None:
    """P and B without OrderItems are refused, and say what is missing."""
    answer = await getattr(broker, step)(new_order())
    assert said(answer) == (400, "OpenBookingError")
    assert "$.orderedItem" in answer.body["description"]


async def test_an_error_leaves_the_rest_leased(broker: Broker) -> None:
    """Rule 5: beside an OrderItem with an error, another Opportunity is leased all the same."""
    past, sound = await broker.create(criterion="InPast"), await broker.create()
    quoted = await broker.c1(new_order(), past, sound)
    assert quoted.errors() == ["OpportunityOfferPairNotBookableError", None]
    assert "lease" in quoted.body
    await broker.sees(sound, 9)


async def test_incomplete_and_unknown_items(broker: Broker) -> None:
    """An OrderItem without its Opportunity or Offer, or with unknown ones, says so."""
    id_ = await broker.create()
    body = broker.body(id_, id_, id_, id_)
    first, second, third, fourth = body["orderedItem"]
    del first["orderedItem"], second["acceptedOffer"]
    third["orderedItem"] = "https://example.com/unknown"
    fourth["acceptedOffer"] = "https://example.com/unknown"
    answer = await broker.call("PUT", f"{API}/order-quotes/{new_order()}", body)
    assert answer.status == 409
    assert answer.errors() == [
        "IncompleteOrderItemError",
        "IncompleteOrderItemError",
        "UnknownOpportunityError",
        "UnknownOfferError",
    ]


async def test_prepayment_required_and_unavailable(broker: Broker) -> None:
    """What has to be paid in advance and what cannot be do not go into one Order."""
    required = await broker.create(criterion="NonFreePrepaymentRequired")
    unavailable = await broker.create(criterion="NonFreePrepaymentUnavailable")
    mixed = await broker.c1(new_order(), required, unavailable)
    assert mixed.errors() == ["OpportunityIsInConflictError"] * 2


@pytest.mark.parametrize(
    ("criterion", "more", "type_"),
    [
        ("", {"totalPaymentDue": {"price": 1}}, "TotalPaymentDueMismatchError"),
        ("", {"payment": None}, "MissingPaymentDetailsError"),
        ("", {"payment": {"@type": "Payment"}}, "IncompletePaymentDetailsError"),
        ("Free", {}, "UnnecessaryPaymentDetailsError"),
        ("NonFreePrepaymentUnavailable", {}, "UnnecessaryPaymentDetailsError"),
    ],
)
async def test_payment(broker: Broker, criterion: str, more: dict[str, Any], type_: str) -> None:
    """B is refused with another sum or payment than the Order needs, and the lease stands."""
    id_, order = await broker.create(criterion=criterion), new_order()
    await broker.c2(order, id_)
    assert said(await broker.b(order, id_, **more)) == (400, type_)
    await broker.sees(id_, 9)


@pytest.mark.parametrize(
    ("criterion", "status"),
    [
        ("NotCancellable", 400),
        ("CancellableOutsideWindow", 400),
        ("CancellableWithinWindow", 204),
    ],
)
async def test_cancellation_window(broker: Broker, criterion: str, status: int) -> None:
    """An OrderItem is cancelled while its Offer allows it."""
    booked = await broker.b(new_order(), await broker.create(criterion=criterion))
    answer = await cancel(broker, booked, 0)
    assert answer.status == status
    if status != 204:
        assert said(answer) == (400, "CancellationNotPermittedError")


async def test_patches(broker: Broker) -> None:
    """A PATCH may cancel OrderItems of its own Order, and nothing else."""
    id_, order = await broker.create(), new_order()
    item = (await broker.b(order, id_)).body["orderedItem"][0]["@id"]

    async def patch(uuid: str, item: str, status: str = CANCELLED, **more: object) -> Any:
        items = [{"@type": "OrderItem", "@id": item, "orderItemStatus": status}]
        body = {"@type": "Order", "orderedItem": items, **more}
        return said(await broker.call("PATCH", f"{API}/orders/{uuid}", body))

    assert await patch(order, item, **{"@id": "excessiveField"}) == (
        400,
        "PatchContainsExcessivePropertiesError",
    )
    refused = "https://openactive.io/CustomerAttended"
    assert await patch(order, item, customer=CUSTOMER) == (
        400,
        "PatchContainsExcessivePropertiesError",
    )
    assert await patch(order, item, refused) == (400, "PatchNotAllowedOnPropertyError")
    assert await patch(order, f"{item}-0-") == (500, "OrderItemIdInvalidError")
    assert await patch(new_order(), item) == (500, "OrderItemNotWithinOrderError")
    assert await patch(order, f"{item}9") == (500, "OrderItemNotWithinOrderError")


CUSTOM = {"acme:reason": "ill", "beta:note": {"acme:x": None}}


@pytest.mark.parametrize(("of_order", "of_item"), [(CUSTOM, {}), ({}, CUSTOM), (CUSTOM, CUSTOM)])
async def test_extensions_are_ignored_in_a_patch(
    broker: Broker, of_order: dict[str, Any], of_item: dict[str, Any]
) -> None:
    """Properties of a custom namespace are no part of what a PATCH would change."""
    booked = await broker.b(new_order(), await broker.create())
    item = {"@type": "OrderItem", "@id": booked.body["orderedItem"][0]["@id"], **of_item}
    items = [item | {"orderItemStatus": CANCELLED}]
    body = {"@type": "Order", "@id": booked.body["@id"], "orderedItem": items, **of_order}
    path = f"{API}/orders/{booked.body['identifier']}"
    assert (await broker.call("PATCH", path, body)).status == 204
    current = (await broker.call("GET", path)).body
    assert current["orderedItem"][0]["orderItemStatus"] == CANCELLED
    assert "acme" not in str(current)


async def test_patches_of_a_proposal(broker: Broker) -> None:
    """A Customer may reject, or leave a note, and change nothing else."""
    proposed = await broker.p(new_order(), await broker.create(flow="Approval"))
    path = f"{API}/order-proposals/{proposed.body['identifier']}"
    status = {"orderProposalStatus": "https://openactive.io/CustomerRejected"}
    note = {"@type": "OrderProposal", "@id": proposed.body["@id"], "orderCustomerNote": "Sorry."}
    other = await broker.call("PATCH", path, status | {"customer": CUSTOMER})
    assert said(other) == (400, "PatchContainsExcessivePropertiesError")
    accepted = {"orderProposalStatus": "https://openactive.io/SellerAccepted"}
    assert said(await broker.call("PATCH", path, accepted)) == (
        400,
        "PatchNotAllowedOnPropertyError",
    )
    assert (await broker.call("PATCH", path, note | CUSTOM)).status == 204
    nobodys = f"{API}/order-proposals/{new_order()}"
    unknown = await broker.call("PATCH", nobodys, note | {"@id": None})
    assert said(unknown) == (404, "UnknownOrderError")
    assert (await broker.call("GET", path)).body["orderProposalStatus"].endswith("Confirmation")
    assert (await broker.call("PATCH", path, status | note | CUSTOM)).status == 204
    assert (await broker.call("GET", path)).body["orderProposalStatus"].endswith("Rejected")


PLACES = [
    ("", 200),
    ("?afterChangeNumber=0", 200),
    ("?afterTimestamp=1", 200),
    ("?x=1", 200),
    ("?afterId=a", 400),
    ("?afterTimestamp=1&afterId=a", 400),
    ("?afterChangeNumber=1&afterChangeNumber=1", 400),
    ("?afterChangeNumber=1&afterChangeNumber=2", 400),
    ("?afterChangeNumber=1&afterTimestamp=1", 400),
    ("?afterTimestamp=1&afterTimestamp=1", 400),
    ("?afterchangenumber=1", 400),
    ("?afterChangeNumber=", 400),
    ("?afterChangeNumber=-1", 400),
    ("?afterTimestamp=now", 400),
]


@pytest.mark.parametrize(("query", "status"), PLACES)
async def test_places_in_a_feed(broker: Broker, query: str, status: int) -> None:
    """A place that a feed cannot know is refused, and does not begin it anew."""
    for path in (f"{API}/orders-rpde", f"{API}/order-proposals-rpde", "/feeds/session-series"):
        answer = await broker.call("GET", f"{path}{query}")
        assert answer.status == status
        if status == 400:
            assert said(answer) == (400, "OpenBookingError")
            assert "after" in answer.body["description"]


async def test_what_is_after_a_place(broker: Broker) -> None:
    """Either way to name a place gives what was modified after it, and nothing else."""
    for _ in range(2):
        await broker.act("CustomerNotice", await broker.b(new_order(), await broker.create()))
    path = f"{API}/orders-rpde"
    first, second = (await broker.call("GET", path)).body["items"]
    for name in ("afterChangeNumber", "afterTimestamp"):
        page = await broker.call("GET", f"{path}?{name}={first['modified']}")
        assert page.body["items"] == [second]


CRITERION = {
    "test:testOpportunityCriteria": "https://openactive.io/test-interface#x",
    "test:testOpenBookingFlow": "https://openactive.io/test-interface#x",
}


@pytest.mark.parametrize("path", ["datasets/tests/opportunities", "actions"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        {},
        {"@type": "Slot"},
        {"@type": 5, "object": 5},
        {"@type": "test:x", "object": {}},
        CRITERION | {"@type": "ScheduledSession"},
        CRITERION | {"@type": "ScheduledSession", "superEvent": {"organizer": {}}},
        CRITERION | {"@type": "Slot", "facilityUse": {"provider": {"@id": "x"}}},
        CRITERION | {"@type": "Event", "superEvent": {"organizer": {"@id": "x"}}},
    ],
)
async def test_a_test_interface_says_what_it_needs(
    broker: Broker, path: str, body: object
) -> None:
    """What the test interface cannot use is its caller's mistake."""
    answer = await broker.call("POST", f"{API}/test-interface/{path}", body)
    assert said(answer) == (400, "OpenBookingError")


async def test_the_edge(broker: Broker) -> None:
    """Unknown paths, verbs and callers are refused in the standard's words too."""
    assert said(await broker.call("GET", f"{API}/nothing")) == (
        404,
        "UnknownOrIncorrectEndpointError",
    )
    assert said(await broker.call("POST", f"{API}/orders-rpde")) == (405, "MethodNotAllowedError")
    broker.headers.clear()
    assert said(await broker.call("GET", f"{API}/orders-rpde")) == (403, "NoAPITokenError")
