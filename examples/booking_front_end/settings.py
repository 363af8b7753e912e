"""The settings, read from `FRONT_END_*`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple, Self

SELLERS_PATH = "/api/identifiers/sellers"
API_PATH = "/api/openbooking"


class Settings(NamedTuple):
    """Where the front-end is, and where it finds what it needs.

    Attributes:
        host: The address that it listens on.
        port: Likewise.
        base_url: What its ids and feeds begin with, as its readers see it.
        database: The SQLite file.
        service_url: Where the lease service is.
        service_token: Its API token, where it wants one.

    """

    host: str
    port: int
    base_url: str
    database: Path
    service_url: str
    service_token: str | None = None

    @classmethod
    def from_environ(cls, folder: Path) -> Self:
        """Read them; the database is in `folder` unless the environment says otherwise."""
        service = os.environ.get("LEASE_LISTEN", "127.0.0.1:8080")
        host, _, port = os.environ.get("FRONT_END_LISTEN", "127.0.0.1:8081").rpartition(":")
        return cls(
            host=host,
            port=int(port),
            base_url=os.environ.get("FRONT_END_URL", f"http://{host}:{port}").rstrip("/"),
            database=Path(os.environ.get("FRONT_END_DATABASE", folder / "front-end.sqlite3")),
            service_url=os.environ.get("FRONT_END_SERVICE_URL", f"http://{service}"),
            service_token=os.environ.get("FRONT_END_SERVICE_TOKEN"),
        )

    @property
    def api_url(self) -> str:
        """The Open Booking API's base."""
        return f"{self.base_url}{API_PATH}"
