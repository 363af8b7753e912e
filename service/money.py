"""Amounts of money: exact decimal numbers, in one normal form from the moment they are read."""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw

PRICE_LIMIT: Final = 1_000_000_000
TOTAL_LIMIT: Final = PRICE_LIMIT * 1_000
"""The sum of as many prices as an Order has OrderItems at most is below it."""

UNKNOWN: Final = Raw(b"null")
"""An amount that nobody said."""

_NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_AMOUNT: Final = re.compile(_NUMBER)
_SMALLEST: Final = Decimal("0.000001")
# As many digits as a total has, and no rounding.
_EXACT: Final = Context(prec=18, traps=[Inexact, InvalidOperation])

# msgspec's own Decimal reads all that Python does: "+10", " 1_0 ", digits of any script.
Amount = Annotated[
    Raw,
    Meta(
        description="A decimal number of at most 6 decimals, or the same as a string; exact.",
        examples=[10],
        extra_json_schema={
            "type": ["number", "string", "null"],
            "minimum": 0,
            "pattern": f"^{_NUMBER}$",
        },
    ),
]
"""An amount on the wire; its Struct brings it into normal form by `normal_amount`."""


def amount(value: Decimal | int | str) -> Raw:
    """Return an amount for a body that is built in Python."""
    return Raw(str(value).encode())


def normal_amount(given: Raw, name: str, *, limit: int = PRICE_LIMIT) -> Raw:
    """Return an amount in normal form: no sign, no exponent, no zero at the end of a fraction.

    Args:
        given: The JSON that came: a number, a string or null.
        name: What the wire calls it, for the message.
        limit: The amount is less than this.

    Raises:
        ValueError: It is no amount of money.

    """
    if given == UNKNOWN:
        return UNKNOWN
    try:
        text = bytes(given).decode()
        if text.startswith('"'):
            text = msgspec.json.decode(given, type=str)
        if _AMOUNT.fullmatch(text) and 0 <= (value := Decimal(text)) < limit:
            return Raw(_text(value).encode())
    except (ArithmeticError, msgspec.DecodeError):
        # Too many digits, or half a surrogate pair: no more an amount than any other word.
        pass
    raise ValueError(f"Expected `{name}` from 0 to below {limit}, of at most 6 decimals")


def text_of(known: Raw) -> str:
    """Return an amount in normal form as text, `""` where nobody said it."""
    return "" if known == UNKNOWN else bytes(known).decode()


def normal(value: Decimal) -> Decimal:
    """Return an amount that was computed, or stored by an earlier release, in normal form."""
    return Decimal(_text(value))


def _text(value: Decimal) -> str:
    text = f"{value.quantize(_SMALLEST, context=_EXACT):f}"
    return text.rstrip("0").rstrip(".") if value else "0"
