"""What msgspec does not read though JSON allows it is read alike, and nothing else is changed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from service.errors import OpenBookingError
from service.http.decoding import decode


class Body(Struct):
    """A body of which a number and a word are read, and one part is kept as it came."""

    number: int = 0
    word: str = ""
    rest: Raw = Raw(b"null")


DECODER = msgspec.json.Decoder(Body)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
HALVES = st.sampled_from(["\ud800", "\udbff", "\udc00", "\\", '"', "\\ud800", "😀", "1.0", ""])


def body(text: str) -> Body:
    """Decode a body."""
    return decode(text.encode(), DECODER)


@given(rest=VALUES, number=st.integers(-(10**18), 10**18), form=st.sampled_from(["{}.0", "{}e0"]))
def test_a_whole_number_is_read_and_the_rest_means_the_same(
    rest: Any, number: int, form: str
) -> None:
    """Rule 24: `10.0` is 10, whatever strings and numbers stand around it."""
    around = json.dumps(rest)
    decoded = body(f'{{"x":{around},"number":{form.format(number)},"rest":{around}}}')
    assert decoded.number == number
    kept = json.loads(bytes(decoded.rest), parse_int=float)
    assert kept == json.loads(around, parse_int=float)


@given(parts=st.lists(HALVES), word=st.text(max_size=5))
def test_half_a_pair_that_nobody_reads_is_no_error(parts: list[str], word: str) -> None:
    """Rule 24: half a surrogate pair costs nothing where it is not read, and changes no word."""
    skipped = json.dumps("".join(parts))
    decoded = body(f'{{"word":{json.dumps(word)},{skipped}:{skipped},"rest":{skipped}}}')
    assert decoded.word == word
    rest = json.loads(bytes(decoded.rest))
    expected = json.loads(skipped)
    assert len(rest) == len(expected)
    assert all(
        is_ == was or (is_, was >= "\ud800") == ("\0", True)
        for is_, was in zip(rest, expected, strict=True)
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"number":1.5}',
        '{"number":1e-1}',
        '{"number":1e999}',
        '{"number":1e999999999999999999}',
        '{"number":1.0',
        '{"number":01.0}',
        '{"number":"1.0"}',
        '{"number":1.0,"word":1.0}',
        '{"number":-}',
        '{"number":1.}',
        '{"x":"\\ud800}',
        '{"x":"\\ud80"}',
        '{"x":\\ud800}',
    ],
)
def test_what_is_wrong_stays_wrong(text: str) -> None:
    """Rule 24: what is no JSON, or no integer, is refused in one line."""
    with pytest.raises(OpenBookingError) as refused:
        body(text)
    assert "\n" not in refused.value.description


def test_a_call_costs_what_its_body_is_worth() -> None:
    """Rule 24: of very many numbers only so many are rewritten; the place of the next is told."""
    items = "1.0," * 20_000
    assert body(f'{{"number":2.0,"x":[{items}0]}}').number == 2
    with pytest.raises(OpenBookingError, match="number"):
        body(f'{{"x":[{items}0],"number":2.0}}')
