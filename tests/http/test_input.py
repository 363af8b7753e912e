"""Rule 24: what a call does not read it does not judge, and what means the same is read alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.http.front_end import ITEM, OFFER, OPENACTIVE, SELLER, SESSION, UUIDS, FrontEnd
from tests.http.recording import RecordingLedger
from tests.http.served import Client

ORDER, OTHER = UUIDS[:2]
C1, C2, P, B = (
    f"/{kind}/{ORDER}"
    for kind in ("order-quote-templates", "order-quotes", "order-proposals", "orders")
)
POLICY = {"leasing": {"named": {"duration": "PT5M"}, "maximumSpaces": 3}}
CANCELLED = {"position": 0, "orderItemStatus": f"{OPENACTIVE}CustomerCancelled"}
ANYTHING = [
    *("null", "true", "-1", "1e999", "1.5", '""', '"\\ud800"', '"\\udc00\\ud800"', "[]", "{}"),
    *("9" * 400, '[[{"@type":"Order"}]]', '{"@id":5,"position":-1,"a":{"a":1,"a":2}}'),
]
"""Values that nobody would use."""

_UNSAID = ["Content-Type"]


async def send(desk: FrontEnd, method: str, path: str, text: str) -> Any:
    """Send a body as it is written."""
    response = await desk._client.request(
        method,
        path,
        params={"seller": SELLER},
        data=text.encode(),
        headers={"Content-Type": "application/json", "Booking-Partner": "acme"},
    )
    body = await response.text()
    return response.status, json.loads(body) if body else None


def wherever(body: object, text: str) -> str:
    """Return JSON with a property that nobody reads in every object of it."""
    if isinstance(body, Mapping):
        parts = [f"{json.dumps(name)}:{wherever(part, text)}" for name, part in body.items()]
        return "{" + ",".join([f'"acme:x":{text}', *parts, f'"\\ud83d \\\\":{text}']) + "}"
    if isinstance(body, list | tuple):
        return "[" + ",".join(wherever(part, text) for part in body) + "]"
    return json.dumps(body)


@pytest.mark.parametrize("value", ANYTHING)
async def test_unknown_properties_may_be_anything_anywhere(desk: FrontEnd, value: str) -> None:
    """What no call reads is not judged, in the body of any call and in any object of it."""
    things = {"orderedItem": {"@id": SESSION}, "acceptedOffer": {"@id": OFFER}}
    order = {"seller": {"@id": SELLER}, "orderedItem": [things]}
    offer = {"@id": OFFER, "price": 10, "priceCurrency": "GBP"}
    entry = {"@type": "Event", "@id": SESSION, "maximumAttendeeCapacity": 9, "offers": [offer]}
    status, body = await send(desk, "PUT", "/opportunities", f"[{wherever(entry, value)}]")
    assert (status, body["registered"]) == (200, 1)
    for method, path, sent, expected in (
        ("PUT", C1, order, 200),
        ("PUT", C2, order, 200),
        ("PUT", f"{C2}/payment-window", {"duration": "PT1M"}, 200),
        ("PUT", P, order, 201),
        ("PATCH", P, {"orderProposalStatus": f"{OPENACTIVE}SellerAccepted"}, 204),
        ("PUT", B, {"totalPaymentDue": {"price": 10}}, 201),
        ("PATCH", B, {"orderedItem": [CANCELLED]}, 204),
    ):
        status, body = await send(desk, method, path, wherever(sent, value))
        assert (status, body and body.get("description")) == (expected, None)


@pytest.mark.parametrize("value", ANYTHING)
async def test_what_another_call_reads_is_not_judged(desk: FrontEnd, value: str) -> None:
    """The total and the customer at C1 and C2, and any `@type` and status there, are not read."""
    await desk.sell(2)
    unread = ("totalPaymentDue", "customer", "orderProposalStatus", "duration", "leasing", "@type")
    more = ",".join(f'"{name}":{value}' for name in unread)
    item = f'{{"@type":{value},"position":0,"orderItemStatus":{value},'
    for part, id_ in (("orderedItem", SESSION), ("acceptedOffer", OFFER)):
        item += f'"{part}":{{"@type":{value},"@id":"{id_}","offers":{value}}},'
    item += f'"error":{value}}}'
    for path in (C1, C2):
        status, body = await send(desk, "PUT", path, f'{{{more},"orderedItem":[{item}]}}')
        assert (status, body["orderedItem"][0]["orderedItem"]["@id"]) == (200, SESSION)


@pytest.mark.parametrize("value", ANYTHING)
async def test_any_customer_is_one_that_can_come_again(desk: FrontEnd, value: str) -> None:
    """Rule 17: B with the same `customer`, whatever it is, finds its Order again."""
    await desk.sell(2)
    text = f'{{"customer":{value},"orderedItem":[{json.dumps(ITEM)}]}}'
    assert (await send(desk, "PUT", B, text))[0] == 201
    assert (await send(desk, "PUT", B, text))[0] == 201
    assert await desk.free() == 1
    other = text.replace('"customer":', '"customer":["another"],"broker":')
    assert (await send(desk, "PUT", B, other))[1]["@type"] == "OrderAlreadyExistsError"


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("PUT", C1, "OrderQuote"),
        ("PUT", C2, "OrderQuote"),
        ("PUT", P, "OrderProposal"),
        ("PATCH", P, "OrderProposal"),
        ("PUT", B, "Order"),
        ("PATCH", B, "Order"),
    ],
)
async def test_another_kind_of_order_is_told(
    desk: FrontEnd, method: str, path: str, kind: str
) -> None:
    """Rule 4: a body of another kind of Order is a 500 `UnexpectedOrderTypeError`."""
    await desk.sell(9)
    if method == "PATCH":
        await (desk.propose if path == P else desk.book)(ORDER, ITEM)
    body = {"orderedItem": [ITEM if method == "PUT" else CANCELLED]}
    for other in {"OrderQuote", "OrderProposal", "Order"} - {kind}:
        for said in (other, OPENACTIVE + other, f"oa:{other}", [other], [5, OPENACTIVE + other]):
            refused = await desk.call(method, path, {"@type": said, **body})
            assert refused.error == (500, "UnexpectedOrderTypeError")
            assert kind in refused.body["description"]
    right: tuple[object, ...] = (
        kind,
        OPENACTIVE + kind,
        [kind],
        ["acme:Basket", kind, "Thing"],
        None,
        [],
        7,
        "Thing",
    )
    for other_said in right:
        answer = await desk.call(method, path, {"@type": other_said, **body})
        assert answer.status in {200, 201, 204}, answer.body


@pytest.mark.parametrize("part", ["orderedItem", "acceptedOffer"])
@pytest.mark.parametrize(
    "value", [{}, {"@id": None}, {"@type": "OfferOverride", "price": 5}, None]
)
async def test_a_part_without_an_id_is_an_error_of_its_item(
    desk: FrontEnd, part: str, value: object
) -> None:
    """Rule 4: an OrderItem whose Opportunity or Offer has no `@id` is incomplete by itself."""
    await desk.sell(9)
    incomplete = {**ITEM, part: value}
    for call in (desk.c1, desk.c2):
        quoted = await call(ORDER, ITEM, incomplete)
        assert (quoted.status, quoted.errors) == (409, [None, "IncompleteOrderItemError"])
    for call in (desk.propose, desk.book):
        refused = await call(ORDER, ITEM, incomplete)
        assert refused.error == (409, "UnableToProcessOrderItemError")
        assert refused.errors == [None, "IncompleteOrderItemError"]


@pytest.mark.parametrize(
    "given",
    [
        "Slot",
        f"{OPENACTIVE}Slot",
        "https://openactive.io/ns#Slot",
        "oa:Slot",
        ["Slot", "Thing"],
    ],
)
async def test_a_type_may_be_written_in_full(desk: FrontEnd, given: object) -> None:
    """A type is the same by its name, by its IRI, or as the first of several."""
    await desk.register({"@type": given, "@id": SESSION, "maximumUses": 3})
    [found] = (await desk.call("GET", "/opportunities", id=SESSION)).body
    assert (found["@type"], found["maximumUses"]) == ("Slot", 3)
    unknown = {"orderedItem": {"@type": given, "@id": "unknown"}, "acceptedOffer": OFFER}
    [item] = (await desk.c1(ORDER, unknown)).body["orderedItem"]
    assert item["orderedItem"]["@type"] == "Slot"


@pytest.mark.parametrize("given", [None, [], "", 5, {}, "a b", "Event\n", ["Event\u2028"]])
async def test_a_type_without_a_name_fails_its_entry(desk: FrontEnd, given: object) -> None:
    """What is registered has a type with a name: its spaces go by it."""
    entry = {"@type": given, "@id": SESSION, "maximumUses": 3}
    done = await desk.call("PUT", "/opportunities", [entry])
    assert done.body["failed"] == 1
    assert "$.@type" in done.body["errors"][0]["error"]["description"]


@pytest.mark.parametrize("text", ["3.0", "3e0", "30e-1", "0.3E+1", "3.000000000000000000000"])
async def test_whole_numbers_are_integers(desk: FrontEnd, text: str) -> None:
    """JSON Schema's integers may have a fraction of zeros, or an exponent: everywhere."""
    entry = '[{"@type":"Event","@id":"%s","maximumAttendeeCapacity":%s,"modified":%s}]'
    assert (await send(desk, "PUT", "/opportunities", entry % (SESSION, text, text)))[1][
        "registered"
    ] == 1
    assert await desk.free() == 3
    item = json.dumps(ITEM).replace("{", f'{{"note":"3.0 \\" 1e1","position":{text},')
    status, body = await send(desk, "PUT", B, f'{{"orderedItem":[{item}]}}')
    assert (status, body["orderedItem"][0]["position"]) == (201, 3)
    named = json.dumps(CANCELLED).replace('"position": 0', f'"position":{text}')
    assert (await send(desk, "PATCH", B, f'{{"orderedItem":[{named}]}}'))[0] == 204
    policy = f'{{"leasing":{{"maximumSpaces":{text},"maximumLeases":{text}}}}}'
    assert (await send(desk, "PUT", "/sellers", policy))[1]["leasing"]["maximumSpaces"] == 3


