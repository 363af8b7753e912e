"""An Order UUID is one Order's: of one Seller, whatever else has come under it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, web
from structlog.testing import capture_logs

from examples.booking_front_end.records import Records
from examples.booking_front_end.settings import Settings
from examples.booking_front_end.storage import Storage
from service.client import LeaseService, OrderName
from service.errors import OpenBookingError
from service.model import OrderItemRequest
from tests.front_end.broker import API, Answer, Broker, new_order, offer_of
from tests.front_end.conftest import serving
from tests.front_end.test_booking import CANCELLED, cancel

EXISTS = (500, "OrderAlreadyExistsError")
PARTNER = "booking-partner-1"
STEPS = ["c1", "c2", "p", "b"]


def said(answer: Answer) -> tuple[int, str]:
    """Return what was answered: the status, and the type of the body."""
    return answer.status, answer.body["@type"]


async def ordered(broker: Broker, order: str, how: str) -> Answer:
    """Let Seller 1 have an Order or an OrderProposal of this UUID, deleted or not."""
    id_ = await broker.create(flow="Approval" if how == "proposed" else "Simple")
    answer = await (broker.p if how == "proposed" else broker.b)(order, id_)
    assert answer.status == 201
    if how == "deleted":
        assert (await broker.call("DELETE", f"{API}/orders/{order}")).status == 204
    return answer


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("how", ["booked", "proposed", "deleted"])
async def test_another_sellers_uuid_is_taken(broker: Broker, how: str, step: str) -> None:
    """Whatever Seller 1 has under a UUID, Seller 2 is refused before the service is asked."""
    order, other = new_order(), broker.of_seller("2")
    first = await ordered(broker, order, how)
    id_ = await other.create()
    assert said(await getattr(other, step)(order, id_)) == EXISTS
    assert (await other.c1(new_order(), id_)).remaining() == [10]
    path = f"{API}/{'order-proposals' if how == 'proposed' else 'orders'}/{order}"
    assert (await other.call("GET", path)).status == 404
    assert (await broker.call("GET", path)).status == (410 if how == "deleted" else 200)
    if how == "booked":
        assert (await cancel(broker, first, 0)).status == 204
    assert (await broker.call("DELETE", f"{API}/order-quotes/{order}")).status == 204


@pytest.mark.parametrize(
    ("how", "step", "expected"),
    [
        ("booked", "c1", EXISTS),
        ("booked", "c2", EXISTS),
        ("booked", "p", EXISTS),
        ("proposed", "c1", EXISTS),
        ("proposed", "c2", EXISTS),
        ("deleted", "c1", EXISTS),
        ("deleted", "c2", EXISTS),
        ("deleted", "p", EXISTS),
        ("deleted", "b", EXISTS),
    ],
)
async def test_a_uuid_that_has_served_is_taken(
    broker: Broker, how: str, step: str, expected: tuple[int, str]
) -> None:
    """Rule 17: nothing new begins under the UUID of an Order that exists or was deleted."""
    order = new_order()
    await ordered(broker, order, how)
    assert said(await getattr(broker, step)(order, await broker.create())) == expected


async def test_one_of_two_sellers_gets_it(broker: Broker) -> None:
    """Of two B at the same time, for two Sellers under one UUID, one books and one is refused."""
    other = broker.of_seller("2")
    ids = await broker.create(), await other.create()
    for _ in range(5):
        order = new_order()
        answers = await asyncio.gather(broker.b(order, ids[0]), other.b(order, ids[1]))
        assert sorted(map(said, answers)) == [(201, "Order"), EXISTS]
        for seller, id_, answer in zip((broker, other), ids, answers, strict=True):
            assert (await seller.b(order, id_)).text == answer.text
            if answer.status == 201:
                assert (await cancel(seller, answer, 0)).status == 204
    for seller, id_ in zip((broker, other), ids, strict=True):
        assert (await seller.c1(new_order(), id_)).remaining() == [10]


async def test_the_test_interface_tells_booking_partners_apart(broker: Broker) -> None:
    """Two Booking Partners' Orders of one UUID have one `@id`: the Seller acts on the caller's."""
    other = broker.of_partner("booking-partner-2")
    id_, order = await broker.create(), new_order()
    for partner in (broker, other):
        assert (await partner.b(order, id_)).status == 201
    booked = await other.b(order, id_)
    await other.act("SellerRequestedCancellation", booked)
    statuses = [
        (await partner.call("GET", f"{API}/orders/{order}")).body["orderedItem"][0][
            "orderItemStatus"
        ]
        for partner in (broker, other)
    ]
    assert [status.rpartition("/")[2] for status in statuses] == [
        "OrderItemConfirmed",
        "SellerCancelled",
    ]


async def write_intent(settings: Settings, order: OrderName, verb: str, payload: str) -> None:
    """Leave an intent behind, as a front-end does that ends before it is carried out."""
    async with Storage.open(settings.database) as storage, storage.transaction() as transaction:
        await transaction.execute(
            "INSERT INTO intent (seller, partner, uuid, verb, digest, payload)"
            " VALUES (?, ?, ?, ?, '', ?)",
            (*order, verb, payload),
        )


async def intents(settings: Settings) -> int:
    """Return how many intents there are."""
    async with Storage.open(settings.database) as storage:
        return len(await storage.rows("SELECT 1 FROM intent"))


@pytest.mark.parametrize("verb", ["book", "propose"])
@pytest.mark.parametrize("step", STEPS)
async def test_an_unfinished_order_has_its_uuid(
    broker: Broker, settings: Settings, verb: str, step: str
) -> None:
    """While Seller 1's Order is not known to be made or not, its UUID is not Seller 2's."""
    order, other = new_order(), broker.of_seller("2")
    await write_intent(settings, OrderName(broker.seller, PARTNER, order), verb, "{}")
    assert said(await getattr(other, step)(order, await other.create())) == EXISTS


async def test_an_unfinished_booking_is_settled_before_a_quote(
    broker: Broker, settings: Settings
) -> None:
    """A booking that was made, and not written down, is known to C1 and C2 of its own Seller."""
    id_, order = await broker.create(), new_order()
    booked = await broker.b(new_order(), id_)
    answer = json.loads(booked.text.replace(booked.body["identifier"], order))
    name = OrderName(broker.seller, PARTNER, order)
    async with LeaseService.connect(settings.service_url) as service:
        await service.book(name, [item_of(id_)], customer=json.dumps(answer["customer"]).encode())
    payload = json.dumps({"answer": answer, "proposed": False})
    await write_intent(settings, name, "book", payload)
    assert said(await broker.c1(order, id_)) == EXISTS
    assert (await broker.call("GET", f"{API}/orders/{order}")).status == 200


def item_of(id_: str) -> OrderItemRequest:
    """Return a request for one space."""
    return OrderItemRequest(position=0, ordered_item=id_, accepted_offer=offer_of(id_))


async def left_by_an_older_run(settings: Settings, verb: str) -> tuple[str, str, OrderName]:
    """Let Seller 1 have an Order, and the service one of Seller 2 under the same UUID."""
    order = new_order()
    async with serving(settings) as broker:
        other = broker.of_seller("2")
        mine, theirs = await broker.create(), await other.create(flow="Approval")
        assert (await broker.b(order, mine)).status == 201
        answer = (await other.p(new_order(), theirs)).body
        for item in answer["orderedItem"]:
            item["orderItemStatus"] = "https://openactive.io/OrderItemConfirmed"
    name = OrderName(other.seller, PARTNER, order)
    async with LeaseService.connect(settings.service_url) as service:
        customer = json.dumps(answer["customer"]).encode()
        make = service.book if verb == "book" else service.propose
        await make(name, [item_of(theirs)], customer=customer)
    await write_intent(settings, name, verb, json.dumps({"answer": answer, "proposed": False}))
    return mine, theirs, name


@pytest.mark.parametrize("verb", ["book", "propose"])
async def test_what_cannot_be_written_down_is_taken_back(settings: Settings, verb: str) -> None:
    """An older run's second Order under one UUID, never answered, is given back, and said."""
    mine, theirs, name = await left_by_an_older_run(settings, verb)
    with capture_logs() as lines:
        async with serving(settings) as broker:
            assert await intents(settings) == 0
            path = f"{API}/orders/{name.uuid}"
            assert (await broker.call("GET", path)).status == 200
            assert (await broker.call("DELETE", path)).status == 204
            await broker.sees(mine, 10)
            if verb == "book":
                await broker.sees(theirs, 9)
    assert [line["uuid"] for line in lines if line["event"] == "intent.taken_back"] == [name.uuid]
    async with LeaseService.connect(settings.service_url) as service:
        if verb == "book":
            with pytest.raises(OpenBookingError):
                await service.look_at_order(name)
        else:
            proposal = await service.look_at_proposal(name)
            assert proposal.order_proposal_status == "https://openactive.io/SellerRejected"


