"""Whatever bytes come, what reads them answers or refuses: it never fails."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import OpenBookingError
from service.http.access import Token, TokensFile, TokensFileError
from service.http.decoding import decode
from service.http.entries import cut_array
from service.http.events import _place
from service.http.examples import REQUESTS
from service.http.feed import parse_cursor
from service.ledger.feed import Cursor
from service.model import (
    OpportunityRegistration,
    OrderPatch,
    OrderRequest,
    PaymentWindowRequest,
    ProposalPatch,
    QuoteRequest,
    SellerPolicyRequest,
)
from service.settings import Settings, SettingsError, describe
from tests.fuzz.mutations import mutated

FACTOR = int(os.environ.get("FUZZ_FACTOR", "1"))
EXAMPLES = settings(max_examples=300 * FACTOR, deadline=None, derandomize=FACTOR == 1)
LIMIT = 1000

BODIES = (
    *(QuoteRequest, OrderRequest, OrderPatch, ProposalPatch),
    *(PaymentWindowRequest, SellerPolicyRequest),
)
SEEDS = [json.dumps(REQUESTS[kind.__name__]).encode() for kind in BODIES]
ENTRIES = json.dumps(REQUESTS["OpportunityRegistration"]).encode()
TOKEN = Token("front-end", "lease", "0" * 64, ("acme",), ("https://example.com/1",), 5.0)
TOKENS = b"[[token]]\n" + b"\n".join(
    f"{name} = {json.dumps(value)}".encode() for name, value in msgspec.to_builtins(TOKEN).items()
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


E = TypeVar("E", bound=Exception)


def error_of(kind: type[E], call: Callable[[], object]) -> E | None:
    """Return the error of this kind that a call ends with; None where it succeeds."""
    try:
        call()
    except kind as error:
        return error
    return None


def cut(text: bytes, sizes: list[int]) -> list[bytes | OpenBookingError]:
    """Cut the rest of an array, which comes in pieces of these sizes, into its entries."""

    async def chunks() -> AsyncIterator[bytes]:
        rest = text
        for size in sizes:
            yield rest[:size]
            rest = rest[size:]
        yield rest

    async def pieces() -> list[bytes | OpenBookingError]:
        return [piece async for piece in cut_array(chunks(), LIMIT)]

    return asyncio.run(pieces())


@EXAMPLES
@given(
    entries=st.lists(json_values, max_size=6),
    indent=st.sampled_from([None, 0, 3]),
    sizes=st.lists(st.integers(0, 9), max_size=60),
)
def test_an_array_is_cut_where_its_entries_end(
    entries: list[Any], indent: int | None, sizes: list[int]
) -> None:
    """However an array is spread over packets, its pieces are its entries (rule 24)."""
    text = json.dumps(entries, indent=indent, ensure_ascii=False).encode(errors="surrogatepass")
    pieces = cut(text[1:], sizes)
    if all(isinstance(piece, bytes) for piece in pieces):
        assert [json.loads(piece) for piece in pieces if isinstance(piece, bytes)] == entries
    else:
        assert max(len(json.dumps(entry, indent=indent)) for entry in entries) > LIMIT // 2


@EXAMPLES
@given(text=mutated([ENTRIES[1:], b"]", b"{},{}]"]), sizes=st.lists(st.integers(0, 200)))
def test_no_array_breaks_the_cutter(text: bytes, sizes: list[int]) -> None:
    """A broken array yields entries and at most one error, the same however it is spread."""
    pieces = cut(text, sizes)
    assert sum(isinstance(piece, OpenBookingError) for piece in pieces) <= 1
    whole = cut(text, [])
    if not any("larger" in str(piece) for piece in (*pieces, *whole)):
        assert list(map(str, pieces)) == list(map(str, whole))
    for piece in pieces:
        if isinstance(piece, bytes):
            refused_or_decoded(piece, OpportunityRegistration)


@EXAMPLES
@given(body=mutated(SEEDS) | st.binary(max_size=60), kind=st.sampled_from(BODIES))
def test_no_body_breaks_its_decoder(body: bytes, kind: type) -> None:
    """A body is decoded, or refused in one line that can be written (rule 24)."""
    refused_or_decoded(body, kind)


def refused_or_decoded(body: bytes, kind: type) -> None:
    """Check that a decoder does one or the other."""
    decoder: msgspec.json.Decoder[object] = msgspec.json.Decoder(kind)
    error = error_of(OpenBookingError, lambda: decode(body, decoder))
    if error is not None:
        assert error.status_code == 400
        assert error.description.encode()
        assert "\n" not in error.description


@EXAMPLES
@given(timestamp=st.text(max_size=20) | st.integers().map(str), id_=st.text(max_size=70))
def test_no_place_in_the_feed_breaks_its_reader(timestamp: str, id_: str) -> None:
    """A place that a reader kept is one, or is refused (rule 22)."""
    try:
        place = parse_cursor(timestamp, id_)
    except OpenBookingError:
        return
    assert 0 <= place.modified < 2**53
    assert place.id == id_


@EXAMPLES
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=80))
def test_no_last_event_id_breaks_the_stream(text: str) -> None:
    """`Last-Event-ID` is a place, or is refused; an empty one counts as none (rule 23)."""
    request = make_mocked_request("GET", "/capacity-events", headers={"Last-Event-ID": text})
    try:
        place = _place(request)
    except OpenBookingError:
        return
    assert place is None if not text else isinstance(place, Cursor)


@EXAMPLES
@given(text=mutated([TOKENS, TOKENS + b"\n" + TOKENS.replace(b"00", b"11")]) | st.binary())
def test_no_tokens_file_breaks_its_reader(text: bytes) -> None:
    """A tokens file is read, or refused in one line that names it (rule 26)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tokens.toml")
        path.write_bytes(text)
        error = error_of(TokensFileError, lambda: TokensFile(path))
        if error is not None:
            (line,) = str(error).splitlines()
            assert line.startswith(f"{path}: ")


@EXAMPLES
@given(
    environ=st.dictionaries(
        st.sampled_from([setting.variable for setting in describe()])
        | st.text(st.sampled_from("ABCDEFG_"), max_size=8).map("LEASE_{}".format),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
        | st.integers().map(str)
        | st.sampled_from(["nan", "1e5", "unix:/a", "0.0.0.0:1", "redis://[", "https://[", "٣"]),
        max_size=4,
    )
)
def test_no_environment_breaks_the_settings(environ: dict[str, str]) -> None:
    """Settings are read, or each problem is a line that names its variable."""
    error = error_of(SettingsError, lambda: Settings.from_environ(environ))
    lines = [] if error is None else str(error).split("\n")
    assert all(line.startswith(("LEASE_", "TLS ")) for line in lines)


def test_the_seeds_are_good() -> None:
    """What is bent here is right before."""
    for seed, kind in zip(SEEDS, BODIES, strict=True):
        assert isinstance(decode(seed, msgspec.json.Decoder(kind)), kind)
    pieces = cut(ENTRIES[1:], [])
    assert [json.loads(piece) for piece in pieces if isinstance(piece, bytes)] == json.loads(
        ENTRIES
    )
    with pytest.raises(OpenBookingError):
        decode(b"{", msgspec.json.Decoder(OrderRequest))