@pytest.mark.parametrize("text", ["10.5", "1e-1", "1e400", "0.1e0", '"10"', "true", "1e19"])
async def test_other_numbers_are_none(desk: FrontEnd, text: str) -> None:
    """A fraction, a text or too large a number where an integer is due is a 400 by its place."""
    item = json.dumps(ITEM).replace("{", f'{{"position":{text},')
    status, body = await send(desk, "PUT", C1, f'{{"orderedItem":[{item}]}}')
    assert status == 400
    assert "$.orderedItem[0].position" in body["description"]
    for name in ("maximumAttendeeCapacity", "modified"):
        entry = f'[{{"@type":"Event","@id":"a","{name}":{text}}}]'
        if (name, text) != ("modified", '"10"'):
            [error] = (await send(desk, "PUT", "/opportunities", entry))[1]["errors"]
            assert f"$.{name}" in error["error"]["description"]


@pytest.mark.parametrize(
    "names",
    [
        ("Event", "AttendeeCapacity", "Uses"),
        ("Slot", "Uses", "AttendeeCapacity"),
    ],
)
async def test_less_than_none_remaining_is_none(desk: FrontEnd, names: tuple[str, ...]) -> None:
    """`remaining…` below zero is 0, and under the name that is not used it may be anything."""
    kind, used, unused = names
    entry = {"@type": kind, "@id": SESSION, f"maximum{used}": 5, f"remaining{used}": -2}
    values: tuple[object, ...] = (-2, "many", 1.5, None, {})
    for value in values:
        await desk.register(entry | {f"maximum{unused}": value, f"remaining{unused}": value})
    [found] = (await desk.call("GET", "/opportunities", id=SESSION)).body
    assert (found[f"maximum{used}"], found["booked"]) == (5, 5)
    await desk.register({"@type": kind, "@id": "other", f"remaining{used}": -(10**20)})
    [found] = (await desk.call("GET", "/opportunities", id="other")).body
    assert (found[f"maximum{used}"], found["booked"]) == (0, 0)


