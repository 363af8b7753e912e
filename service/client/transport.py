"""One call of the service, repeated for as long as its caller's patience lasts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple, Self, TypeVar

import msgspec
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, hdrs
from yarl import URL

from service import __version__, errors
from service.errors import OpenBookingError
from service.model import MEDIA_TYPE, Error

T = TypeVar("T")

encode: Final = msgspec.json.Encoder(decimal_format="number").encode

_SECONDS_PER_TRY: Final = 5.0
_SECONDS_TO_CONNECT: Final = 1.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_FIRST_ERROR: Final = 400
_CONFLICT: Final = 409
_LATER: Final = frozenset({429, 503})

_ERRORS: Final = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, OpenBookingError)
}


class Call(NamedTuple):
    """What is asked of the service, and what to raise when nothing comes back."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = {}
    away: type[OpenBookingError] = OpenBookingError


class Answer(NamedTuple):
    """What came back, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    async def read(cls, response: ClientResponse) -> Self:
        """Read a response."""
        return cls(response.status, response.headers, await response.read())

    @property
    def is_usable(self) -> bool:
        """Whether it is what was asked for: a refused OrderQuote is one all the same (rule 5)."""
        return self.status < _FIRST_ERROR or (
            self.status == _CONFLICT and b'"@type":"OrderQuote"' in self.body
        )

    @property
    def retry_after(self) -> int | None:
        """The seconds after which the call is worth repeating, where it says so."""
        text = self.headers.get(hdrs.RETRY_AFTER, "")
        return int(text) if text.isascii() and text.isdigit() else None

    def read_as(self, kind: type[T]) -> T:
        """Return the body, decoded.

        Raises:
            OpenBookingError: Something else than the service has answered.

        """
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.DecodeError as error:
            raise self._nonsense() from error

    def header(self, name: str) -> str:
        """Return a header that every such answer has.

        Raises:
            OpenBookingError: Something else than the service has answered.

        """
        if name not in self.headers:
            raise self._nonsense()
        return self.headers[name]

    def problem(self) -> OpenBookingError:
        """Return the refusal as the error of its class."""
        try:
            said = msgspec.json.decode(self.body, type=Error)
        except msgspec.DecodeError:
            return self._nonsense()
        items = said.ordered_item or ()
        problem = _ERRORS.get(said.type, OpenBookingError)(
            said.description,
            status=said.status_code,
            retry_after=self.retry_after,
            ordered_item=items,
        )
        if said.request_id:
            # A traceback then says which lines of the service's log belong to it.
            problem.add_note(f"requestId: {said.request_id}")
        return problem

    def _nonsense(self) -> OpenBookingError:
        status = self.status if self.status >= _FIRST_ERROR else HTTPStatus.BAD_GATEWAY
        message = "The lease service answered what no lease service answers: is this its address?"
        return OpenBookingError(message, status=status, retry_after=self.retry_after)


class Transport:
    """Connections to the service, and what to do when they fail."""

    def __init__(
        self, session: ClientSession, url: str, token: str | None, patience_seconds: float
    ) -> None:
        """Call the service at `url`; with no patience each call is made once."""
        self._session = session
        self._url = URL(url)
        self._headers: dict[str, str] = {
            hdrs.CONTENT_TYPE: MEDIA_TYPE,
            hdrs.USER_AGENT: f"lease-service-client/{__version__}",
        }
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._patience_seconds = patience_seconds

    async def call(self, call: Call, body: bytes | None = None) -> Answer:
        """Make a call until it is answered, or patience is over.

        Raises:
            OpenBookingError: What the service refused, by its own class; `call.away` where
                nothing came.

        """
        deadline = time.monotonic() + self._patience_seconds
        pause = _FIRST_PAUSE
        while True:
            try:
                answer = await self._try(call, body, deadline - time.monotonic())
            except (ClientError, TimeoutError, OSError) as error:
                problem: OpenBookingError = call.away(
                    "The lease service does not answer. Repeat the call: the same call is safe.",
                    status=503,
                    retry_after=1,
                )
                problem.__cause__ = error
                wait = pause
            else:
                if answer.is_usable:
                    return answer
                problem = answer.problem()
                if answer.status not in _LATER:
                    raise problem
                wait = max(pause, answer.retry_after or 0)
            if time.monotonic() + wait >= deadline:
                raise problem
            await asyncio.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _try(self, call: Call, body: bytes | None, seconds: float) -> Answer:
        url = (self._url / call.path).with_query(call.query)
        limit = min(seconds, _SECONDS_PER_TRY) if self._patience_seconds else _SECONDS_PER_TRY
        timeout = ClientTimeout(total=max(_FIRST_PAUSE, limit), connect=_SECONDS_TO_CONNECT)
        headers = {**self._headers, **call.headers}
        async with self._session.request(
            call.method, url, data=body, headers=headers, timeout=timeout
        ) as response:
            return await Answer.read(response)
