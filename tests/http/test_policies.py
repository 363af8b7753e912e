from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.settings import Settings
from tests.http.application import api
from tests.http.front_end import ITEM, OPENACTIVE, SELLER, UUIDS, FrontEnd
from tests.http.served import Client, MakeClient
from tests.http.test_requests import refusal
from tests.servers import RedisServer

ORDER, OTHER = UUIDS[:2]
POLICY = {
    "@type": "Organization",
    "@id": SELLER,
    "taxMode": "https://openactive.io/TaxGross",
    "leasing": {
        "anonymous": {"duration": "PT300S"},
        "named": None,
        "proposal": {"duration": "P7D"},
        "maximumHold": "PT7200S",
        "maximumSpaces": 10,
        "maximumLeases": 500,
        "paymentWindow": "PT90S",
    },
}


@pytest.fixture
async def replica(
    aiohttp_client: MakeClient, valkey_server: RedisServer, settings: Settings
) -> AsyncIterator[FrontEnd]:
    """Give a front-end of a second replica of the service, on the same Redis."""
    batcher = Batcher(connection_factory(valkey_server.url))
    yield FrontEnd(await aiohttp_client(api(batcher, settings)))
    await batcher.close()


def seconds_left(expires: datetime) -> float:
    """Return how long it is until then."""
    return (expires - datetime.now(UTC)).total_seconds()


async def test_a_policy_is_kept_as_it_was_given(desk: FrontEnd) -> None:
    """`PUT /sellers` answers the policy, and `GET` shows it until it is replaced (rule 14)."""
    unknown = await desk.call("GET", "/sellers")
    assert unknown.error == (404, "OpenBookingError")
    put = await desk.call("PUT", "/sellers", POLICY)
    assert (put.status, put.body) == (200, POLICY)
    assert (await desk.call("GET", "/sellers")).body == POLICY
    await desk.call("PUT", "/sellers", {"leasing": {"maximumSpaces": 3}})
    shown = (await desk.call("GET", "/sellers")).body
    assert shown["leasing"] == {"maximumSpaces": 3}
    assert "taxMode" not in shown


async def test_one_seller_needs_no_name(client: Client) -> None:
    """`@id` and `?seller=` may be left out, but not differ (contract, «Calls»)."""
    response = await client.put("/sellers", json={"leasing": {"maximumSpaces": 3}})
    assert (await response.json(content_type=None))["@id"] == "default"
    assert (await client.get("/sellers")).status == 200
    response = await client.put("/sellers", json=POLICY, params={"seller": "another"})
    assert "two different Sellers" in await refusal(response, 400)
    await refusal(await client.get("/sellers", params={"seller": "another"}), 404)


@pytest.mark.parametrize(
    ("leasing", "place"),
    [
        ({"named": {"duration": "soon"}}, "$.leasing.named.duration"),
        ({"named": {"duration": 900}}, "$.leasing.named.duration"),
        ({"named": {"duration": None}}, "$.leasing.named.duration"),
        ({"named": {"duration": "P1M"}}, "$.leasing.named.duration"),
        ({"named": {"duration": "PT15"}}, "$.leasing.named.duration"),
        ({"named": {"duration": "PT" + "9" * 30 + "S"}}, "$.leasing.named.duration"),
        ({"named": {"duration": "PT0S"}}, "Expected duration to be of whole seconds"),
        ({"named": {"duration": "PT0S"}}, "$.leasing.named"),
        ({"named": {"duration": "PT0.5S"}}, "$.leasing.named"),
        ({"proposal": {"duration": "P367D"}}, "$.leasing.proposal"),
        ({"anonymous": {"duration": "-PT5M"}}, "$.leasing.anonymous"),
        ({"anonymous": {}}, "`duration` - at `$.leasing.anonymous`"),
        ({"anonymous": "PT5M"}, "$.leasing.anonymous"),
        ({"maximumHold": "a day"}, "$.leasing.maximumHold"),
        ({"maximumHold": "PT0S"}, "Expected maximumHold to be"),
        ({"paymentWindow": "PT0S"}, "Expected paymentWindow to be"),
        ({"maximumSpaces": 0}, "$.leasing.maximumSpaces"),
        ({"maximumLeases": 2.5}, "$.leasing.maximumLeases"),
    ],
)
async def test_a_bad_policy_is_refused_by_its_place(
    desk: FrontEnd, leasing: dict[str, Any], place: str
) -> None:
    """What is no policy gives a 400 that names the place, and none is kept (rules 14 and 24)."""
    refused = await desk.call("PUT", "/sellers", {"leasing": leasing})
    assert refused.error == (400, "OpenBookingError")
    assert place in refused.body["description"]
    assert (await desk.call("GET", "/sellers")).status == 404


