"""What a body may look like, whichever way its Broker's program writes JSON."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from typing import Any

import pytest

from tests.front_end.broker import API, PAYMENT, Answer, Broker, new_order, offer_of
from tests.front_end.test_errors import said

STEPS = {
    "c1": ("order-quote-templates", "OrderQuote"),
    "c2": ("order-quotes", "OrderQuote"),
    "p": ("order-proposals", "OrderProposal"),
    "b": ("orders", "Order"),
}
OFTEN = pytest.mark.parametrize("step", STEPS)
PLACED = pytest.mark.parametrize("step", ["p", "b"])


def written(broker: Broker, step: str, id_: str, **more: object) -> bytes:
    """Return a complete body for a step; null takes a property away."""
    body = broker.body(id_, **{"@type": STEPS[step][1], "payment": PAYMENT, **more})
    return json.dumps(body).encode()


async def send(broker: Broker, step: str, body: bytes) -> Answer:
    """Send a body as it is, for a new Order."""
    return await broker.call("PUT", f"{API}/{STEPS[step][0]}/{new_order()}", body)


async def is_fine(broker: Broker, step: str, body: bytes) -> Any:
    """Send a body that there is nothing wrong with, and return what came of it."""
    answer = await send(broker, step, body)
    assert answer.status in {200, 201}, answer
    return answer.body


@OFTEN
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"name":"\xff"}',
        b'{"name":"\xed\xa0\x80"}',
        b'{"zz":NaN}',
        b'{"zz":-Infinity}',
        b'{"zz":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"zz":' + b"[" * 900 + b"]" * 900 + b"}",
    ],
)
async def test_what_is_no_json_is_refused(broker: Broker, step: str, text: bytes) -> None:
    """A body that is no JSON object in UTF-8 is the Broker's mistake, at each step."""
    assert said(await send(broker, step, text)) == (400, "OpenBookingError")


@OFTEN
@pytest.mark.parametrize(
    "unread",
    [
        b"1e999",
        b"-1e999",
        b"1e-999",
        b"1e99999999999999999999",
        b"1" * 30,
        b"1" * 5000,
        b'"\\ud83d"',
        b'{"\\udc00":"\\ud83d\\ud83d\\ude00"}',
        b"[" * 100 + b"]" * 100,
    ],
)
async def test_what_is_not_read_is_no_matter(broker: Broker, step: str, unread: bytes) -> None:
    """Whatever is in a property that nobody reads, or that is only repeated, it is fine."""
    id_ = await broker.create(flow="Approval" if step == "p" else "Simple")
    more = b'{"zz":%b,"acme:n":%b,' % (unread, unread)
    text = more + written(broker, step, id_)[1:]
    text = text.replace(b'"email":', b'"n":%b,"email":' % unread)
    text = text.replace(b'"MyFitnessApp"', b'"MyFitnessApp","n":%b' % unread)
    order = new_order()
    path = f"{API}/{STEPS[step][0]}/{order}"
    first = await broker.call("PUT", path, text)
    assert first.status in {200, 201}, first
    if step in {"p", "b"}:
        assert await broker.call("PUT", path, text) == first
        assert (await broker.call("GET", path)).status == 200


async def test_half_a_character_in_a_name(broker: Broker) -> None:
    """Half a surrogate pair is replaced, and what is whole around it is kept."""
    text = written(broker, "b", await broker.create())
    text = text.replace(b"MyFitnessApp", b"My\\ud83d\\ud83d\\ude00App")
    assert (await is_fine(broker, "b", text))["broker"]["name"] == "My?\U0001f600App"


async def test_the_same_numbers_are_the_same_request(broker: Broker) -> None:
    """Rule 17: B again is the same B, however its numbers are written."""
    text, order = written(broker, "b", await broker.create(), zz=6.5), new_order()
    path = f"{API}/orders/{order}"
    first = await broker.call("PUT", path, text)
    again = text.replace(b"6.5", b"0.650e1").replace(b'"position": 0', b'"position": 0e0')
    assert await broker.call("PUT", path, again) == first
    other = await broker.call("PUT", path, text.replace(b"6.5", b"6.5000000000000000000000000001"))
    assert said(other) == (500, "OrderAlreadyExistsError")


@OFTEN
async def test_other_ways_to_write_the_same(broker: Broker, step: str) -> None:
    """A byte order mark is skipped, `0.0` is a position, and null is nothing."""
    id_ = await broker.create(flow="Approval" if step == "p" else "Simple")
    text = written(broker, step, id_, brokerRole=None, totalPaymentDue=None)
    text = BOM_UTF8 + text.replace(b'"position": 0', b'"position": 0.0')
    body = await is_fine(broker, step, text)
    assert body["brokerRole"] == "https://openactive.io/AgentBroker"
    assert '"position":0,' in json.dumps(body, separators=(",", ":"))


async def test_no_items_may_be_null(broker: Broker) -> None:
    """`orderedItem` that is null is as if it were not there."""
    for step in ("c1", "c2"):
        text = written(broker, step, "", orderedItem=None)
        assert "orderedItem" not in await is_fine(broker, step, text)
    for step in ("p", "b"):
        answer = await send(broker, step, written(broker, step, "", orderedItem=None))
        assert said(answer) == (400, "OpenBookingError")
        assert "$.orderedItem" in answer.body["description"]


