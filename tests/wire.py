"""A plain connection to a Redis server, for a test that looks at what is stored."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, cast

import hiredis

_PATIENCE_SECONDS: Final = 20.0

# hiredis declares a tuple of one word.
_pack = cast("Callable[[tuple[str | int, ...]], bytes]", hiredis.pack_command)


class Wire:
    """Sends commands together, and returns their replies as they come."""

    def __init__(self, path: Path) -> None:
        """Connect to the server's unix socket."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_PATIENCE_SECONDS)
        self._socket.connect(str(path))
        self._reader = hiredis.Reader()

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def commands(self, commands: Sequence[tuple[str | int, ...]]) -> list[Any]:
        """Return the reply to each command."""
        self._socket.sendall(b"".join(map(_pack, commands)))
        return [self._reply() for _ in commands]

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65_536))
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply
