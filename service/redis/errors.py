"""The ways in which a call to Redis can fail, one of which is that the whole server is unfit.

They decide what may be promised to the caller (`docs/protocol.md`, rule 25): after
`NothingSentError` nothing changed, after `OutcomeUnknownError` the repeated call settles it,
`UnusableServerError` says what the operator has to change first, and `MisuseError` is a bug of
ours.
"""

from __future__ import annotations

import re
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    RedisError,
    ResponseError,
)


class StoreError(Exception):
    """Redis did not carry out a call."""


class NothingSentError(StoreError):
    """Redis is out of reach or refused before anything ran, so nothing changed."""


class OutcomeUnknownError(StoreError):
    """The call was sent and its answer was lost, so it may or may not have been carried out."""


class MisuseError(StoreError):
    """Redis rejects the call itself: a bug in a script or in how it is called."""


class UnusableServerError(StoreError):
    """The service cannot work with this Redis; the message says what to change, in one line."""


ERROR_REPLIES: Final = (ResponseError, AuthenticationError, BusyLoadingError)
"""What redis-py raises for an error reply: LOADING and NOAUTH are connection errors to it, though
the connection is well."""

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


_DENIED_IN_SCRIPT: Final = re.compile(r"ACL failure in script|The user executing the script can't")
"""How Valkey, and Redis, say of a command inside a script what is NOPERM outside of one."""


def is_denial(error: RedisError | str) -> bool:
    """Tell whether Redis's access list is why it refuses a command, inside a script or not."""
    return isinstance(error, NoPermissionError) or bool(_DENIED_IN_SCRIPT.search(str(error)))


def refusal(error: RedisError) -> StoreError:
    """Return what an error reply means for the caller, with the text of the reply.

    Args:
        error: The reply as redis-py parsed it.

    Returns:
        `NothingSentError` for a condition of the server, `UnusableServerError` for a right that
        its user lacks, `MisuseError` for everything else.

    """
    code = reply_code(error)
    message = f"{code} {str(error).removeprefix(code).strip()}"
    if code in TEMPORARY_CODES:
        return NothingSentError(f"Redis refuses calls at present: {message}")
    if is_denial(error):
        return UnusableServerError(f"Redis denies its user a right: {message}")
    return MisuseError(f"Redis rejects the call: {message}")
