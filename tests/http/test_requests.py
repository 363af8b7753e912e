from __future__ import annotations

import gzip
from typing import Any

import pytest
from aiohttp import ClientResponse

from service.errors import TemporarilyUnableToCreateOrderError, UnableToProcessOrderItemError
from service.ledger import OrderKey
from service.model import MEDIA_TYPE, OrderItem
from tests.http.recording import RecordingLedger
from tests.http.served import Client

UUID = "e11429ea-467f-4270-ab62-e47368996fe8"
C1 = f"/order-quote-templates/{UUID}"
C2 = f"/order-quotes/{UUID}"
B = f"/orders/{UUID}"
P = f"/order-proposals/{UUID}"
EMPTY: dict[str, Any] = {"orderedItem": []}


async def refusal(response: ClientResponse, status: int, kind: str = "OpenBookingError") -> str:
    """Check that a response is an OpenBookingError, whole as rule 24 asks; return its text."""
    body = await response.json(content_type=None)
    assert response.status == status, body
    assert response.headers["Content-Type"] == MEDIA_TYPE
    assert response.headers["Cache-Control"] == "no-store"
    assert body["@context"] == "https://openactive.io/"
    assert body["@type"] == kind
    assert body["statusCode"] == status
    assert body["name"]
    assert body["requestId"] == response.headers["X-Request-Id"]
    return str(body["description"])


async def test_the_seller_may_be_an_object_an_id_or_a_query(
    edge: Client, recording: RecordingLedger
) -> None:
    """The Seller comes from the body, as object or id, or from the query; else it is `default`."""
    for seller, query in (
        ({"@type": "Organization", "@id": "https://s.example/1"}, {}),
        ("https://s.example/1", {}),
        (None, {"seller": "https://s.example/1"}),
        ("https://s.example/1", {"seller": "https://s.example/1"}),
    ):
        await edge.put(C1, json=EMPTY | {"seller": seller}, params=query)
        assert recording.key == OrderKey("https://s.example/1", "default", UUID)
    await edge.put(C1, json=EMPTY)
    assert recording.key.seller == "default"


async def test_two_different_sellers_are_refused(edge: Client, recording: RecordingLedger) -> None:
    """Where body and query name different Sellers the answer is a 400."""
    response = await edge.put(C1, json=EMPTY | {"seller": "a"}, params={"seller": "b"})
    assert "two different Sellers" in await refusal(response, 400)
    response = await edge.delete(f"{C2}?seller=a&seller=b")
    await refusal(response, 400)
    assert recording.calls == []


@pytest.mark.parametrize("seller", ["", "a%00b", "x" * 2049, "%0A"])
async def test_an_unusable_seller_in_the_query_is_refused(edge: Client, seller: str) -> None:
    """A `?seller=` that is empty, too long or has control characters gives a 400."""
    response = await edge.delete(f"{C2}?seller={seller}")
    assert "?seller=" in await refusal(response, 400)


async def test_the_order_uuid_ignores_case(edge: Client, recording: RecordingLedger) -> None:
    """The same UUID in capitals is the same Order."""
    await edge.put(
        C1.upper().replace("/ORDER-QUOTE-TEMPLATES", "/order-quote-templates"), json=EMPTY
    )
    assert recording.key.uuid == UUID


@pytest.mark.parametrize(
    "uuid", ["1", UUID + "0", UUID.replace("-", ""), "x" * 5000, UUID + "%0A"]
)
async def test_a_bad_order_uuid_is_refused(edge: Client, uuid: str) -> None:
    """What is no UUID gives a 400 that shows one (rule 24)."""
    response = await edge.put(f"/orders/{uuid}", json=EMPTY)
    assert UUID in await refusal(response, 400)


async def test_the_booking_partner_is_part_of_the_order(
    edge: Client, recording: RecordingLedger
) -> None:
    """The header `Booking-Partner` names the Broker; without it, it is `default`."""
    await edge.delete(C2, headers={"Booking-Partner": "Acmé Broker"})
    assert recording.key.partner == "Acmé Broker"
    await edge.delete(C2)
    assert recording.key.partner == "default"


