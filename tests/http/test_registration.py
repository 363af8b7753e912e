from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from aiohttp import ClientError
from hypothesis import given
from hypothesis import strategies as st

from service.errors import OpenBookingError
from service.http.entries import cut_array
from service.model import OpportunityRegistration
from tests.http.recording import RecordingLedger
from tests.http.served import Client
from tests.http.test_requests import refusal
from tests.polling import eventually

SESSION = {"@type": "ScheduledSession", "@id": "https://example.com/1", "maximumUses": 3}
GOOD = json.dumps(SESSION)


async def register(edge: Client, body: bytes | str | AsyncIterator[bytes]) -> list[int]:
    """Register; return the numbers of entries that were read well and of those that were not."""
    headers = {"Content-Type": "application/json"}
    response = await edge.put("/opportunities", data=body, headers=headers)
    done = await response.json(content_type=None)
    assert response.status == 200, done
    return [done["registered"], done["failed"]]


def problem(recording: RecordingLedger, index: int) -> str:
    """Return why an entry was refused."""
    found, entry = recording.entries[index]
    assert found == index
    assert isinstance(entry, OpenBookingError)
    return entry.description


async def test_an_array_and_lines_are_read_alike(edge: Client, recording: RecordingLedger) -> None:
    """A JSON array and NDJSON give the same entries, prices exact to the last digit."""
    priced = SESSION | {"offers": [{"@id": "o", "price": 0}]}
    text = json.dumps(priced).replace('"price": 0', '"price": 10.10')
    assert await register(edge, f" [{text},\n{text} ]\n") == [2, 0]
    assert await register(edge, f"\n{text}\r\n\n{text}") == [2, 0]
    entries = [entry for _, entry in recording.entries]
    assert entries == [entries[0]] * 4
    assert isinstance(entries[0], OpportunityRegistration)
    assert entries[0].offers
    assert entries[0].offers[0].price == Decimal("10.10")


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ("5", "$"),
        ("null", "$"),
        ("[]", "$"),
        ("{}", "@id"),
        ('{"@id":"a","@type":"Slot","maximumUses":"3"}', "$.maximumUses"),
        ('{"@id":"a","@type":"Slot","maximumUses":-1}', "$.maximumUses"),
        ('{"@id":"a","@type":"Slot","modified":' + "9" * 3000 + "}", "$.modified"),
        ('{"@id":"a","@type":"Slot","offers":[{"@id":"o","price":-1}]}', "$.offers[0]"),
        ('{"@id":"a","@type":"Slot","offers":[{"@id":"o","price":"NaN"}]}', "$.offers[0]"),
        ('{"@id":"a","@type":"Slot","offers":[{"@id":"o","price":1e999}]}', "$.offers[0]"),
        ('{"@id":"\\ud800 alone","@type":"Slot"}', "$.@id"),
        ('{"@id":"a" "@type":"Slot"}', "malformed"),
        ('{"x":' + "[" * 1500 + "]" * 1500 + "}", "nested"),
        ('{"x":"' + "y" * 5000 + '"}', "larger than 4096"),
    ],
)
async def test_a_bad_entry_costs_only_itself(
    edge: Client, recording: RecordingLedger, bad: str, place: str
) -> None:
    """Each entry stands alone: a bad one is one error, and the next goes on."""
    assert await register(edge, f"{GOOD}\n{bad}\n{GOOD}") == [2, 1]
    assert place in problem(recording, 1)
    recording.entries.clear()
    assert await register(edge, f"[{GOOD},{bad},{GOOD}]") == [2, 1]
    assert place in problem(recording, 1)