async def test_a_tax_mode_is_one_of_the_standards(desk: FrontEnd) -> None:
    """Any other `taxMode` gives a 400 that names the place (rule 24)."""
    refused = await desk.call("PUT", "/sellers", {"taxMode": "TaxGross"})
    assert "$.taxMode" in refused.body["description"]


async def test_a_policy_holds_from_the_next_call_on_at_every_replica(
    desk: FrontEnd, replica: FrontEnd
) -> None:
    """What one replica is told, another does at its next call (rule 14)."""
    await desk.sell(5)
    for asked, length in enumerate((60, 3_600, 120)):
        await desk.policy(anonymous={"duration": f"PT{length}S"})
        quoted = await replica.c1(UUIDS[asked], ITEM)
        assert length - 10 < seconds_left(quoted.expires) <= length + 1
    assert (await replica.call("GET", "/sellers")).body["leasing"] == {
        "anonymous": {"duration": "PT120S"}
    }


async def test_what_a_policy_leaves_out_comes_from_the_settings(desk: FrontEnd) -> None:
    """A new policy says everything anew: what it leaves out is as without one (rule 14)."""
    await desk.sell(5)
    await desk.policy(named={"duration": "PT1H"})
    assert seconds_left((await desk.c2(ORDER, ITEM)).expires) > 3_500
    await desk.policy(anonymous={"duration": "PT1H"})
    assert seconds_left((await desk.c2(OTHER, ITEM)).expires) <= 901


async def test_a_step_that_is_null_does_not_lease(desk: FrontEnd) -> None:
    """It checks availability and returns no `lease`; the other steps lease (rule 14)."""
    await desk.sell(1)
    await desk.policy(anonymous=None)
    for _ in range(2):
        quoted = await desk.c1(ORDER, ITEM)
        assert quoted.status == 200
        assert "lease" not in quoted.body
        assert await desk.free() == 1
    assert (await desk.c1(ORDER, ITEM, ITEM)).status == 409
    assert "lease" in (await desk.c2(ORDER, ITEM)).body
    assert await desk.free() == 0


async def test_the_maximum_hold_does_not_begin_anew(desk: FrontEnd) -> None:
    """An Order UUID that is released and leased again is held no longer than before (rule 11)."""
    await desk.sell(1)
    await desk.policy(named={"duration": "PT1H"}, maximumHold="PT1M")
    first = await desk.c2(ORDER, ITEM)
    assert seconds_left(first.expires) <= 60
    await desk.call("DELETE", f"/order-quotes/{ORDER}")
    assert (await desk.c2(ORDER, ITEM)).expires == first.expires


async def test_an_order_may_have_so_many_spaces(desk: FrontEnd) -> None:
    """OrderItems beyond `maximumSpaces` have `OpportunityIsInConflictError` (rule 14)."""
    await desk.sell(9)
    await desk.policy(maximumSpaces=2)
    quoted = await desk.c1(ORDER, *[ITEM] * 3)
    assert (quoted.status, quoted.errors) == (409, [None, None, "OpportunityIsInConflictError"])
    assert await desk.free() == 9
    refused = await desk.book(ORDER, *[ITEM] * 3)
    assert refused.error == (409, "UnableToProcessOrderItemError")
    assert refused.errors[2] == "OpportunityIsInConflictError"
    assert (await desk.book(ORDER, *[ITEM] * 2)).status == 201