@pytest.mark.parametrize("partner", ["", "a|b", "x" * 201, "a\tb"])
async def test_an_unusable_booking_partner_is_refused(edge: Client, partner: str) -> None:
    """An identity that could be taken for another's is refused, never replaced by `default`."""
    response = await edge.delete(C2, headers={"Booking-Partner": partner})
    assert "Booking-Partner" in await refusal(response, 400)


async def test_two_booking_partners_are_refused(edge: Client) -> None:
    """A second `Booking-Partner` header gives a 400."""
    response = await edge.delete(C2, headers=[("Booking-Partner", "a"), ("Booking-Partner", "b")])
    await refusal(response, 400)


@pytest.mark.parametrize(
    ("prefer", "strict"),
    [
        ("handling=strict", True),
        ('respond-async, Handling="strict"; why=not', True),
        ("handling=lenient, handling=strict", False),
        ("return=minimal", False),
    ],
)
async def test_strict_handling_is_asked_for_by_prefer(
    edge: Client, recording: RecordingLedger, prefer: str, *, strict: bool
) -> None:
    """`Prefer: handling=strict` reaches the ledger and is confirmed (RFC 7240, rule 5)."""
    response = await edge.put(C2, json=EMPTY, headers={"Prefer": prefer})
    assert recording.calls[-1][0] == f"quote NAMED {strict} 0"
    assert ("Preference-Applied" in response.headers) == strict


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "empty"),
        (b"{", "truncated"),
        (b"null", "$"),
        (b"[]", "$"),
        (b'{"orderedItem":[{},{},{"position":"2"}]}', "$.orderedItem[2].position"),
        (b'{"orderedItem":[{"position":-1}]}', "$.orderedItem[0].position"),
        (b'{"orderedItem":[{"position":1e400}]}', "$.orderedItem[0].position"),
        (b'{"orderedItem":[{"position":' + b"9" * 3000 + b"}]}", "$.orderedItem[0].position"),
        (b'{"orderedItem":[{"orderedItem":7}]}', "$.orderedItem[0].orderedItem"),
        (b'{"orderedItem":[{"orderedItem":{"@id":""}}]}', "$.orderedItem[0].orderedItem"),
        (b'{"orderedItem":[],"seller":"a\\u0000b"}', "$.seller"),
        (b'{"orderedItem":[],"seller":"a\x00b"}', "byte"),
        (b'{"orderedItem":[],"seller":"\\ud800 alone"}', "$.seller"),
        (b'{"orderedItem":[],"seller":"' + b"a" * 3000 + b'"}', "$.seller"),
        (b'{"orderedItem":[],"customer":{"givenName":"\xff"}}', "UTF-8"),
        (b'{"orderedItem":[],"seller":"\xed\xa0\x80"}', "UTF-8"),
        (b'{"orderedItem":[],"x":' + b"[" * 2000 + b"]" * 2000 + b"}", "nested"),
        (b'{"orderedItem":[],"orderedItem":[],"seller":[]}', "$.seller"),
    ],
)
@pytest.mark.parametrize("path", [C1, C2, P, B])
async def test_a_malformed_body_is_refused_by_its_place(
    edge: Client, recording: RecordingLedger, path: str, body: bytes, place: str
) -> None:
    """Malformed JSON and wrong types give a 400 that names the place (rule 24)."""
    response = await edge.put(path, data=body, headers={"Content-Type": "application/json"})
    assert place in await refusal(response, 400)
    assert recording.calls == []


async def test_a_body_beyond_the_limit_is_refused(edge: Client) -> None:
    """A body larger than `LEASE_BODY_LIMIT` gives a 413 (rule 24)."""
    await refusal(await edge.put(C1, json=EMPTY | {"x": "y" * 5000}), 413)


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "Application/JSON; charset=utf-8", MEDIA_TYPE, None],
)
async def test_json_is_read_by_either_of_its_names(edge: Client, media_type: str | None) -> None:
    """Bodies may be plain JSON or the Open Booking API's own type, or of no type at all."""
    headers = {} if media_type is None else {"Content-Type": media_type}
    response = await edge.put(
        C1, data=b'{"orderedItem":[]}', headers=headers, skip_auto_headers=["Content-Type"]
    )
    assert response.status == 200
    assert response.headers["Content-Type"] == MEDIA_TYPE
    assert response.headers["Cache-Control"] == "no-store"