GARBAGE = [
    ("book", "not JSON"),
    ("book", "null"),
    ("book", "[]"),
    ("book", "{}"),
    ("book", '{"answer": {"orderedItem": [{}]}}'),
    ("propose", '{"answer": null}'),
    ("cancel", "{}"),
    ("cancel", '{"items": [7], "status": null}'),
    ("cancel", '{"items": ["no position"], "status": "https://openactive.io/SellerCancelled"}'),
    ("decide", '{"status": 7}'),
    ("decide", '{"status": "https://openactive.io/Undecided"}'),
    ("delete", "not JSON"),
    ("dance", "{}"),
    ("", ""),
]


@pytest.mark.parametrize("whose", ["1", "2", "nobody"])
@pytest.mark.parametrize(("verb", "payload"), GARBAGE)
async def test_garbage_stops_nobody(
    settings: Settings, verb: str, payload: str, whose: str
) -> None:
    """Whatever an intent says, the front-end starts, says so, and the UUID's own Order lives."""
    order = new_order()
    async with serving(settings) as broker:
        id_ = await broker.create()
        booked = await broker.b(order, id_)
    seller = broker.of_seller(whose).seller if whose != "nobody" else "no\nbody"
    await write_intent(settings, OrderName(seller, PARTNER, order), verb, payload)
    with capture_logs() as lines:
        async with serving(settings) as broker:
            assert (await broker.feed(f"{API}/orders-rpde")).keys() <= {order}
            assert (await cancel(broker, booked, 0)).status == 204
            (item,) = (await broker.call("GET", f"{API}/orders/{order}")).body["orderedItem"]
            assert item["orderItemStatus"] == CANCELLED
    assert [line["uuid"] for line in lines if line["event"] == "intent.dropped"] == [order]
    assert await intents(settings) == 0


