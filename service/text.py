"""What a word from outside has to be: every pattern is anchored here, once."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Meta

PRINTABLE: Final = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]+"
"""No control character, C1's among them, nor what some readers take for a line's end."""

# An IRI ends in the name; `oa:` and `schema:` are what JSON-LD calls the standard's namespaces.
_NAMESPACE: Final = re.compile(r"(?:.*[/#])?(?:(?:oa|openactive|schema):)?", re.DOTALL)
_LONGEST_TYPES: Final = 1024


def whole(pattern: str, **more: Any) -> Meta:  # noqa: ANN401 - as Meta has them
    r"""Return the constraint that a whole text has this pattern (`docs/protocol.md`, rule 24).

    `$` also matches before a final line break, which would let an id end in one; after `\Z`
    nothing may follow. JSON Schema, which knows no `\Z`, has `$` in the OpenAPI document.

    Args:
        pattern: A regular expression that Python and ECMA-262 read alike, without anchors.
        more: Other constraints of `msgspec.Meta`.

    """
    return Meta(pattern=rf"\A(?:{pattern})\Z", **more)


@lru_cache(maxsize=256)
def type_names(given: bytes) -> tuple[str, ...]:
    """Return the names of types that an `@type` has, without their namespaces.

    Args:
        given: JSON: a name, its whole IRI, an array of them, or anything else, which has none.

    """
    if len(given) > _LONGEST_TYPES:
        return ()
    try:
        said = msgspec.json.decode(given)
    except (msgspec.MsgspecError, RecursionError):
        return ()
    names = said if isinstance(said, list) else [said]
    return tuple(_NAMESPACE.sub("", name, 1) for name in names if isinstance(name, str))
