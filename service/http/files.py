"""The files of pages for people."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import hdrs

from service.errors import UnknownOrIncorrectEndpointError
from service.http.context import Request
from service.http.response import Response

_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


def policy(**sources: str) -> dict[str, str]:
    """Return the headers of a page's files, which let nothing come from elsewhere.

    Args:
        sources: Further directives of the content security policy, with `_` for `-`.

    """
    rules = {
        "default_src": "'none'",
        "script_src": "'self'",
        "connect_src": "'self'",
        "base_uri": "'none'",
        "form_action": "'none'",
        "frame_ancestors": "'none'",
    } | sources
    policy = "; ".join(f"{name.replace('_', '-')} {value}" for name, value in rules.items())
    return {
        hdrs.CACHE_CONTROL: "no-cache",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


async def answer_file(request: Request, path: Path | None, headers: dict[str, str]) -> Response:
    """Return a file, or 304 to whoever has it as it is.

    Raises:
        UnknownOrIncorrectEndpointError: There is none.

    """
    if path is None:
        raise UnknownOrIncorrectEndpointError("There is no such file.")
    tag, content = await asyncio.to_thread(_read, path)
    fields = headers | {hdrs.ETAG: tag, hdrs.CONTENT_TYPE: _MEDIA_TYPES[path.suffix]}
    if tag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
        return Response(status=HTTPStatus.NOT_MODIFIED, headers=fields)
    return Response(content, headers=fields)


def _read(path: Path) -> tuple[str, bytes]:
    found = path.stat()
    return f'"{found.st_mtime_ns:x}-{found.st_size:x}"', path.read_bytes()
