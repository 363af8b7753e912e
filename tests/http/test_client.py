"""The client, over the real API and over servers that misbehave."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from service import errors
from service.client import LeaseService, OrderName
from service.model import LeasingPolicy, OrderItemPatch, OrderItemRequest, SellerPolicy
from tests.http.served import Client
from tests.servers import free_port

SELLER = "https://example.com/api/organisations/123"
OPPORTUNITY = "https://example.com/events/452/subEvents/132"
OFFER = "https://example.com/events/452#/offers/878"
ACCEPTED = "https://openactive.io/SellerAccepted"
CANCELLED = "https://openactive.io/CustomerCancelled"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def service(client: Client) -> AsyncIterator[LeaseService]:
    """Give a client of the API over the embedded Valkey, with an Opportunity of 3 spaces."""
    async with LeaseService.connect(str(client.make_url(""))) as service:
        done = await service.register([registration(OPPORTUNITY, 3)])
        assert done.registered == 1
        yield service


@pytest.fixture
async def misbehaving() -> AsyncIterator[Callable[..., Awaitable[LeaseService]]]:
    """Give a way to a client of a server that answers what the test says."""
    servers = []
    async with ClientSession() as session:

        async def start(handler: Handler, patience_seconds: float = 0.3) -> LeaseService:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", handler)
            server = TestServer(app)
            await server.start_server()
            servers.append(server)
            url = str(server.make_url(""))
            token = "secret"  # noqa: S105 - a test's
            return LeaseService(session, url, token=token, patience_seconds=patience_seconds)

        yield start
        for server in servers:
            await server.close()


def registration(id_: str, capacity: int) -> dict[str, object]:
    """Return an Opportunity as an open feed has it."""
    return {
        "@type": "ScheduledSession",
        "@id": id_,
        "seller": SELLER,
        "maximumAttendeeCapacity": capacity,
        "offers": [{"@type": "Offer", "@id": OFFER, "price": 10, "priceCurrency": "GBP"}],
    }


def new_order() -> OrderName:
    """Return the name of a new Order."""
    return OrderName(SELLER, "acme", str(uuid.uuid4()))


def spaces(number: int) -> list[OrderItemRequest]:
    """Return OrderItems for so many spaces."""
    return [OrderItemRequest(position, OPPORTUNITY, OFFER) for position in range(number)]


async def remaining(service: LeaseService) -> int:
    """Return how many spaces are free."""
    (found,) = await service.inspect(SELLER, [OPPORTUNITY])
    assert isinstance(found.remaining_attendee_capacity, int)
    return found.remaining_attendee_capacity


async def test_an_order_from_c1_to_its_end(service: LeaseService) -> None:
    """Each call of an Order's life is a method, and its answer a Struct."""
    order = new_order()
    await service.set_policy(SellerPolicy(id=SELLER, tax_mode="https://openactive.io/TaxGross"))
    assert (await service.quote_template(order, spaces(2))).quote.identifier == order.uuid
    assert await remaining(service) == 1
    quoted = await service.quote(order, spaces(3))
    assert quoted.quote.lease == (await service.look_at_quote(order)).lease
    booked = await service.book(order, spaces(3), customer=b'{"email": "a@example.com"}')
    assert booked.total_payment_due
    assert booked.total_payment_due.price == 30
    assert await service.look_at_order(order) == booked
    await service.cancel(order, [OrderItemPatch(order_item_status=CANCELLED, position=1)])
    assert await remaining(service) == 1
    await service.delete(order)
    assert await remaining(service) == 3
    with pytest.raises(errors.GoneError):
        await service.look_at_order(order)


async def test_a_proposal_becomes_an_order(service: LeaseService) -> None:
    """P, the Seller's decision, and B without OrderItems."""
    order = new_order()
    proposed = await service.propose(order, spaces(1))
    await service.decide(order, ACCEPTED)
    assert (await service.look_at_proposal(order)).order_proposal_status == ACCEPTED
    booked = await service.book(order, None)
    assert [item.position for item in booked.ordered_item] == [
        item.position for item in proposed.ordered_item
    ]


