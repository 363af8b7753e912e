"""A line that says how far a long command is."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Final, TextIO

_REPLACE: Final = "\r\x1b[K"


class StatusLine:
    """Is replaced on a terminal, and written again now and then to anything else."""

    def __init__(
        self, stream: TextIO, log_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Write to `stream`; if it is no terminal, not more often than every `log_seconds`."""
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._log_seconds = log_seconds
        self._clock = clock
        self._due = clock()

    def show(self, text: str, *, at_once: bool = False) -> None:
        """Show how far it is; `at_once` also where the last line is young."""
        now = self._clock()
        if self._is_terminal:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(_REPLACE + text[:width])
        elif at_once or now >= self._due:
            self._due = now + self._log_seconds
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Remove it from a terminal."""
        if self._is_terminal:
            self._stream.write(_REPLACE)
