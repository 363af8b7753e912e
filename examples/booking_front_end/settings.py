"""The settings, read from `FRONT_END_*`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

SELLERS_PATH = "/api/identifiers/sellers"
API_PATH = "/api/openbooking"

_PREFIX: Final = "FRONT_END_"
_DEFAULTS: Final = {
    "FRONT_END_LISTEN": "127.0.0.1:8081",
    "FRONT_END_URL": "",
    "FRONT_END_DATABASE": "",
    "FRONT_END_SERVICE_URL": "",
    "FRONT_END_SERVICE_TOKEN": "",
    "FRONT_END_FEED_OPPORTUNITIES": "true",
}


class SettingsError(Exception):
    """A variable is no setting, or has no usable value; the message is one line for a person."""


class Settings(NamedTuple):
    """Where the front-end is, and where it finds what it needs.

    Attributes:
        host: The address that it listens on.
        port: Likewise.
        base_url: What its ids and feeds begin with, as its readers see it.
        database: The SQLite file.
        service_url: Where the lease service is.
        service_token: Its API token, where it wants one.
        starts_service: Whether the service has to be started.
        feeds_opportunities: Whether the OrderItems in Orders feeds name their Opportunities.

    """

    host: str
    port: int
    base_url: str
    database: Path
    service_url: str
    service_token: str | None = None
    starts_service: bool = False
    feeds_opportunities: bool = True

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], folder: Path) -> Self:
        """Read the settings; an empty variable counts as unset.

        Args:
            environ: The environment; of the service's settings `LEASE_LISTEN` is read too.
            folder: Where the database is, unless the environment says otherwise.

        Raises:
            SettingsError: A variable is misspelt, or cannot be used.

        """
        given = {name: text for name, text in environ.items() if name.startswith(_PREFIX) and text}
        for name in given.keys() - _DEFAULTS.keys():
            (nearest,) = difflib.get_close_matches(name, _DEFAULTS, n=1, cutoff=0)
            raise SettingsError(f"{name} is not a setting: did you mean {nearest}?")
        values = _DEFAULTS | given
        feeds_opportunities = values["FRONT_END_FEED_OPPORTUNITIES"]
        if feeds_opportunities not in {"true", "false"}:
            problem = f"FRONT_END_FEED_OPPORTUNITIES={feeds_opportunities} is not true or false"
            raise SettingsError(problem)
        listen = values["FRONT_END_LISTEN"]
        try:
            address = urlsplit(f"//{listen}")
            host, port = address.hostname, address.port
        except ValueError:
            host = port = None
        if host is None or port is None or listen != address.netloc:
            raise SettingsError(f"FRONT_END_LISTEN={listen} is no address such as 127.0.0.1:8081")
        # The first of them, where the service listens at several.
        service = environ.get("LEASE_LISTEN", "").partition(",")[0].strip() or "127.0.0.1:8080"
        started_at = service if service.startswith("unix:") else f"http://{service}"
        return cls(
            host=host,
            port=port,
            base_url=_url(values, "FRONT_END_URL", ("http",)) or f"http://{listen}",
            database=Path(values["FRONT_END_DATABASE"] or folder / "front-end.sqlite3"),
            service_url=_url(values, "FRONT_END_SERVICE_URL", ("http", "unix")) or started_at,
            service_token=values["FRONT_END_SERVICE_TOKEN"] or None,
            starts_service=not values["FRONT_END_SERVICE_URL"],
            feeds_opportunities=feeds_opportunities == "true",
        )

    @property
    def api_url(self) -> str:
        """The Open Booking API's base."""
        return f"{self.base_url}{API_PATH}"


def _url(values: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str:
    url = values[name].rstrip("/")
    if url and not url.startswith(schemes):
        raise SettingsError(f"{name}={url} begins with none of: {', '.join(schemes)}")
    return url