async def test_text_that_is_none_stops_nobody(settings: Settings) -> None:
    """A row with bytes that are no UTF-8 does not keep the front-end from starting."""
    async with Storage.open(settings.database) as storage, storage.transaction() as transaction:
        await transaction.execute(
            "INSERT INTO intent (seller, partner, uuid, verb, digest, payload)"
            " SELECT text, text, text, text, text, text"
            " FROM (SELECT CAST(x'ff00fe' AS TEXT) AS text)"
        )
    with capture_logs() as lines:
        async with serving(settings) as broker:
            assert (await broker.b(new_order(), await broker.create())).status == 201
    assert "intent.dropped" in {line["event"] for line in lines}


@pytest.fixture(
    params=[
        (200, "text/html", "<h1>Hello</h1>"),
        (200, "application/json", "{}"),
        (204, "text/plain", ""),
        (400, "application/json", '{"@type": "OpenBookingError", "statusCode": 400}'),
        (401, "text/plain", "who?"),
        (404, "text/html", "<h1>Not here</h1>"),
        (429, "text/plain", "later"),
        (500, "application/json", "null"),
        (502, "text/html", "<h1>Bad gateway</h1>"),
        (503, "text/plain", "later"),
        None,
    ],
    ids=str,
)
async def odd_service(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Give the address of something that is no lease service; it may never answer."""
    given: tuple[int, str, str] | None = request.param

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        if given is None:
            await asyncio.Event().wait()
            raise AssertionError
        status, content_type, text = given
        return web.Response(status=status, text=text or None, content_type=content_type)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


VERBS = ("book", "propose", "cancel", "decide", "delete")


async def test_any_answer_lets_it_start(settings: Settings, odd_service: str) -> None:
    """`repair` ends whatever is answered, also nothing, and says what it did not settle."""
    orders = {OrderName("s", "p", new_order()): verb for verb in VERBS}
    payloads: dict[str, Any] = {
        "cancel": {"items": ["x#/orderedItem/0"], "status": CANCELLED},
        "decide": {"status": "https://openactive.io/SellerAccepted"},
    }
    for order, verb in orders.items():
        await write_intent(settings, order, verb, json.dumps(payloads.get(verb, {})))
    with capture_logs() as lines:
        async with (
            Storage.open(settings.database) as storage,
            ClientSession() as session,
        ):
            service = LeaseService(session, odd_service, patience_seconds=0)
            records = Records(storage, service)
            async with asyncio.timeout(30):
                unsettled = await records.repair(patience_seconds=0.5)
    named = {line["uuid"] for line in lines if line["event"].startswith("intent.")}
    assert {order.uuid for order in unsettled} <= named
    for order, verb in orders.items():
        if verb in {"book", "propose"}:
            assert order.uuid in named


async def test_a_service_that_is_away_is_waited_for_a_while(settings: Settings) -> None:
    """What the service did not answer about is kept, and settled by the next start."""
    async with serving(settings) as broker:
        id_, order = await broker.create(), new_order()
        booked = await broker.b(order, id_)
    payload = {"items": [booked.body["orderedItem"][0]["@id"]], "status": CANCELLED}
    name = OrderName(broker.seller, PARTNER, order)
    await write_intent(settings, name, "cancel", json.dumps(payload))
    async with Storage.open(settings.database) as storage:
        async with LeaseService.connect("http://127.0.0.1:9", patience_seconds=0) as nobody:
            assert await Records(storage, nobody).repair(patience_seconds=0.1) == [name]
        async with LeaseService.connect(settings.service_url) as service:
            assert await Records(storage, service).repair() == []
    assert await intents(settings) == 0
    async with serving(settings) as broker:
        status = (await broker.call("GET", f"{API}/orders/{order}")).body["orderedItem"]
        assert status[0]["orderItemStatus"] == CANCELLED