async def test_release(service: LeaseService) -> None:
    """A release says how many spaces came back."""
    order = new_order()
    await service.quote(order, spaces(2))
    assert (await service.release(order), await service.release(order)) == (2, 0)


async def test_a_refused_quote_is_an_answer(service: LeaseService) -> None:
    """A quote with errors is returned, since the Broker gets it whole; B that fails is raised."""
    await service.quote(new_order(), spaces(2))
    refused = await service.quote(new_order(), spaces(2))
    assert [bool(item.error) for item in refused.quote.ordered_item] == [False, True]
    assert refused.retry_after is not None
    with pytest.raises(errors.OpportunityHasInsufficientCapacityError) as raised:
        await service.book(new_order(), spaces(2))
    assert len(raised.value.ordered_item or ()) == 2
    strict = await service.quote(new_order(), spaces(2), strict=True)
    assert not strict.quote.lease


async def test_what_is_sold(service: LeaseService) -> None:
    """Any number of Opportunities is registered and withdrawn, and what is wrong is listed."""
    ids = [f"{OPPORTUNITY}/{number}" for number in range(2100)]
    bad = {"@id": "x", "@type": "ScheduledSession", "seller": SELLER}
    done = await service.register([*(registration(id_, 1) for id_ in ids), bad])
    assert (done.registered, done.failed, done.errors[0].index) == (2100, 1, 2100)
    assert len(await service.inspect(SELLER, ids)) == 2100
    await service.withdraw(SELLER, ids)
    assert await service.inspect(SELLER, ids) == []


async def test_a_policy_holds_from_the_next_call(service: LeaseService) -> None:
    """Rule 14: what a policy limits is refused at once."""
    await service.set_policy(SellerPolicy(id=SELLER, leasing=LeasingPolicy(maximum_spaces=1)))
    assert (await service.policy(SELLER)).leasing.maximum_spaces == 1
    quoted = await service.quote(new_order(), spaces(2))
    assert [bool(item.error) for item in quoted.quote.ordered_item] == [False, True]


async def test_a_payment_window(service: LeaseService) -> None:
    """Rule 27: a live lease is extended while money moves, and one that is not there is not."""
    order = new_order()
    with pytest.raises(errors.UnknownOrderError):
        await service.open_payment_window(order, timedelta(minutes=2))
    await service.quote_template(order, spaces(1))
    given = await service.open_payment_window(order, timedelta(minutes=2))
    assert given == (await service.look_at_quote(order)).lease


async def test_the_feed_is_followed_from_any_place(service: LeaseService) -> None:
    """Rule 22: whoever keeps the place of a page goes on behind it, and misses nothing."""
    first = await anext(service.follow())
    assert [(free.id, free.remaining) for free in first.free] == [(OPPORTUNITY, 3)]
    await service.quote(new_order(), spaces(2))
    second = await anext(service.follow(first.place))
    assert [(free.id, free.remaining) for free in second.free] == [(OPPORTUNITY, 1)]


async def test_what_is_busy_is_asked_again(misbehaving) -> None:
    """A 503 and a lost connection are tried again, with the same body and the token."""
    seen = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append((await request.read(), request.headers["Authorization"]))
        if len(seen) == 1:
            return web.Response(status=503, headers={"Retry-After": "0"})
        if len(seen) == 2:
            assert request.transport
            request.transport.abort()
        return web.Response(status=204, headers={"Lease-Released": "2"})

    service = await misbehaving(handler)
    assert await service.release(new_order()) == 2
    assert seen == [(b"", "Bearer secret")] * 3


@pytest.mark.parametrize(
    ("status", "retry_after", "calls"), [(429, "60", 1), (503, "60", 1), (500, "0", 1)]
)
async def test_patience_is_bounded(misbehaving, status: int, retry_after: str, calls: int) -> None:
    """What tells to come back much later, or is no question of time, is raised at once."""
    asked = count()

    async def handler(_: web.Request) -> web.StreamResponse:
        next(asked)
        body = {
            "@type": "TooManyRequestsError",
            "statusCode": status,
            "name": "",
            "description": "Later.",
        }
        return web.json_response(body, status=status, headers={"Retry-After": retry_after})

    service = await misbehaving(handler)
    with pytest.raises(errors.TooManyRequestsError) as raised:
        await service.quote(new_order(), spaces(1))
    assert raised.value.retry_after == int(retry_after)
    assert next(asked) == calls


