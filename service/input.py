"""What comes from outside, and what of it is accepted: every kind of word, number and JSON, once.

Bodies, headers, queries, settings, the tokens file and the command line are judged by these types
and by nothing else. What no call reads is not judged at all (`docs/protocol.md`, rule 24).
"""

from __future__ import annotations

import difflib
import re
from codecs import BOM_UTF8
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Raw

from service.errors import OpenBookingError

T = TypeVar("T")

PORTABLE: Final[dict[str | None, str]] = {}
"""The patterns of this module as JSON Schema has them (ECMA-262), by how Python does."""


def _text(pattern: str, *, portable: str | None = None, **more: Any) -> Meta:  # noqa: ANN401 - of Meta
    r"""Return what a whole text has to be: before `\Z`, unlike `$`, nothing may follow."""
    anchored = rf"\A(?:{pattern})\Z"
    PORTABLE[anchored] = f"^{portable or pattern}$"
    return Meta(pattern=anchored, **more)


# Control characters, C1's among them; what some readers take for the end of a line; and halves of
# surrogate pairs, which cannot be written as UTF-8. A range is cheaper to look up than a set.
_UNPRINTABLE: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_PRINTABLE: Final = rf"(?:[ -~]++|[^{_UNPRINTABLE}\ud800-\udfff])++"
_PORTABLE: Final = rf"[^{_UNPRINTABLE}]+"
_WHOLLY_PRINTABLE: Final = re.compile(_PRINTABLE)

