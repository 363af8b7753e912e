"""What a word from outside has to be: every pattern is anchored here, once."""

from __future__ import annotations

from typing import Any

from msgspec import Meta


def whole(pattern: str, **more: Any) -> Meta:  # noqa: ANN401 - as Meta has them
    r"""Return the constraint that a whole text has this pattern (`docs/protocol.md`, rule 24).

    `$` also matches before a final line break, which would let an id end in one; after `\Z`
    nothing may follow. JSON Schema, which knows no `\Z`, has `$` in the OpenAPI document.

    Args:
        pattern: A regular expression that Python and ECMA-262 read alike, without anchors.
        more: Other constraints of `msgspec.Meta`.

    """
    return Meta(pattern=rf"\A(?:{pattern})\Z", **more)
