"""Settings as text: how a value is read, and what is said of one that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import msgspec
from msgspec import Meta, structs

from service.input import nearest


def default_text(value: object) -> str:
    """Return a default as a person would write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    return "none" if value is None else str(value)


def meta_of(field: structs.FieldInfo) -> Meta:
    """Return what a setting says of itself."""
    return next(part for part in reversed(get_args(field.type)) if isinstance(part, Meta))


def convert(text: str, field: structs.FieldInfo) -> object:
    """Return a setting's value, read from text.

    Raises:
        msgspec.ValidationError: The text is no such value.

    """
    listed = isinstance(field.default, tuple)
    value = [part.strip() for part in text.split(",")] if listed else text
    return msgspec.convert(value, field.type, strict=False, dec_hook=lambda kind, part: kind(part))


def invalid(
    variable: str,
    text: str,
    field: structs.FieldInfo,
    error: msgspec.ValidationError,
    *,
    is_secret: bool,
) -> str:
    """Return what is wrong with a value, with one that is right.

    Args:
        variable: The setting's variable.
        text: What it was set to.
        field: The setting.
        error: What msgspec says.
        is_secret: Whether the text may not be shown.

    """
    problem = str(error).partition(" - at ")[0].removesuffix(", got `str`").rstrip(".")
    if "regex" in problem or "enum" in problem:
        problem = "not of the right form"
    problem = (
        problem.replace(" | null`", "`")
        .replace("`int`", "a whole number")
        .replace("`float`", "a number")
        .replace("`bool`", "true or false")
    )
    shown = variable if is_secret else f"{variable}={text}"
    meta = meta_of(field)
    right = f"{variable}={(meta.examples or [''])[0]}"
    return f"{shown}: {problem[0].lower()}{problem[1:]}; for example {right} ({meta.description})"


def unknown(variable: str, known: Mapping[str, object]) -> str:
    """Return what to say of a variable that is no setting: the one that was probably meant."""
    return f"{variable} is not a setting: did you mean {nearest(variable, known)}?"
