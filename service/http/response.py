"""What the service answers: every body in one place, errors included (rule 24)."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion10
from msgspec import UNSET, structs

from service.errors import OpenBookingError
from service.ledger import error_body
from service.model import CONTEXT, MEDIA_TYPE

REPLAYED: Final[Mapping[str, str]] = {"Idempotency-Replayed": "true"}
"""Says that an earlier call did it (rule 17)."""

REQUEST_ID_HEADER: Final = "X-Request-Id"

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus
}

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
        super().__init__(status=status, headers=headers)
        self._whole = body
        self._request: web.BaseRequest | None = None

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open behind it."""
        return super().keep_alive is not False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Begin the answer to a request."""
        self._request = request
        if not request.keep_alive:
            self.force_close()
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - aiohttp's signature
        """Write it, and wait while the client takes nothing."""
        request = self._request
        if request is None or request.transport is None or request.transport.is_closing():
            raise ConnectionResetError
        request.transport.write(self._packed(request))
        if request.protocol.writing_paused:
            await request.writer.drain()

    def _packed(self, request: web.BaseRequest) -> bytes:
        lines = [_STATUS_LINES[self.status]]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Date: {_date(int(time.time()))}")
        if not self.keep_alive:
            lines.append("Connection: close")
        elif request.version == HttpVersion10:
            lines.append("Connection: keep-alive")
        body = self._whole
        if body is None:
            return "\r\n".join([*lines, "", ""]).encode()
        lines += [f"Content-Length: {len(body)}", "", ""]
        head = "\r\n".join(lines).encode()
        return head if request.method == hdrs.METH_HEAD else head + body


def answer(
    body: object,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str = MEDIA_TYPE,
) -> Response:
    """Return a wire type as a response, which no cache may keep unless `headers` say so."""
    response = Response(_encode(body), status=status, headers=headers)
    response.headers[hdrs.CONTENT_TYPE] = media_type
    return response


def sign(response: web.StreamResponse, request_id: str) -> None:
    """Give an answer the headers that all have; aiohttp's own `Server` would tell its version."""
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
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: "no-store"}
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
    sign(response, request_id)
    if error.status_code == HTTPStatus.REQUEST_TIMEOUT:
        # The rest of the request may come still, and is no request.
        response.force_close()
    return response


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
