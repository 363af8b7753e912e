"""Texts that are almost right: a good one, bent here and there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

# What parsers stumble over, beside single bytes of any kind.
_TROUBLE: Final = (
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\n", b"\x00", b"\xff", b"\xed\xa0\x80"),
    *(b"\\ud800", b"null", b"-", b"1e999", b"9" * 400, b"[" * 3000, b'"@id":', b"\xef\xbb\xbf"),
)


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Draw a seed with up to four places cut out, doubled, or written over."""
    text = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 20)))
        part = draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from(_TROUBLE),
                st.just(text[start:end] * 2),
            )
        )
        text = text[:start] + part + text[end:]
    return text
