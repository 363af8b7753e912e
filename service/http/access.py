"""Who may call what: Bearer tokens, of which only digests are kept (contract, rules 24 and 26)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import structlog
from msgspec import Meta, Struct

from service.errors import (
    InvalidAPITokenError,
    InvalidAuthorizationDetailsError,
    NoAPITokenError,
)
from service.http.admission import Tally
from service.http.pace import Pace
from service.model import Id
from service.text import PRINTABLE, is_partner, whole
from service.watching import Watch

_SCHEME: Final = "bearer "

_log = structlog.stdlib.get_logger(__name__)


class TokensFileError(ValueError):
    """The tokens file cannot be used; the message is one line that says what to change."""


class Scope(IntEnum):
    """What a token allows; each scope includes those below it."""

    READ = 1
    LEASE = 2
    ADMIN = 3


ScopeName = Literal["read", "lease", "admin"]
_Sellers = Annotated[tuple[Id, ...], Meta(min_length=1)]
_Partners = Annotated[tuple[str, ...], Meta(min_length=1)]


class Token(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One entry of the tokens file.

    Attributes:
        name: For people: what the log calls whoever has the token.
        scope: What it allows.
        sha256: The token's SHA-256, in hex; the token itself is nowhere.
        booking_partners: The only ones that it may name; None: any.
        sellers: The only ones that it may name; None: any.
        rate: The most calls per second to one worker process; None: LEASE_RATE_LIMIT.

    """

    name: Annotated[str, whole(PRINTABLE, max_length=100)]
    scope: ScopeName
    sha256: Annotated[str, whole("[0-9a-fA-F]{64}")]
    booking_partners: _Partners | None = None
    sellers: _Sellers | None = None
    rate: Annotated[float, Meta(ge=0.01, le=1_000_000)] | None = None

    def __post_init__(self) -> None:
        """Refuse a Booking Partner that no call can name."""
        for partner in self.booking_partners or ():
            if not is_partner(partner):
                raise ValueError(f"{partner!a} is no Booking Partner that a call can name")


class _Content(Struct, frozen=True, forbid_unknown_fields=True):
    token: Annotated[tuple[Token, ...], Meta(min_length=1)]


class Grant:
    """What a token allows whoever presents it."""

    __slots__ = ("_partners", "_sellers", "digest", "name", "pace", "scope", "shed")

    def __init__(self, token: Token, default_rate: float | None) -> None:
        """Read an entry of the tokens file; `default_rate` is for one without `rate`."""
        self.name = token.name
        self.digest = bytes.fromhex(token.sha256)
        self.scope = Scope[token.scope.upper()]
        self._partners = _bounds(token.booking_partners)
        self._sellers = _bounds(token.sellers)
        rate = default_rate if token.rate is None else token.rate
        self.pace = None if rate is None else Pace(rate)
        self.shed = Tally()

    def allow_partner(self, partner: str) -> None:
        """Let a call name this Booking Partner.

        Raises:
            InvalidAuthorizationDetailsError: The token is bound to others.

        """
        if self._partners is not None and partner not in self._partners:
            raise InvalidAuthorizationDetailsError(
                "This token is bound to Booking Partners, and the one of this call is none of"
                " them."
            )

    def allow_seller(self, seller: str) -> None:
        """Let a call name this Seller.

        Raises:
            InvalidAuthorizationDetailsError: The token is bound to others.

        """
        if self._sellers is not None and seller not in self._sellers:
            raise InvalidAuthorizationDetailsError(
                "This token is bound to Sellers, and the one of this call is none of them."
            )

    def allow_everything(self) -> None:
        """Let a call see what every Seller and Booking Partner has.

        Raises:
            InvalidAuthorizationDetailsError: The token is bound to some.

        """
        if self._partners is not None or self._sellers is not None:
            raise InvalidAuthorizationDetailsError(
                "This token is bound to Booking Partners or Sellers; this call shows all of them."
            )


