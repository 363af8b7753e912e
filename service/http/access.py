"""Who may call what: Bearer tokens, of which only digests are kept (contract, rules 24 and 26)."""

from __future__ import annotations

import hashlib
import hmac
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import msgspec
from msgspec import Meta, Struct

from service.errors import (
    InvalidAPITokenError,
    InvalidAuthorizationDetailsError,
    NoAPITokenError,
)

_SCHEME: Final = "bearer "


class TokensFileError(ValueError):
    """The tokens file cannot be used; the message is one line that says what to change."""


class Scope(IntEnum):
    """What a token allows; each scope includes those below it."""

    READ = 1
    LEASE = 2
    ADMIN = 3


class Token(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the tokens file: a name for people, a scope, the token's SHA-256 in hex."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    scope: Literal["read", "lease", "admin"]
    sha256: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")]


class _TokensFile(Struct, frozen=True, forbid_unknown_fields=True):
    token: Annotated[list[Token], Meta(min_length=1)]


class Tokens:
    """The tokens that the operator handed out."""

    def __init__(self, tokens: list[Token]) -> None:
        self._scopes = [
            (bytes.fromhex(token.sha256), Scope[token.scope.upper()]) for token in tokens
        ]

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a TOML file of `[[token]]` tables with `name`, `scope` and `sha256`.

        Args:
            path: The file of `LEASE_TOKENS_FILE`.

        Returns:
            The tokens.

        Raises:
            TokensFileError: The file cannot be read, or is not what it should be.

        """
        try:
            return cls(msgspec.toml.decode(Path(path).read_bytes(), type=_TokensFile).token)
        except OSError as error:
            raise TokensFileError(f"{path}: {error.strerror}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            problem = " ".join(str(error).split())
            raise TokensFileError(f"{path}: {problem}") from error

    def authorise(self, authorization: str | None, needed: Scope) -> None:
        """Let a request pass, or refuse it.

        Every token is compared, each in constant time, so that how long it takes says nothing.

        Args:
            authorization: The request's `Authorization` header.
            needed: What the endpoint asks for.

        Raises:
            NoAPITokenError: There is no Bearer token.
            InvalidAPITokenError: The token is none of ours.
            InvalidAuthorizationDetailsError: The token's scope is too small.

        """
        if authorization is None or not authorization[: len(_SCHEME)].lower() == _SCHEME:
            raise NoAPITokenError("Send the API token as «Authorization: Bearer …».")
        presented = authorization[len(_SCHEME) :].strip().encode(errors="surrogateescape")
        digest = hashlib.sha256(presented).digest()
        granted: Scope | None = None
        for known, scope in self._scopes:
            if hmac.compare_digest(known, digest):
                granted = scope
        if granted is None:
            raise InvalidAPITokenError("This API token is not known here.")
        if granted < needed:
            raise InvalidAuthorizationDetailsError(
                f"This call needs a token of scope «{needed.name.lower()}»;"
                f" this one has «{granted.name.lower()}»."
            )