Id = Annotated[
    str,
    _text(
        _PRINTABLE,
        portable=_PORTABLE,
        min_length=1,
        max_length=2048,
        description="An `@id`: printable, at most 2,048 characters.",
        examples=["https://example.com/events/452/subEvents/132"],
    ),
]
Partner = Annotated[
    str,
    _text(
        rf"(?:[ -{{}}~]++|[^{_UNPRINTABLE}|\ud800-\udfff])++",
        # Of a header, without the blanks around it that HTTP takes off.
        portable="[!-{}~](?:[ -{}~]*[!-{}~])?",
        min_length=1,
        max_length=200,
        description="The name of a Booking Partner: printable, at most 200 characters, no `|`.",
    ),
]
Uuid = Annotated[
    str,
    _text(r"(?!0{8}(?:-0{4}){3}-0{12})[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
]
TypeName = Annotated[str, _text("[A-Za-z][A-Za-z:]*", max_length=64)]
TypeText = Annotated[
    str,
    _text(
        _PRINTABLE,
        portable=_PORTABLE,
        max_length=256,
        description="The name of a type, or all of its IRI.",
        examples=["ScheduledSession"],
    ),
]
Currency = Annotated[str, _text("[A-Z]{3}", examples=["GBP"])]
Instant = Annotated[
    str,
    _text(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z",
        examples=["2018-10-01T11:00:00Z"],
    ),
]
KeyPrefix = Annotated[str, _text("[A-Za-z0-9_.-]{1,64}")]
Sha256 = Annotated[str, _text("[0-9a-fA-F]{64}")]
Label = Annotated[str, _text(_PRINTABLE, portable=_PORTABLE, min_length=1, max_length=100)]
"""A name for people to read."""

Status = Annotated[str, Meta(max_length=128, examples=["https://openactive.io/CustomerCancelled"])]


def _whole(least: int, most: int) -> Meta:
    """Return the bounds of a whole number, which JSON may write `10.0` or `1e1` too."""
    return Meta(ge=least, le=most, multiple_of=1)


Count = Annotated[int, _whole(0, 1_000_000_000)] | Annotated[float, _whole(0, 1_000_000_000)]
Remaining = (
    Annotated[int, _whole(-1_000_000_000, 1_000_000_000)]
    | Annotated[float, _whole(-1_000_000_000, 1_000_000_000)]
)
"""A count that some feeds let fall below zero, which means none."""

Limit = Annotated[int, _whole(1, 1_000_000_000)] | Annotated[float, _whole(1, 1_000_000_000)]
Position = Annotated[int, _whole(0, 1_000_000)] | Annotated[float, _whole(0, 1_000_000)]
Spaces = Annotated[int, _whole(1, 1_000_000)] | Annotated[float, _whole(1, 1_000_000)]
Modified = (
    Annotated[int, _whole(0, 2**63 - 1)]
    | Annotated[float, _whole(0, 2**63 - 1)]
    | Annotated[str, _text(_PRINTABLE, portable=_PORTABLE, min_length=1, max_length=128)]
)
"""The front-end's own version of what it registers: a number rises, a text is just another."""

Duration = Annotated[
    timedelta,
    Meta(
        description="ISO 8601, whole seconds, at most a year.",
        examples=["PT15M"],
        # For the document: years, months and weeks are not read.
        extra_json_schema={
            "pattern": r"^P(\d{1,3}D|(\d{1,3}D)?T(\d{1,4}H(\d{1,6}M)?(\d{1,8}S)?"
            r"|\d{1,6}M(\d{1,8}S)?|\d{1,8}S))$"
        },
    ),
]

_LONGEST: Final = timedelta(days=366)

# Whoever writes a type in full means the same.
_NAMESPACES: Final = (
    *("https://openactive.io/", "http://openactive.io/", "oa:"),
    *("https://schema.org/", "http://schema.org/", "schema:"),
)

# Half a surrogate pair; whole ones, and a backslash that is meant as one, are stepped over.
_HALF_PAIR: Final = re.compile(
    rb"\\(?:\\|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2}))"
)
_MOST_HALF_PAIRS: Final = 10_000
"""Of one text: a call may cost no more than its body is worth."""

_UNKNOWN_FIELD: Final = re.compile(r"unknown field `(.*)`( - at `.*)?", re.DOTALL)


def decode(body: bytes, decoder: msgspec.json.Decoder[T], *, names: Iterable[str] = ()) -> T:
    """Return what a JSON text says.

    All of it has to be UTF-8, also where the decoder skips what it does not need; a byte order
    mark before it is skipped.

    Args:
        body: The text.
        decoder: Of what it should be.
        names: Of properties, for one that is misspelt where no others are allowed.

    Raises:
        OpenBookingError: It is not what it should be; the description names the place.

    """
    text = body.removeprefix(BOM_UTF8)
    try:
        text.decode()
        return _decoded(text, decoder)
    except UnicodeDecodeError as error:
        problem = f"The JSON is not UTF-8 (byte {error.start})."
    except msgspec.ValidationError as error:
        problem = _with_place(str(error), "$")
        if found := _UNKNOWN_FIELD.search(problem):
            problem = f"{problem} Did you mean `{nearest(found[1], names)}`?"
    except msgspec.DecodeError as error:
        problem = f"{error}."
    except RecursionError:
        problem = "The JSON is nested too deeply."
    raise OpenBookingError(in_one_line(problem))


def usable(value: object, kind: Any, place: str) -> Any:  # noqa: ANN401 - mypy takes no Annotated for a type
    """Return a value that is of one of the types above.

    Raises:
        OpenBookingError: It is not; the description ends in its place.

    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise OpenBookingError(_with_place(str(error), place)) from error


def printable(text: str) -> str:
    """Return a text that has no control character, nor half a surrogate pair.

    Raises:
        ValueError: It has; the message leaves the text out, which may be a secret.

    """
    if text and not _WHOLLY_PRINTABLE.fullmatch(text):
        raise ValueError("It has a control character, or a byte that is no text")
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that was probably meant."""
    return difflib.get_close_matches(word, known, n=1, cutoff=0)[0]


def in_one_line(problem: str) -> str:
    """Show what no terminal shows: a value may hold anything."""
    return "".join(
        character if character.isprintable() else ascii(character).strip("'")
        for character in problem
    )


def type_name(text: str) -> str:
    """Return the name of a type of OpenActive or schema.org without its namespace."""
    for namespace in _NAMESPACES:
        if text.startswith(namespace):
            return text.removeprefix(namespace)
    return text


def types_of(value: bytes | Raw) -> list[str]:
    """Return the names in an `@type`, which may be a text, an array, or anything else."""
    try:
        said = msgspec.json.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        return []
    names = said if isinstance(said, list) else [said]
    return [type_name(name) for name in names if isinstance(name, str)]


def version_text(modified: float | str | None) -> str:
    """Return a `modified` as the scripts take it: digits, `=` and a text, or `""` for none."""
    if modified is None:
        return ""
    return f"={modified}" if isinstance(modified, str) else str(int(modified))


def whole_seconds(length: timedelta, name: str = "duration") -> int:
    """Return a length of time in seconds.

    Args:
        length: As it was decoded.
        name: What the wire calls it, for the message: here msgspec names only what it is part of.

    Raises:
        ValueError: It is not of whole seconds, or not between a second and a year.

    """
    if length.microseconds or not timedelta(seconds=1) <= length <= _LONGEST:
        raise ValueError(f"Expected {name} to be of whole seconds between PT1S and P366D")
    return int(length.total_seconds())


def _decoded(text: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(text)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # Half a surrogate pair is refused even in what is skipped. A control character is not,
        # and no word that is used may have the one or the other.
        plain = _HALF_PAIR.sub(_without_half, text, _MOST_HALF_PAIRS)
        if plain == text:
            raise
        return decoder.decode(plain)


def _without_half(found: re.Match[bytes]) -> bytes:
    return rb"\u0000" if found[1] else found[0]


def _with_place(problem: str, place: str) -> str:
    """End a complaint of msgspec with its place: it leaves out the top one."""
    # To JSON a whole number is an integer, however it is written.
    problem = problem.replace("int | float", "int").replace(
        "float` that's a multiple of 1.0", "int`"
    )
    return f"{problem}." if " - at `" in problem else f"{problem} - at `{place}`."
