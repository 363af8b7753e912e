"""What a word from outside has to be: every pattern is anchored here, once."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Meta, Raw

PRINTABLE: Final = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]+"
"""No control character, C1's among them, nor what some readers take for a line's end."""

# An IRI ends in the name; `oa:` and `schema:` are what JSON-LD calls the standard's namespaces.
_NAMESPACE: Final = re.compile(r"(?:.*[/#])?(?:(?:oa|openactive|schema):)?", re.DOTALL)
_TYPE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9:._-]{0,63}")
_LONGEST_TYPES: Final = 1024
_LONGEST_PARTNER: Final = 200


def is_partner(name: str) -> bool:
    """Tell whether a Booking Partner may be called so: 1 to 200 printable characters, no `|`."""
    return 0 < len(name) <= _LONGEST_PARTNER and name.isprintable() and "|" not in name


def whole(pattern: str, **more: Any) -> Meta:  # noqa: ANN401 - as Meta has them
    r"""Return the constraint that a whole text has this pattern (`docs/protocol.md`, rule 24).

    `$` also matches before a final line break, which would let an id end in one; after `\Z`
    nothing may follow. JSON Schema, which knows no `\Z`, has `$` in the OpenAPI document.

    Args:
        pattern: A regular expression that Python and ECMA-262 read alike, without anchors.
        more: Other constraints of `msgspec.Meta`.

    """
    return Meta(pattern=rf"\A(?:{pattern})\Z", **more)


def type_names(given: Raw) -> tuple[str, ...]:
    """Return the names of types that an `@type` has, without their namespaces.

    Args:
        given: JSON: a name, its whole IRI, an array of them, or anything else, which has none.

    """
    text = bytes(given)
    return _type_names(text) if len(text) <= _LONGEST_TYPES else ()


@lru_cache(maxsize=256)
def _type_names(text: bytes) -> tuple[str, ...]:
    try:
        said = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return ()
    listed = said if isinstance(said, list) else [said]
    names = (_NAMESPACE.sub("", name, 1) for name in listed if isinstance(name, str))
    return tuple(name for name in names if _TYPE_NAME.fullmatch(name))
