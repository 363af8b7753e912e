"""The kinds of values that settings have beyond numbers and words: each parses its own text."""

from __future__ import annotations

import binascii
import ipaddress
import re
from base64 import b64decode
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from service.input import printable

_SCHEME: Final = re.compile(r"rediss?(\+(sentinel|cluster))?|unix")
_HIGHEST_PORT: Final = 65_535
LogFormat = Literal["auto", "json", "console"]

_SECRET_BYTES: Final = range(24, 65)
_UNITS: Final = {"": 1, "b": 1, "kib": 1024, "mib": 1024**2, "gib": 1024**3}


class Address(str):
    """Where to listen: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` or `unix:/path`."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check that the text is an address.

        Args:
            text: The address; a port of 0 lets the system choose.

        Raises:
            ValueError: With what is wrong, for a person.

        """
        address = super().__new__(cls, printable(text))
        if not address.path:
            host, port = address._split()
            if not port.isascii() or not port.isdecimal() or int(port) > _HIGHEST_PORT:
                raise ValueError(f"«{text}» has no port between 0 and 65535")
            if host != "localhost":
                _check_ip(text, host)
        elif not address.path.startswith("/"):
            raise ValueError("The path of a unix socket begins with «/»")
        return address

    @property
    def path(self) -> str:
        """The path of a unix socket; empty for TCP."""
        return self.removeprefix("unix:") if self.startswith("unix:") else ""

    @property
    def host(self) -> str:
        """The IP address, without brackets."""
        host = self._split()[0]
        return "127.0.0.1" if host == "localhost" else host.strip("[]")

    @property
    def port(self) -> int:
        """The TCP port; 0 where the system chooses."""
        return int(self._split()[1])

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it (contract, rule 26)."""
        return bool(self.path) or ipaddress.ip_address(self.host).is_loopback

    def _split(self) -> tuple[str, str]:
        host, _, port = self.rpartition(":")
        return host, port


def _check_ip(text: str, host: str) -> None:
    if not host:
        raise ValueError(f"«{text}» has no host (127.0.0.1: this machine, 0.0.0.0: any network)")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        raise ValueError(f"«{host}» is not an IP address") from None
    if host != (f"[{address}]" if isinstance(address, ipaddress.IPv6Address) else str(address)):
        raise ValueError(f"«{host}» is an IPv6 address without brackets, or not in short form")


class RedisUrl(str):
    """Where Redis is; whoever prints its `repr` sees no password."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check that the text is a URL of a known scheme.

        Raises:
            ValueError: With what is wrong, without the text: it may hold a password.

        """
        # Of a line break urlsplit would say nothing, and leave it out.
        if not _SCHEME.fullmatch(urlsplit(printable(text)).scheme):
            raise ValueError(
                "A Redis URL begins with redis://, rediss:// or unix://, redis+sentinel:// or"
                " redis+cluster://"
            )
        return super().__new__(cls, text)

    @property
    def redacted(self) -> str:
        """The URL without user, password and query."""
        parts = urlsplit(self)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def __repr__(self) -> str:
        """Return the URL without its secrets."""
        return repr(self.redacted)


class WebhookUrl(str):
    """Where webhooks go; whoever prints its `repr` sees only which server that is."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check that the text is an absolute address.

        Raises:
            ValueError: With what is wrong, without the text: a path or query may hold a secret.

        """
        try:
            parts = urlsplit(printable(text))
            is_whole = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            # Its message may quote a part of a password.
            is_whole = False
        if not is_whole or re.search(r"\s", text):
            raise ValueError("A webhook's address is https:// or http://, a host, and a path")
        return super().__new__(cls, text)

    def __repr__(self) -> str:
        """Return the address without its secrets."""
        parts = urlsplit(self)
        return repr(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/***")


class WebhookSecret(bytes):
    """A key that webhooks are signed with, which nothing prints."""

    def __new__(cls, text: str) -> Self:
        """Read a key as the Standard Webhooks convention writes it.

        Args:
            text: `whsec_` and the base64 of 24 to 64 random bytes.

        Raises:
            ValueError: With the right form, without the text.

        """
        encoded = text.removeprefix("whsec_")
        try:
            key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except binascii.Error:
            key = b""
        if encoded == text or len(key) not in _SECRET_BYTES:
            raise ValueError("A webhook secret is whsec_ and the base64 of 24 to 64 random bytes")
        return super().__new__(cls, key)

    def __repr__(self) -> str:
        """Return what kind of value it is."""
        return "'whsec_***'"

    __str__ = __repr__


class Durability(str):
    """What confirms a booking: `memory`, `disk` or `replicas=N` (contract, rule 21)."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check that the text is one of the three.

        Raises:
            ValueError: With the three.

        """
        if not re.fullmatch(r"memory|disk|replicas=[1-9][0-9]?", text):
            raise ValueError("It is memory, disk or replicas=N, N from 1 to 99")
        return super().__new__(cls, text)


class ByteCount(int):
    """A number of bytes, also written as `512KiB`, `1MiB`."""

    def __new__(cls, value: str | int) -> Self:
        """Read a number with an optional unit.

        Args:
            value: Bytes, or a text such as `1 MiB`.

        Raises:
            ValueError: With the right form.

        """
        match = re.fullmatch(r"([1-9]\d{0,11})\s*([A-Za-z]*)", str(value), re.ASCII)
        if match is None or match[2].lower() not in _UNITS:
            raise ValueError("A size is a number of bytes, or one with KiB, MiB or GiB")
        return super().__new__(cls, int(match[1]) * _UNITS[match[2].lower()])

    def __str__(self) -> str:
        """Return the number with the largest unit that leaves it whole."""
        for unit, size in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
            if self % size == 0:
                return f"{self // size}{unit}"
        return int.__repr__(self)
