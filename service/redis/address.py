"""What `LEASE_REDIS_URL` says: which servers there are, and how to connect to one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection

from service.redis.batcher import CONNECT_SECONDS
from service.redis.errors import UnusableServerError

CLIENT_NAME: Final = "lease-service"

_URL: Final = re.compile(r"(?P<base>rediss?|unix)(\+(?P<kind>sentinel|cluster))?://(?P<rest>.+)")
_DATABASE: Final = re.compile(r"(0|[1-9][0-9]{0,8})?")
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(:(?P<port>[0-9]{1,5}))?")
_PORTS: Final = {"sentinel": 26379, "cluster": 6379}
_CONNECTION_SETTINGS: Final = {
    "client_name": CLIENT_NAME,
    "decode_responses": False,
    # The batcher decides what is repeated, watches the deadlines and notices a closed connection.
    "health_check_interval": 0,
    "retry": None,
    "retry_on_timeout": False,
    "socket_timeout": None,
    "socket_connect_timeout": CONNECT_SECONDS,
    # RESP2 has no push messages, which would come between the replies.
    "protocol": 2,
}


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return it as an operator writes it."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class Connector:
    """Makes connections to servers that have user, password and TLS in common."""

    def __init__(self, url: str) -> None:
        """Read the address of one server.

        Args:
            url: `redis://`, `rediss://` or `unix://` as redis-py reads it.

        Raises:
            TypeError: It has an unknown option.
            ValueError: It is malformed.

        """
        pool = ConnectionPool.from_url(url, **_CONNECTION_SETTINGS)
        # Again, because the options of the address have won.
        self._settings: dict[str, Any] = {**pool.connection_kwargs, **_CONNECTION_SETTINGS}
        self._connection_class: Callable[..., AbstractConnection] = pool.connection_class
        self.connect()

    def __repr__(self) -> str:
        """Return nothing that is secret."""
        return "Connector()"

    def connect(self, address: Address | None = None) -> AbstractConnection:
        """Make an unconnected connection.

        Args:
            address: Of another server than the one that the URL names.

        """
        place = {} if address is None else address._asdict()
        return self._connection_class(**{**self._settings, **place})


class Location(NamedTuple):
    """The servers that an address names, and how to talk to them."""

    kind: str
    """`sentinel`, `cluster`, or `""`: one server."""
    servers: Connector
    sentinels: Connector
    """How to talk to a Sentinel, which has users of its own."""
    hosts: Sequence[Address]
    """The Sentinels, or nodes of the cluster: enough to find the others."""
    name: str
    """What the Sentinels call the servers."""

    @classmethod
    def read(cls, url: str) -> Location:
        """Read `LEASE_REDIS_URL`.

        Args:
            url: `redis://`, `rediss://` (TLS) or `unix://` with user, password and database as
                redis-py reads them, and TLS options such as `ssl_ca_certs` behind a question mark;
                `redis+cluster://user:password@host:port,host:port`, of which some nodes are
                enough; or `redis+sentinel://user:password@host:port,host:port/name`, with the
                Sentinels' addresses, `db`, and where Sentinels have users `sentinel_username` and
                `sentinel_password` as options. `rediss+…` is TLS to all of them.

        Raises:
            UnusableServerError: It is none of these.

        """
        match = _URL.fullmatch(url) if url.isprintable() else None
        if match is None or (match["base"] == "unix" and match["kind"]):
            raise UnusableServerError(
                f"LEASE_REDIS_URL {redact(url)} is not supported: start it with redis://,"
                " rediss:// or unix://, redis+sentinel:// or redis+cluster://."
            )
        try:
            if match["kind"]:
                return cls._read_several(*match.group("kind", "base", "rest"))
            _check_place(url)
            servers = Connector(url)
        except (TypeError, ValueError):
            # redis-py's message may quote a part of the password.
            raise UnusableServerError(
                f"LEASE_REDIS_URL {redact(url)} cannot be read: correct its hosts, ports,"
                " path, database or options, and percent-encode special characters in the"
                " password."
            ) from None
        return cls("", servers, servers, (), "")

    @classmethod
    def _read_several(cls, kind: str, base: str, rest: str) -> Location:
        place, _, query = rest.partition("?")
        netloc, _, name = place.partition("/")
        user, at, hosts = netloc.rpartition("@")
        addresses = [_address(text, _PORTS[kind]) for text in hosts.split(",")]
        if bool(name) != (kind == "sentinel"):
            raise ValueError(name)
        options = dict(parse_qsl(query, strict_parsing=bool(query)))
        _check_database(options.get("db", ""))
        if kind == "cluster" and options.get("db", "0") != "0":
            raise ValueError("a cluster has one database")
        own = {key: options.pop(f"sentinel_{key}", None) for key in ("username", "password")}
        servers = _connector(base, f"{user}{at}{addresses[0]}", options)
        sentinels = _connector(base, str(addresses[0]), options | own | {"db": None})
        return cls(kind, servers, sentinels, addresses, name)


def redact(url: str) -> str:
    """Return an address without user, password and options, fit for a log line.

    Args:
        url: The value of `LEASE_REDIS_URL`, well-formed or not.

    """
    scheme, separator, rest = url.partition("://")
    place, _, options = rest.partition("?")
    if not separator or "@" in options:
        return "***"
    _, at, host = place.rpartition("@")
    shown = f"{scheme}://{at and '***@'}{host}"
    return shown if shown.isprintable() else shown.encode("unicode_escape").decode()


def _check_place(url: str) -> None:
    """Refuse what redis-py would read as the default."""
    place = urlsplit(url)
    _check_database(dict(parse_qsl(place.query)).get("db", ""))
    if place.scheme != "unix":
        _check_database(place.path[1:])
    elif not place.path:
        raise ValueError("no path")
    if place.port == 0:
        raise ValueError("no port")


def _check_database(text: str) -> None:
    # redis-py takes 0 for what is no number, and whatever Python takes for one.
    if not _DATABASE.fullmatch(text):
        raise ValueError("not a database")


def _address(text: str, port: int) -> Address:
    match = _HOST.fullmatch(text)
    if match is None:
        raise ValueError("not a host")
    return Address(match["host"].strip("[]"), int(match["port"] or port))


def _connector(base: str, netloc: str, options: Mapping[str, str | None]) -> Connector:
    given = {key: text for key, text in options.items() if text is not None}
    return Connector(f"{base}://{netloc}?{urlencode(given)}")