async def test_nonsense_is_an_error(misbehaving) -> None:
    """An answer that no lease service gives is an error with its status."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=502, text="Bad gateway")

    service = await misbehaving(handler)
    with pytest.raises(errors.OpenBookingError) as raised:
        await service.release(new_order())
    assert raised.value.status_code == 502


async def test_without_patience_a_call_is_made_once(misbehaving) -> None:
    """Whoever measures the service sees each failure: none hides behind a repeated call."""
    asked = count()

    async def handler(_: web.Request) -> web.StreamResponse:
        next(asked)
        return web.Response(status=503)

    service = await misbehaving(handler, patience_seconds=0)
    with pytest.raises(errors.OpenBookingError):
        await service.quote(new_order(), spaces(1))
    assert next(asked) == 1


async def test_nobody_there() -> None:
    """Rule 25: what raises while nobody listens is what the service raises without its Redis."""
    url = f"http://127.0.0.1:{free_port()}"
    async with LeaseService.connect(url, patience_seconds=0.2) as service:
        calls: list[tuple[Awaitable[object], type[errors.OpenBookingError]]] = [
            (
                service.quote(new_order(), spaces(1)),
                errors.TemporarilyUnableToProduceOrderQuoteError,
            ),
            (service.book(new_order(), spaces(1)), errors.TemporarilyUnableToCreateOrderError),
            (service.delete(new_order()), errors.TemporarilyUnableToDeleteOrderError),
            (service.decide(new_order(), ACCEPTED), errors.TemporarilyUnableToUpdateOrderError),
            (service.withdraw(SELLER, [OPPORTUNITY]), errors.OpenBookingError),
        ]
        for call, kind in calls:
            with pytest.raises(kind) as raised:
                await call
            assert (raised.value.status_code, raised.value.retry_after) == (503, 1)


async def test_an_answer_that_is_no_lease_services_is_an_error(misbehaving) -> None:
    """A page that something in between answers with a 200 raises, and is taken for no answer."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<h1>Welcome to the hotel's network</h1>")

    service = await misbehaving(handler)
    for call in (service.look_at_order(new_order()), service.release(new_order())):
        with pytest.raises(errors.OpenBookingError, match="its address") as raised:
            await call
        assert raised.value.status_code == 502


async def test_a_total_that_is_not_due_is_refused(service: LeaseService) -> None:
    """Rule 18: what the Broker believes that is to be paid is compared with the guaranteed sum."""
    await service.set_policy(SellerPolicy(id=SELLER, tax_mode="https://openactive.io/TaxGross"))
    order = new_order()
    await service.quote(order, spaces(1))
    for call in (service.book, service.propose):
        with pytest.raises(errors.TotalPaymentDueMismatchError) as raised:
            await call(order, spaces(1), total=Decimal("9.99"))
        assert raised.value.__notes__[0].startswith("requestId: ")
    await service.book(order, spaces(1), total=Decimal(10))


async def test_connections_are_kept(service: LeaseService) -> None:
    """Calls one after the other use one connection."""
    connector = service._transport._session.connector
    assert connector
    for _ in range(5):
        await service.inspect(SELLER, [OPPORTUNITY])
    assert sum(map(len, connector._conns.values())) == 1


async def test_following_waits_for_the_service_and_not_for_a_token(misbehaving) -> None:
    """Rule 22: `follow` waits while the service is away; what does not pass by itself comes."""
    answers = iter([(503, errors.OpenBookingError), (401, errors.InvalidAPITokenError)])

    async def handler(_: web.Request) -> web.StreamResponse:
        status, kind = next(answers)
        body = {"@type": kind.__name__, "statusCode": status, "name": "", "description": "No."}
        return web.json_response(body, status=status, headers={"Retry-After": "60"})

    service = await misbehaving(handler)
    with pytest.raises(errors.InvalidAPITokenError):
        await anext(service.follow())
    assert next(answers, None) is None