async def test_bytes_that_are_no_utf8_are_refused(
    edge: Client, recording: RecordingLedger
) -> None:
    """An entry that is not UTF-8 is an error, also where the service would not read it."""
    assert await register(edge, b'[{"@id":"a","@type":"Slot","x":"\xff"}]') == [0, 1]
    assert "UTF-8" in problem(recording, 0)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("[]", [0, 0]),
        (" [ ] ", [0, 0]),
        ("[", [0, 1]),
        (f"[{GOOD}", [0, 1]),
        (f"[{GOOD},", [1, 1]),
        (f"[{GOOD},]", [1, 1]),
        (f"[{GOOD},,{GOOD}]", [2, 1]),
        (f"[{GOOD}}},{GOOD}]", [0, 1]),
        (f"[{GOOD}] {GOOD}", [1, 1]),
        ('["', [0, 1]),
        ("[" * 100_000, [0, 1]),
    ],
)
async def test_a_broken_array_counts_up_to_where_it_breaks(
    edge: Client, body: str, expected: list[int]
) -> None:
    """Broken JSON around the entries of an array is an error; what came before counts."""
    assert await register(edge, body) == expected


@pytest.mark.parametrize("start", ['[{"x":"', '{"x":"', "[" + "7" * 5000 + ",", "[" + "[" * 9000])
async def test_an_entry_without_end_is_refused_in_bounded_memory(
    edge: Client, recording: RecordingLedger, start: str
) -> None:
    """An entry beyond the limit is refused as such, however long it goes on."""

    async def body() -> AsyncIterator[bytes]:
        yield start.encode()
        for _ in range(200):
            yield b"[" * 10_000

    assert await register(edge, body()) in ([0, 1], [0, 2])
    assert "larger than 4096" in problem(recording, 0)


async def test_a_line_after_one_that_is_too_large_counts(edge: Client) -> None:
    """In NDJSON an entry beyond the limit costs only itself, in whatever chunks it comes."""

    async def body() -> AsyncIterator[bytes]:
        for part in ("x" * 3000, "x" * 3000, "x" * 9000, "\n", GOOD, "\n"):
            yield part.encode()
            await asyncio.sleep(0)

    assert await register(edge, body()) == [1, 1]


@pytest.mark.parametrize("body", [b"", b" \n "])
async def test_an_empty_registration_is_refused(edge: Client, body: bytes) -> None:
    """A registration without anything in it gives a 400."""
    response = await edge.put(
        "/opportunities", data=body, headers={"Content-Type": "application/x-ndjson"}
    )
    assert "empty" in await refusal(response, 400)


async def test_octets_are_refused(edge: Client) -> None:
    """A registration of another media type gives a 415."""
    headers = {"Content-Type": "application/octet-stream"}
    await refusal(await edge.put("/opportunities", data=GOOD, headers=headers), 415)


async def test_what_came_before_a_disconnect_counts(
    edge: Client, recording: RecordingLedger
) -> None:
    """Where the client goes away, what it had sent is registered, and nothing breaks."""

    async def read_one() -> bool:
        return bool(recording.entries)

    async def body() -> AsyncIterator[bytes]:
        yield f"{GOOD}\n{GOOD[:5]}".encode()
        await eventually(read_one)
        raise ConnectionResetError

    with pytest.raises((ClientError, ConnectionResetError)):
        await register(edge, body())
    assert len(recording.entries) >= 1
    assert isinstance(recording.entries[0][1], OpportunityRegistration)
    assert await register(edge, GOOD) == [1, 0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values=st.lists(JSON), size=st.integers(1, 9), ascii_=st.booleans())
def test_an_array_is_cut_where_json_says(values: list[object], size: int, *, ascii_: bool) -> None:
    """However an array is spread over chunks, its entries are those that a JSON parser finds."""
    text = json.dumps(values, ensure_ascii=ascii_).encode()[1:]

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(text), size):
            yield text[start : start + size]

    async def cut() -> list[object]:
        pieces = [piece async for piece in cut_array(chunks(), 10**6)]
        return [json.loads(piece) for piece in pieces if isinstance(piece, bytes)]

    assert asyncio.run(cut()) == values