async def test_null_is_absent(desk: FrontEnd) -> None:
    """Every property that may be left out may be null, which says the same (rule 24)."""
    optional = ("seller", "modified", "offers", "capacityPools", "remainingAttendeeCapacity")
    unused = ("maximumUses", "remainingUses")
    offer = {"@id": OFFER, "price": None, "priceCurrency": None}
    entry = {"@type": "Event", "@id": SESSION, "maximumAttendeeCapacity": 9}
    await desk.register(entry | dict.fromkeys((*optional, *unused)))
    await desk.register({"@type": "CapacityPool", "@id": "hall", "maximumAttendeeCapacity": 9})
    pools = [{"@id": "hall", "spaces": None}]
    await desk.register(entry | {"offers": [offer], "capacityPools": pools})
    steps = dict.fromkeys(("maximumHold", "maximumSpaces", "maximumLeases", "paymentWindow"))
    for policy in ({"@id": None, "taxMode": None, "leasing": None}, {"leasing": steps}):
        assert (await desk.call("PUT", "/sellers", policy)).body["leasing"] == {}
    none = dict.fromkeys(("@type", "seller", "customer", "totalPaymentDue"))
    item = {**ITEM, "position": None, "@id": None}
    for path, status in ((C1, 200), (C2, 200), (P, 201)):
        answer = await desk.call("PUT", path, {**none, "orderedItem": [item]})
        assert answer.status == status, answer.body
    assert (await desk.call("PUT", B, {**none, "orderedItem": None})).status == 201
    total = {"totalPaymentDue": {"price": None, "priceCurrency": None}}
    assert (await desk.book(OTHER, item, **total)).status == 201


async def test_a_currency_without_a_price_is_not_judged(desk: FrontEnd) -> None:
    """An offer whose price is not known has no currency that anybody reads."""
    for currency in ("", "pounds", 5, None):
        await desk.sell(5, offers=[{"@id": OFFER, "priceCurrency": currency}])
    priced = {"@id": OFFER, "price": 1, "priceCurrency": "pounds"}
    entry = {"@type": "Event", "@id": SESSION, "maximumUses": 1, "offers": [priced]}
    assert (await desk.call("PUT", "/opportunities", [entry])).body["failed"] == 1


