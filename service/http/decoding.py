"""From the bytes of a body to what a call reads of it (`docs/protocol.md`, rule 24)."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from service.errors import OpenBookingError

T = TypeVar("T")

_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]")
# Both step over what is right as a whole, and match to the end of the text if they must: nothing
# is walked twice.
_HALF_PAIR: Final = re.compile(
    rb"(?:[^\\]++|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\(?!u[dD][89a-fA-F][0-9a-fA-F]{2}).)*+(?:(\\u....)|.*+)",
    re.DOTALL,
)
_WHOLE_NUMBER: Final = re.compile(
    rb'(?:[^"0-9-]++|"(?:[^"\\]++|\\.)*+"|-?+[0-9]++(?![0-9.eE])'
    rb"|-?+[0-9]++\.0*+[1-9][0-9]*+(?![0-9eE]))*+"
    rb"(?:(-?+[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+)|.*+)",
    re.DOTALL,
)
_MOST: Final = 10_000
"""So many are rewritten in one text: a call may not cost more than its body is worth."""

_DIGITS: Final = 309
"""No double has more: whatever is beyond 64 bits is judged as the same number in digits is."""
_BLANK: Final = b" \t\r\n"
_HALF_IS_NONE: Final = rb"\u0000"


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode JSON, all of it UTF-8, also where the decoder skips what it does not need.

    A byte order mark is skipped, `10.0` and `1e1` are integers, and half a surrogate pair in what
    is not read is no error.

    Raises:
        OpenBookingError: It is not what it should be; the description names the place.

    """
    text = body.lstrip(_BLANK).removeprefix(BOM_UTF8)
    try:
        text.decode()
        return _decoded(text, decoder)
    except UnicodeDecodeError as error:
        problem = f"The JSON is not UTF-8 (byte {error.start})."
    except msgspec.ValidationError as error:
        problem = with_place(str(error), "$")
    except msgspec.DecodeError as error:
        problem = f"{error}."
    except RecursionError:
        problem = "The JSON is nested too deeply."
    raise OpenBookingError(problem)


def with_place(problem: str, place: str) -> str:
    """End a complaint of msgspec with its place: it leaves out the top one."""
    return f"{problem}." if " - at `" in problem else f"{problem} - at `{place}`."


def _decoded(text: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode a text; where msgspec does not read it, one that means the same and that it reads."""
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        if "got `float`" not in str(error):
            raise
    except msgspec.DecodeError:
        # msgspec decodes strings that it skips, too. No word that is used may have a control
        # character.
        if _HALF.search(text) is None:
            raise
        text = _HALF_PAIR.sub(_without_half, text, _MOST)
    return decoder.decode(_WHOLE_NUMBER.sub(_as_integer, text, _MOST))


def _without_half(found: re.Match[bytes]) -> bytes:
    return found[0] if found[1] is None else found[0].removesuffix(found[1]) + _HALF_IS_NONE


def _as_integer(found: re.Match[bytes]) -> bytes:
    if found[1] is None:
        return found[0]
    try:
        number = Decimal(found[1].decode())
    except ArithmeticError:
        return found[0]
    if number and (number.adjusted() >= _DIGITS or number != int(number)):
        return found[0]
    return found[0].removesuffix(found[1]) + b"%d" % int(number)