@pytest.mark.parametrize("verb", ["c1", "c2", "propose"])
async def test_a_booking_partner_may_have_so_many_leases(desk: FrontEnd, verb: str) -> None:
    """A new lease beyond `maximumLeases` is a 429 until the first one expires (rule 14)."""
    await desk.sell(9)
    await desk.policy(maximumLeases=2, anonymous={"duration": "PT50S"})
    await desk.c1(ORDER, ITEM)
    await desk.c2(OTHER, ITEM)
    refused = await getattr(desk, verb)(UUIDS[2], ITEM)
    assert refused.error == (429, "TooManyRequestsError")
    assert 40 < int(refused.headers["Retry-After"]) <= 51
    assert await desk.free() == 7
    assert (await desk.c2(ORDER, ITEM, ITEM)).status == 200
    assert (await desk.c1(UUIDS[3], ITEM, partner="another")).status == 200
    await desk.call("DELETE", f"/order-quotes/{OTHER}")
    assert (await getattr(desk, verb)(UUIDS[2], ITEM)).status in {200, 201}


async def pay(desk: FrontEnd, duration: object, uuid: str = ORDER) -> Any:
    """Ask for a payment window."""
    path = f"/order-quotes/{uuid}/payment-window"
    return await desk.call("PUT", path, {"duration": duration})


async def test_a_lease_lasts_while_money_moves(desk: FrontEnd) -> None:
    """A payment window goes beyond the maximum hold, once per lease (rule 27)."""
    await desk.sell(1)
    await desk.policy(maximumHold="PT30S", paymentWindow="PT10M")
    leased = await desk.c2(ORDER, ITEM)
    window = await pay(desk, "PT5M")
    assert (window.status, window.body["@type"]) == (200, "Lease")
    expires = datetime.fromisoformat(window.body["leaseExpires"])
    assert 290 < seconds_left(expires) <= 301
    assert expires > leased.expires
    assert (await desk.look(ORDER)).expires == expires
    for duration in ("PT10M", "PT1S"):
        assert (await pay(desk, duration)).body == window.body


@pytest.mark.parametrize(("leasing", "longest"), [({}, 120), ({"paymentWindow": "PT3M"}, 180)])
async def test_a_payment_window_is_as_long_as_the_policy_says(
    desk: FrontEnd, leasing: dict[str, Any], longest: int
) -> None:
    """It is 2 minutes at most unless the policy says otherwise (rule 27)."""
    await desk.sell(1)
    await desk.policy(named={"duration": "PT5S"}, **leasing)
    await desk.c2(ORDER, ITEM)
    await pay(desk, "P1D")
    assert longest - 10 < seconds_left((await desk.look(ORDER)).expires) <= longest + 1


async def test_a_payment_window_shortens_nothing(desk: FrontEnd) -> None:
    """A lease that lasts longer than the window stays as it is (rule 27)."""
    await desk.sell(1)
    leased = await desk.c2(ORDER, ITEM)
    assert (await pay(desk, "PT1S")).body == leased.body["lease"]


async def test_a_payment_window_needs_a_lease(desk: FrontEnd) -> None:
    """Without a live lease it is a 404, with a bad duration a 400 (rule 27)."""
    assert (await pay(desk, "PT2M")).error == (404, "UnknownOrderError")
    for bad in ("2 minutes", 120, None, "PT0S"):
        refused = await pay(desk, bad)
        assert refused.error == (400, "OpenBookingError")
        assert "duration" in refused.body["description"]


async def test_what_changed_is_in_the_log_by_its_name(desk: FrontEnd) -> None:
    """Each of these calls is one event, and says no more than how many spaces it was about."""
    await desk.sell(2)
    with capture_logs() as lines:
        await desk.policy()
        await desk.c2(ORDER, ITEM)
        await pay(desk, "PT1M")
        await desk.propose(ORDER, ITEM)
        await desk.propose(OTHER, ITEM, ITEM)
        await desk.decide(ORDER, "SellerAccepted")
        await desk.book_proposal(ORDER)
        await desk.cancel(ORDER, {"position": 0})
        await desk.cancel(ORDER, {"position": 1})
    assert [(line["event"], line.get("spaces")) for line in lines] == [
        ("seller.policy_set", None),
        ("lease.granted", 1),
        ("lease.payment_window", None),
        ("proposal.made", 1),
        ("proposal.refused", None),
        ("proposal.decided", None),
        ("order.booked", 1),
        ("order.cancelled", 1),
        ("request.refused", None),
    ]
    assert OPENACTIVE not in str(lines)
