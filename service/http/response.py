"""What the service answers: every body in one place, errors included (rule 24)."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

import msgspec
from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion10
from msgspec import UNSET, structs

from service.errors import OpenBookingError
from service.ledger import error_body
from service.model import CONTEXT, MEDIA_TYPE

if TYPE_CHECKING:
    from service.http.context import Request

REPLAYED: Final[Mapping[str, str]] = {"Idempotency-Replayed": "true"}
"""Says that an earlier call did it (rule 17)."""

REQUEST_ID_HEADER: Final = "X-Request-Id"

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus
}
_SERVER: Final = "Server: lease-service"
_NO_STORE: Final = "Cache-Control: no-store"

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class Response(web.StreamResponse):
    """An answer that is known whole: it is written in one piece, past what streams need."""

    def __init__(
        self,
        body: bytes | None = None,
        *,
        status: int = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer with these bytes; None: there is no body, as for 204 and HEAD."""
        super().__init__(status=status)
        self._whole = body
        self._fields = headers or {}
        self._stays = True
        self._request: Request

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open behind it."""
        return self._stays

    def force_close(self) -> None:
        """Close the connection behind it."""
        self._stays = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Begin the answer to a request."""
        self._request = cast("Request", request)
        if not request.keep_alive:
            self._stays = False
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - aiohttp's signature
        """Write it, and wait while the client takes nothing."""
        connection = self._request.connection
        transport = connection.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        transport.write(self._packed(self._request))
        if connection.writing_paused:
            await self._request.writer.drain()

    def _packed(self, request: Request) -> bytes:
        lines = [_STATUS_LINES[self.status], f"{REQUEST_ID_HEADER}: {request.id}", _SERVER]
        lines += [f"{name}: {value}" for name, value in self._fields.items()]
        if hdrs.CACHE_CONTROL not in self._fields:
            lines.append(_NO_STORE)
        if not self._stays:
            lines.append("Connection: close")
        elif request.version == HttpVersion10:
            lines.append("Connection: keep-alive")
        body = self._whole
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        lines += [_date(int(time.time())), "", ""]
        head = "\r\n".join(lines).encode()
        return head if body is None or request.method == hdrs.METH_HEAD else head + body


def answer(
    body: object,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str = MEDIA_TYPE,
) -> Response:
    """Return a wire type as a response, which no cache may keep unless `headers` say so."""
    fields: dict[str, str] = {hdrs.CONTENT_TYPE: media_type}
    if headers:
        fields.update(headers)
    return Response(_encode(body), status=status, headers=fields)


def sign(response: web.StreamResponse, request_id: str) -> None:
    """Give aiohttp's own answers the headers that ours have, and no version of a library."""
    headers = response.headers
    headers[REQUEST_ID_HEADER] = request_id
    headers[hdrs.SERVER] = "lease-service"
    headers.setdefault(hdrs.CACHE_CONTROL, "no-store")


def nothing(headers: Mapping[str, str] | None = None) -> Response:
    """Return a 204."""
    return Response(status=HTTPStatus.NO_CONTENT, headers=headers)


def refusal(
    error: OpenBookingError, request_id: str, *, allowed: Collection[str] = ()
) -> Response:
    """Return an error as its OpenActive body, with the headers that HTTP asks for beside it.

    Args:
        error: What went wrong.
        request_id: The id of the request that it went wrong for.
        allowed: The verbs that the endpoint knows, for a 405.

    """
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers[hdrs.RETRY_AFTER] = str(error.retry_after)
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    if allowed:
        headers[hdrs.ALLOW] = ", ".join(sorted(allowed))
    body = structs.replace(
        error_body(error),
        context=CONTEXT,
        request_id=request_id,
        ordered_item=UNSET if error.ordered_item is None else error.ordered_item,
    )
    response = answer(body, status=error.status_code, headers=headers)
    if error.status_code == HTTPStatus.REQUEST_TIMEOUT:
        # The rest of the request may come still, and is no request.
        response.force_close()
    return response


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return f"Date: {formatdate(seconds, usegmt=True)}"
