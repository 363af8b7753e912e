"""Amounts of money: exact decimal numbers, in one normal form from the moment they are read."""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Raw

PRICE_LIMIT: Final = 1_000_000_000
TOTAL_LIMIT: Final = PRICE_LIMIT * 1_000
"""The sum of as many prices as an Order has OrderItems at most is below it."""

_NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_AMOUNT: Final = re.compile(_NUMBER)
_SMALLEST: Final = Decimal("0.000001")
# As many digits as a total has, and no rounding.
_EXACT: Final = Context(prec=18, traps=[Inexact, InvalidOperation])

if TYPE_CHECKING:
    Amount: TypeAlias = Decimal | None
else:
    # msgspec's own Decimal reads all that Python does: "+10", " 1_0 ", digits of any script. So it
    # gives the JSON as it came, of which `normal_amount` makes a Decimal before anyone sees it.
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


def normal_amount(given: object, name: str, *, limit: int = PRICE_LIMIT) -> Decimal | None:
    """Return an amount in normal form: no sign, no exponent, no zero at the end of a fraction.

    Args:
        given: The JSON that came, a number, a string or null; or a Decimal or None.
        name: What the wire calls it, for the message.
        limit: The amount is less than this.

    Raises:
        ValueError: It is no amount of money.

    """
    text = bytes(given).decode() if isinstance(given, Raw) else str(given)
    if given is None or text == "null":
        return None
    try:
        if text.startswith('"'):
            text = msgspec.json.decode(text, type=str)
        if _AMOUNT.fullmatch(text) and 0 <= (amount := Decimal(text)) < limit:
            return normal(amount)
    except (ArithmeticError, msgspec.DecodeError):
        # Too many digits, or half a surrogate pair: no more an amount than any other word.
        pass
    raise ValueError(f"Expected `{name}` from 0 to below {limit}, of at most 6 decimals")


def normal(amount: Decimal) -> Decimal:
    """Return an amount in normal form that was computed, or that an earlier release stored."""
    text = f"{amount.quantize(_SMALLEST, context=_EXACT):f}"
    return Decimal(text.rstrip("0").rstrip(".") if amount else 0)
