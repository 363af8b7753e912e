"""Which server a request is for: the HTTP that it speaks, and the host that it names."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from aiohttp import hdrs

from service.errors import OpenBookingError

if TYPE_CHECKING:
    from service.http.context import Request

# https://www.rfc-editor.org/rfc/rfc3986#section-3.2, without user information
_AUTHORITY: Final = re.compile(
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(?::([0-9]{0,5}))?\Z"
)
_LOCALHOST: Final = re.compile(r"(?:[a-z0-9_-]+\.)*localhost")
_HIGHEST_PORT: Final = 65_535


def check_target(request: Request) -> None:
    """Refuse what is meant for another server, or says so in a way that is no HTTP.

    Raises:
        OpenBookingError: It is another version of HTTP (505), names no host that can be one (400),
            or none of this machine, where only this machine is answered (421; rule 26).

    """
    if request.version.major != 1:
        raise OpenBookingError(
            "This service speaks HTTP/1.1.", status=HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
        )
    absolute = request.absolute
    if absolute and absolute.scheme not in {"", "http", "https"}:
        raise OpenBookingError("This service is asked for http and https.")
    if "%" in request.rel_url.raw_query_string and not _is_utf8(request.rel_url.raw_query_string):
        raise OpenBookingError("The query is not UTF-8.")
    in_line = absolute.raw_authority if absolute else None
    for authority in (request.headers.get(hdrs.HOST), in_line):
        if authority is None:
            continue
        is_local = is_local_host(authority)
        if is_local is None and not request.is_from_a_unix_socket:
            raise OpenBookingError("The request names no host that can be one.")
        if request.connection.is_for_this_machine and not is_local:
            raise OpenBookingError(
                "Without tokens this address answers to localhost alone, and the request is for"
                " another host.",
                status=HTTPStatus.MISDIRECTED_REQUEST,
            )


def _is_utf8(query: str) -> bool:
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        return False
    return True


@lru_cache(maxsize=256)
def is_local_host(authority: str) -> bool | None:
    """Tell whether a host and its port are this machine's own; None: it is no host at all."""
    found = _AUTHORITY.match(authority)
    if found is None or int(found[2] or 0) > _HIGHEST_PORT:
        return None
    host = found[1].lower().removesuffix(".")
    if _LOCALHOST.fullmatch(host):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return None if host.startswith("[") else False
