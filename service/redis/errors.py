"""The three ways in which a call to Redis can fail, and how a whole server can be unfit.

The three decide what may be promised to the caller (contract, rule 25): after `NothingSentError`
nothing changed, after `OutcomeUnknownError` the repeated call settles it, and `MisuseError` is a
bug of ours.
"""

from __future__ import annotations

from typing import Final

from redis.exceptions import RedisError


class StoreError(Exception):
    """Redis did not carry out a call."""


class NothingSentError(StoreError):
    """Redis is out of reach or refused before anything ran, so nothing changed."""


class OutcomeUnknownError(StoreError):
    """The call was sent and its answer was lost, so it may or may not have been carried out."""


class MisuseError(StoreError):
    """Redis rejects the call itself: a bug in a script or in how it is called."""


class UnusableServerError(Exception):
    """The service cannot work with this Redis; the message says what to change, in one line."""


TEMPORARY_CODES: Final = frozenset(
    {
        "BUSY",
        "CLUSTERDOWN",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "NOAUTH",
        "NOREPLICAS",
        "OOM",
        "READONLY",
        "TRYAGAIN",
    }
)
"""Codes of error replies that pass by themselves or by an operator's hand.

Redis gives each of them before a command runs, and before the first write of a script, so that
nothing has changed.
"""

PASSING_CODES: Final = frozenset({"CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY", "TRYAGAIN"})
"""Those that pass soon where several servers stand in for each other, or share the keys."""

AGAIN_SECONDS: Final = 0.05
"""After such a code, how long until the call is sent again."""


def reply_code(error: RedisError) -> str:
    """Return the code of an error reply: its first word on the wire, such as `LOADING`.

    redis-py moves the codes that it knows out of the message; the others are still its first word.
    """
    return error.status_code or str(error).partition(" ")[0]


def refusal(error: RedisError) -> NothingSentError | MisuseError:
    """Return what an error reply means for the caller, with the text of the reply.

    Args:
        error: The reply as redis-py parsed it.

    Returns:
        `NothingSentError` for a condition of the server, `MisuseError` for everything else.

    """
    code = reply_code(error)
    message = f"{code} {str(error).removeprefix(code).strip()}"
    if code in TEMPORARY_CODES:
        return NothingSentError(f"Redis refuses calls at present: {message}")
    return MisuseError(f"Redis rejects the call: {message}")
