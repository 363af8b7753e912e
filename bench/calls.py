"""HTTP connections that stay open and cost little themselves."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

import msgspec

from bench.traffic import http_request, registration

PATIENCE_SECONDS: Final = 120.0

_STATUS: Final = slice(9, 12)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    head: bytes
    body: bytes


class Connection:
    """One connection, on which one request at a time is sent and answered."""

    def __init__(self, url: str) -> None:
        """Connect to `http://host:port`."""
        address = urlsplit(url)
        self.socket = socket.create_connection((address.hostname, address.port), PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def fileno(self) -> int:
        """Return what `select` waits for."""
        return self.socket.fileno()

    def send(self, request: bytes) -> None:
        """Send a request."""
        self.socket.sendall(request)

    def receive(self) -> Answer | None:
        """Read once, and return the answer if it is whole.

        Raises:
            ConnectionError: The server closed the connection.

        """
        received = self.socket.recv(1 << 16)
        if not received:
            raise ConnectionError("the server closed the connection")
        self._received += received
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return None
        length = _LENGTH.search(head)
        if len(body) < (int(length[1]) if length else 0):
            return None
        self._received = b""
        return Answer(int(head[_STATUS]), head, body)


class Caller:
    """Makes one call after the other."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(url)

    def __enter__(self) -> Self:
        """Give it; it is connected already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self._connection.socket.close()

    def call(self, request: bytes) -> Answer:
        """Send a request and wait for its answer."""
        self._connection.send(request)
        while (answer := self._connection.receive()) is None:
            pass
        return answer

    def succeed(self, request: bytes) -> Answer:
        """Do the same, and fail unless the answer is a success."""
        answer = self.call(request)
        assert 200 <= answer.status < 300, (answer.status, answer.body[:300])
        return answer

    def register(self, numbers: Iterable[int]) -> None:
        """Register Opportunities."""
        body = msgspec.json.encode([registration(number) for number in numbers]).decode()
        answer = self.succeed(
            http_request("PUT", "/opportunities", body, Content_Type="application/json").fill()
        )
        assert msgspec.json.decode(answer.body)["failed"] == 0, answer