@pytest.mark.parametrize(
    ("policy", "right"),
    [
        ({"leasing": {"maximumSpace": 3}}, "maximumSpaces"),
        ({"leasing": {"anonymus": None}}, "anonymous"),
        ({"leasing": {"maximum_hold": "PT1H"}}, "maximumHold"),
        ({"leasing": {"named": {"duration": "PT5M", "lenght": 1}}}, "duration"),
        ({"leasing": {"x\ud800\n": 1}}, "maximum"),
        ({"taxmode": "x"}, "taxMode"),
        ({"TAXMODE": 1}, "taxMode"),
        ({"leasing": {"MAXIMUMLEASES": 5}}, "maximumLeases"),
        ({"leasing": {"PROPOSAL": None}}, "proposal"),
        ({"maximumSpaces": 2}, "leasing"),
        ({"anonymous": None}, "leasing"),
        ({"leasng": {}}, "leasing"),
    ],
)
async def test_a_misspelt_policy_is_refused(
    desk: FrontEnd, policy: dict[str, Any], right: str
) -> None:
    """A misspelt name of a policy is a 400 that says the right one, and nothing is changed."""
    before = await desk.policy(maximumSpaces=2)
    refused = await desk.call("PUT", "/sellers", POLICY | policy)
    assert refused.error == (400, "OpenBookingError")
    assert right in refused.body["description"]
    assert (await desk.call("GET", "/sellers")).body == before.body


async def test_what_else_an_organization_has_is_not_misspelt(desk: FrontEnd) -> None:
    """A Seller may come with all that it is: its name, its address, its own properties."""
    more = {"@type": ["Organization", "SportsClub"], "name": "X", "taxID": 5, "acme:leasing": 1}
    policy = {"leasing": POLICY["leasing"] | {"@type": "acme:Leasing", "acme:x": {}}} | more
    assert (await desk.call("PUT", "/sellers", policy)).body["@type"] == "Organization"


@pytest.mark.parametrize("kind", ["application/json", "application/ld+json", None])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
async def test_an_object_on_many_lines_is_one_entry(
    edge: Client, recording: RecordingLedger, mark: bytes, kind: str | None
) -> None:
    """As JSON a body that is one object is one entry, however it is laid out."""
    entry = {"@type": "Event", "@id": "a {", "offers": [{"@id": "o}"}], "maximumUses": 1}
    headers: dict[str, str] = {} if kind is None else {"Content-Type": kind}
    for indent in (None, 0, 2):
        text = json.dumps(entry, indent=indent).encode()
        for end in (b"", b"\n", b"\r\n \n"):
            recording.entries.clear()
            body = mark + b"\n" + text.replace(b"\n", b"\r\n") + end
            response = await edge.put(
                "/opportunities", data=body, headers=headers, skip_auto_headers=_UNSAID
            )
            done = await response.json(content_type=None)
            assert (done["registered"], done["failed"]) == (1, 0)
    body = mark + b"[" + json.dumps(entry, indent=2).encode() + b"]"
    response = await edge.put(
        "/opportunities", data=body, headers=headers, skip_auto_headers=_UNSAID
    )
    assert (await response.json(content_type=None))["registered"] == 1


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ('{"@type":"Event",\n"@id":"a"', (0, 1)),
        ('{"@type":"Event",\n"@id":"a"}\n{"@type":"Event","@id":"b"}', (0, 1)),
        ('{"@type":"Event",\n"@id":"a"}]', (1, 1)),
        ('{"@type":"Event",\n"@id":"' + "a" * 5000, (0, 1)),
        ('{"@type":"Event","@id":"a"}\n{"@type":"Event",\n"@id":"b"}', (1, 2)),
        ('"{"\n{"@type":"Event","@id":"a"}', (1, 1)),
    ],
)
async def test_a_broken_object_on_many_lines_fails_once(
    edge: Client, body: str, counts: tuple[int, int]
) -> None:
    """What is no one object is an error, and lines whose first is whole stay lines."""
    headers = {"Content-Type": "application/json"}
    response = await edge.put("/opportunities", data=body, headers=headers)
    done = await response.json(content_type=None)
    assert (done["registered"], done["failed"]) == counts


async def test_lines_that_say_so_stay_lines(edge: Client) -> None:
    """As NDJSON every line is an entry, whatever the first one looks like."""
    headers = {"Content-Type": "application/x-ndjson"}
    body = b'{"@type":\n{"@type":"Event","@id":"a"}'
    response = await edge.put("/opportunities", data=body, headers=headers)
    done = await response.json(content_type=None)
    assert (done["registered"], done["failed"]) == (1, 1)
