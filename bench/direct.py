"""A connection to the Redis server itself, to fill it quickly and to ask what it knows."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

import hiredis

from bench.traffic import Template

PATIENCE_SECONDS: Final = 120.0

# hiredis declares a tuple of one word.
_pack = cast("Callable[[tuple[str | bytes | int, ...]], bytes]", hiredis.pack_command)

# So many commands are sent together, while the replies of as many before them are on their way.
_PORTION: Final = 250


class Direct:
    """One connection, which waits for each answer, or sends very many commands in a row."""

    def __init__(self, path: Path) -> None:
        """Connect to the server's unix socket."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_SECONDS)
        self._socket.connect(str(path))
        self._reader = hiredis.Reader()

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def command(self, *words: str | bytes | int) -> Any:
        """Send a command and return its reply.

        Raises:
            hiredis.ReplyError: The server refuses it.

        """
        self._socket.sendall(_pack(words))
        return self._reply()

    def run(self, commands: Iterable[bytes]) -> int:
        """Send packed commands, and return how many they were.

        Args:
            commands: Scripts of which each must succeed: its reply begins with a number above 0.

        """
        waiting = iter(commands)
        sent, answered = 0, 0
        for portion in iter(lambda: list(islice(waiting, _PORTION)), []):
            self._socket.sendall(b"".join(portion))
            sent += len(portion)
            answered += self._succeed(sent - answered - len(portion))
        answered += self._succeed(sent - answered)
        return answered

    def script_microseconds(self, work: Callable[[], object]) -> float:
        """Return what a script took on average while `work` was done, as the server says."""
        self.command("CONFIG", "RESETSTAT")
        work()
        stats = self.info("commandstats")["cmdstat_evalsha"]
        return float(dict(word.split("=") for word in stats.split(","))["usec_per_call"])

    def used_memory(self) -> int:
        """Return the bytes that the server's data takes, as it says."""
        return int(self.info("memory")["used_memory"])

    def info(self, part: str) -> dict[str, str]:
        """Return a part of the server's INFO."""
        lines = self.command("INFO", part).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def watch(self) -> None:
        """Be told from now on what others send; there is no way back."""
        self.command("MONITOR")

    def seen(self, end: str) -> list[list[str]]:
        """Return the words of the commands that came before the one with this word."""
        commands: list[list[str]] = []
        while end not in (words := words_of(self._reply().decode())):
            commands.append(words)
        return commands

    def _succeed(self, replies: int) -> int:
        for _ in range(replies):
            reply = self._reply()
            first = reply[0] if isinstance(reply, list) else reply
            if not isinstance(first, int) or first < 1:
                raise AssertionError(f"a script was refused: {reply!r}")
        return replies

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is False:
            received = self._socket.recv(1 << 16)
            if not received:
                raise ConnectionError("the server closed the connection")
            self._reader.feed(received)
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply


@contextlib.contextmanager
def direct(path: Path) -> Iterator[Direct]:
    """Give a connection to the server at a unix socket."""
    connection = Direct(path)
    try:
        yield connection
    finally:
        connection.close()


def words_of(line: str) -> list[str]:
    """Return the words of a line of MONITOR; none of what a script ran."""
    head, _, text = line.partition("] ")
    if head.endswith(" lua"):
        return []
    words: list[str] = []
    word: list[str] | None = None
    characters = iter(text)
    for character in characters:
        if character == '"':
            if word is not None:
                words.append("".join(word))
            word = None if word is not None else []
        elif word is not None:
            word.append(_unescaped(characters) if character == "\\" else character)
    return words


def _unescaped(characters: Iterator[str]) -> str:
    following = next(characters)
    if following == "x":
        return chr(int(next(characters) + next(characters), 16))
    return {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b"}.get(following, following)


def packed(words: Sequence[str]) -> Template:
    """Return a command with marks as it goes over the wire."""
    lengths = [f"${len(Template(word))}\r\n{word}\r\n" for word in words]
    return Template(f"*{len(words)}\r\n" + "".join(lengths))