async def test_other_media_types_are_refused(edge: Client) -> None:
    """A body of another type gives a 415 that names the right ones."""
    response = await edge.put(C1, data=b"<xml/>", headers={"Content-Type": "text/xml"})
    assert "application/json" in await refusal(response, 415)


@pytest.mark.parametrize("path", [C1, "/opportunities"])
async def test_packed_bodies_are_refused(
    edge: Client, recording: RecordingLedger, path: str
) -> None:
    """A body with a Content-Encoding gives a 415: a small one may unpack to anything."""
    packed = gzip.compress(b'{"orderedItem":[]}')
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    await refusal(await edge.put(path, data=packed, headers=headers), 415)
    assert recording.calls == []


async def test_an_unknown_path_is_an_open_booking_error(edge: Client) -> None:
    """A path without endpoint gives 404 `UnknownOrIncorrectEndpointError` (rule 24)."""
    for path in ("/", "/nowhere", "/orders", "/docs/../settings", "/docs/none"):
        await refusal(await edge.get(path), 404, "UnknownOrIncorrectEndpointError")


async def test_another_verb_is_an_open_booking_error(edge: Client) -> None:
    """A verb that the endpoint does not know gives 405 and says which it does (rule 24)."""
    response = await edge.post(B, json=EMPTY)
    await refusal(response, 405, "MethodNotAllowedError")
    assert response.headers["Allow"] == "DELETE, GET, HEAD, PATCH, PUT"


async def test_what_nobody_foresaw_says_nothing(edge: Client, recording: RecordingLedger) -> None:
    """A failure inside gives 500 `InternalApplicationError` without any detail (rule 25)."""
    recording.raises = RuntimeError("a secret")
    response = await edge.delete(C2)
    assert "secret" not in await response.text()
    await refusal(response, 500, "InternalApplicationError")


async def test_an_error_carries_its_headers(edge: Client, recording: RecordingLedger) -> None:
    """`Retry-After` comes from the error (rules 6 and 25)."""
    recording.raises = TemporarilyUnableToCreateOrderError("Redis is away.", retry_after=3)
    response = await edge.put(B, json=EMPTY)
    await refusal(response, 503, "TemporarilyUnableToCreateOrderError")
    assert response.headers["Retry-After"] == "3"


async def test_a_refused_booking_carries_its_items(
    edge: Client, recording: RecordingLedger
) -> None:
    """Where B cannot book, the error's body has the OrderItems (rule 16)."""
    item = OrderItem(position=4)
    recording.raises = UnableToProcessOrderItemError("No.", ordered_item=[item])
    response = await edge.put(B, json=EMPTY)
    await refusal(response, 409, "UnableToProcessOrderItemError")
    assert (await response.json())["orderedItem"] == [{"position": 4, "@type": "OrderItem"}]


async def test_the_request_id_is_the_clients_own_if_sane(edge: Client) -> None:
    """`X-Request-Id` comes back where it is printable and short, else a new one."""
    response = await edge.delete(C2, headers={"X-Request-Id": "abc-1"})
    assert response.headers["X-Request-Id"] == "abc-1"
    for odd in ("with space", "x" * 129, "é"):
        response = await edge.delete(C2, headers={"X-Request-Id": odd})
        assert len(response.headers["X-Request-Id"]) == 32


async def test_a_release_has_no_body(edge: Client) -> None:
    """Release answers 204 and says in `Lease-Released` how many spaces came back."""
    response = await edge.delete(C2)
    assert response.status == 204
    assert response.headers["Lease-Released"] == "2"
    assert "Content-Type" not in response.headers


async def test_inspection_needs_usable_ids(edge: Client, recording: RecordingLedger) -> None:
    """`GET /opportunities` without an id, or with an unusable one, gives a 400 that says so."""
    assert "?id=" in await refusal(await edge.get("/opportunities"), 400)
    assert "?id=" in await refusal(
        await edge.get("/opportunities", params={"id": "x" * 5000}), 400
    )
    assert recording.calls == []
    response = await edge.get("/opportunities?id=b&id=a")
    assert await response.json(content_type=None) == []
    assert recording.calls == [("inspect default", ["b", "a"])]
