"""Decides which service may be loaded: one on this machine, or one whose owner agrees."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

PERMISSION: Final = "--i-may-load-this-server"


class AddressError(ValueError):
    """The service at this address may not be loaded; the message says what to do."""


def check(url: str, *, is_permitted: bool) -> None:
    """Refuse an address that is none, or is another machine's without permission.

    Args:
        url: `http://…`, `https://…` or `unix:/path`.
        is_permitted: Whether the user said that they may load any machine.

    Raises:
        AddressError: It is refused.

    """
    scheme, _, path = url.partition(":")
    if scheme == "unix" and path:
        return
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError(f"--url {url}: {error}") from error
    if scheme not in {"http", "https"} or not host:
        raise AddressError(f"--url {url}: give it as http://127.0.0.1:8080 or unix:/path")
    if not is_permitted and not _is_this_machine(host, port):
        raise AddressError(
            f"{host} is not this machine, and a simulation is a load. If it is yours to load, and"
            f" nobody books there now, say {PERMISSION}"
        )


def _is_this_machine(host: str, port: int | None) -> bool:
    """Tell whether every address of a host is a loopback one; an unknown host's are not."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in found)