@OFTEN
@pytest.mark.parametrize("name", ["orderedItem", "acceptedOffer"])
@pytest.mark.parametrize("given", [{}, {"@type": "Offer"}, {"@id": None}, None])
async def test_an_item_without_an_id_is_incomplete(
    broker: Broker, step: str, name: str, given: object
) -> None:
    """An Opportunity or Offer without an `@id` is that OrderItem's error, not the Order's."""
    id_ = await broker.create()
    first, second = broker.body(id_, id_)["orderedItem"]
    items = [first | {name: given}, second]
    answer = await send(broker, step, written(broker, step, id_, orderedItem=items))
    assert (answer.status, answer.errors()) == (409, ["IncompleteOrderItemError", None])
    assert "@id" not in answer.body["orderedItem"][0].get(name, {})


TOTALS = [
    "6.5",
    [],
    {"price": "sNaN"},
    {"price": "-sNaN123"},
    {"price": "NaN"},
    {"price": "Infinity"},
    {"price": -1},
    {"price": True},
    {"price": "+14.95"},
    {"price": " 14.95 "},
    {"price": "1_4.95"},
    {"price": "\u0661\u0664"},
    {"price": "14.95\n"},
    {"price": "1e99999999999999999999"},
    {"price": "\ud83d"},
    {"price": 14.9500000001},
    {"price": 14.95, "priceCurrency": 5},
    {"price": 14.95, "priceCurrency": "pounds"},
]


@PLACED
@pytest.mark.parametrize("total", TOTALS)
async def test_what_is_no_money_is_refused(broker: Broker, step: str, total: object) -> None:
    """A sum that is no amount of money, or in no currency, is refused, and nothing is booked."""
    id_ = await broker.create()
    answer = await send(broker, step, written(broker, step, id_, totalPaymentDue=total))
    assert said(answer) == (400, "OpenBookingError")
    assert "$.totalPaymentDue" in answer.body["description"]


@pytest.mark.parametrize("total", TOTALS)
@pytest.mark.parametrize("step", ["c1", "c2"])
async def test_a_quote_does_not_judge_the_total(broker: Broker, step: str, total: object) -> None:
    """What the Broker believes that is to be paid counts when it pays."""
    id_ = await broker.create()
    await is_fine(broker, step, written(broker, step, id_, totalPaymentDue=total))


@PLACED
@pytest.mark.parametrize(
    "total",
    [
        {"price": 14.95, "priceCurrency": "EUR"},
        {"price": "14.95", "priceCurrency": "USD"},
        {"priceCurrency": "EUR"},
        {"price": 14.950001, "priceCurrency": "GBP"},
        {"price": 0},
    ],
)
async def test_another_sum_or_currency(broker: Broker, step: str, total: object) -> None:
    """What the Broker would pay is what is due, in the currency in which it is."""
    id_ = await broker.create()
    answer = await send(broker, step, written(broker, step, id_, totalPaymentDue=total))
    assert said(answer) == (400, "TotalPaymentDueMismatchError")


@PLACED
@pytest.mark.parametrize(
    "total",
    [
        {"price": 14.95, "priceCurrency": "GBP"},
        {"price": "14.950"},
        {"price": "1495e-2", "priceCurrency": None},
        {"price": None},
        {},
    ],
)
async def test_the_right_sum(broker: Broker, step: str, total: object) -> None:
    """The right sum is right as a number and as a text, and need not be said."""
    id_ = await broker.create(flow="Approval" if step == "p" else "Simple")
    await is_fine(broker, step, written(broker, step, id_, totalPaymentDue=total))


async def test_a_proposal_is_booked_in_its_currency(broker: Broker) -> None:
    """B of what was proposed is refused in another currency too."""
    order, id_ = new_order(), await broker.create(flow="Approval")
    proposed = await broker.p(order, id_)
    await broker.act("SellerAcceptOrderProposal", proposed)
    body = {
        "@type": "Order",
        "orderProposalVersion": proposed.body["orderProposalVersion"],
        "payment": PAYMENT,
    }
    euros = {"totalPaymentDue": {"price": 14.95, "priceCurrency": "EUR"}}
    path = f"{API}/orders/{order}"
    assert said(await broker.call("PUT", path, body | euros)) == (
        400,
        "TotalPaymentDueMismatchError",
    )
    assert (await broker.call("PUT", path, body)).status == 201


@OFTEN
@pytest.mark.parametrize("written_as", ["{}", "https://openactive.io/{}", "oa:{}"])
async def test_another_kind_of_order(broker: Broker, step: str, written_as: str) -> None:
    """A body that says that it is another kind of Order came to the wrong endpoint."""
    id_ = await broker.create(flow="Approval" if step == "p" else "Simple")
    collection, right = STEPS[step]
    for kind in {"OrderQuote", "OrderProposal", "Order"} - {right}:
        wrong = written(broker, step, id_, **{"@type": written_as.format(kind)})
        assert said(await send(broker, step, wrong)) == (500, "UnexpectedOrderTypeError")
        wrong = json.dumps({"@type": ["Thing", kind]}).encode()
        if collection.startswith(("orders", "order-proposals")):
            answer = await broker.call("PATCH", f"{API}/{collection}/{new_order()}", wrong)
            assert said(answer) == (500, "UnexpectedOrderTypeError")
    for type_ in (written_as.format(right), ["OrderQuote", "Order", right], None, 5, "Thing"):
        await is_fine(broker, step, written(broker, step, id_, **{"@type": type_}))


async def test_offers_have_ids(broker: Broker) -> None:
    """An Opportunity and an Offer may be given as objects with an `@id`."""
    id_ = await broker.create()
    (item,) = broker.body(id_)["orderedItem"]
    item["orderedItem"] = {"@type": "ScheduledSession", "@id": id_}
    item["acceptedOffer"] = {"@type": "Offer", "@id": offer_of(id_)}
    await is_fine(broker, "b", written(broker, "b", id_, orderedItem=[item]))