class Tokens:
    """The tokens that the operator handed out."""

    def __init__(self, tokens: Sequence[Token], default_rate: float | None = None) -> None:
        """Know these tokens.

        Args:
            tokens: The entries of the tokens file.
            default_rate: Calls per second of a token that says nothing of it; None: any number.

        """
        self._default_rate = default_rate
        self._grants: tuple[Grant, ...] = ()
        self.replace(tokens)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._grants)

    def replace(self, tokens: Sequence[Token]) -> None:
        """Know these tokens from the next call on, and no others."""
        paces = {grant.digest: grant.pace for grant in self._grants}
        grants = [Grant(token, self._default_rate) for token in tokens]
        for grant in grants:
            # Who has used up their calls does not get them back because somebody else came.
            pace = paces.get(grant.digest)
            if pace is not None and grant.pace is not None and pace.rate == grant.pace.rate:
                grant.pace = pace
        self._grants = tuple(grants)

    def authorise(self, authorization: str | None, needed: Scope) -> Grant:
        """Let a request pass, or refuse it.

        Every token is compared, each in constant time, so that how long it takes says nothing.

        Args:
            authorization: The request's `Authorization` header.
            needed: What the endpoint asks for.

        Returns:
            What the token allows.

        Raises:
            NoAPITokenError: There is no Bearer token.
            InvalidAPITokenError: The token is none of ours.
            InvalidAuthorizationDetailsError: The token's scope is too small.

        """
        if authorization is None or not authorization[: len(_SCHEME)].lower() == _SCHEME:
            raise NoAPITokenError("Send the API token as «Authorization: Bearer …».")
        presented = authorization[len(_SCHEME) :].strip().encode(errors="surrogateescape")
        digest = hashlib.sha256(presented).digest()
        granted: Grant | None = None
        for grant in self._grants:
            if hmac.compare_digest(grant.digest, digest):
                granted = grant
        if granted is None:
            raise InvalidAPITokenError("This API token is not known here.")
        if granted.scope < needed:
            raise InvalidAuthorizationDetailsError(
                f"This call needs a token of scope «{needed.name.lower()}»;"
                f" this one has «{granted.scope.name.lower()}»."
            )
        return granted


class TokensFile:
    """The file of `LEASE_TOKENS_FILE`: TOML with a table `[[token]]` for each, see `Token`.

    Attributes:
        tokens: As the file has them, as long as somebody follows it.

    """

    def __init__(self, path: str | Path, default_rate: float | None = None) -> None:
        """Read the file.

        Args:
            path: Where it is.
            default_rate: As for `Tokens`.

        Raises:
            TokensFileError: The file cannot be read, or is not what it should be.

        """
        self._path = path
        self._watch = Watch([path])
        self.tokens = Tokens(self._read(), default_rate)

    async def follow(self) -> None:
        """Read the file again after each change, for ever; a broken one changes nothing."""
        await self._watch.follow(self._reload)

    def _reload(self) -> None:
        try:
            self.tokens.replace(self._read())
        except TokensFileError as error:
            _log.error("tokens.unusable", reason=str(error), kept=len(self.tokens))
        else:
            _log.info("tokens.reloaded", tokens=len(self.tokens))

    def _read(self) -> Sequence[Token]:
        try:
            tokens = msgspec.toml.decode(Path(self._path).read_bytes(), type=_Content).token
        except OSError as error:
            raise TokensFileError(f"{self._path}: {error.strerror}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            problem = " ".join(str(error).split())
            raise TokensFileError(f"{self._path}: {problem}") from error
        known: dict[str, Token] = {}
        for token in tokens:
            first = known.setdefault(token.sha256.lower(), token)
            if first is not token:
                raise TokensFileError(
                    f"{self._path}: «{first.name}» and «{token.name}» are the same token; give"
                    " each its own"
                )
        return tokens


def _bounds(names: Sequence[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)
