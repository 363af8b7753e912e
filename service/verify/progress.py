"""How far a long look at everything is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol, TextIO

LINE_SECONDS: Final = 5.0


class Progress(Protocol):
    """Is told what goes on."""

    def begin(self, stage: str, total: int) -> None:
        """Begin a stage of about so many steps."""

    def step(self, steps: int) -> None:
        """Say that so many steps more are done."""


class Silent:
    """Says nothing."""

    def begin(self, stage: str, total: int) -> None:
        """Begin a stage."""

    def step(self, steps: int) -> None:
        """Go on."""


class Lines:
    """Writes a line when a stage begins, and every few seconds."""

    def __init__(
        self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Write lines with `write`; `clock` tells seconds."""
        self._write = write
        self._clock = clock
        self._stage, self._total, self._done, self._said = "", 0, 0, 0.0

    def begin(self, stage: str, total: int) -> None:
        """Begin a stage."""
        self._stage, self._total, self._done = stage, total, 0
        self._said = self._clock()
        self._write(f"{stage} …\n")

    def step(self, steps: int) -> None:
        """Go on."""
        self._done += steps
        if self._clock() - self._said >= LINE_SECONDS:
            self._said = self._clock()
            done = min(self._done, self._total)
            self._write(f"{self._stage}: {done:,} of about {self._total:,} keys\n")


@contextlib.contextmanager
def shown(stream: TextIO = sys.stderr) -> Iterator[Progress]:
    """Show progress on a stream, for as long as the context lasts.

    Args:
        stream: Where it goes, usually standard error.

    """
    try:
        from rich import console, progress  # noqa: PLC0415 - an optional extra
    except ImportError:
        has_rich = False
    else:
        has_rich = True
    if not (has_rich and stream.isatty()):
        yield Lines(stream.write)
        return
    with progress.Progress(console=console.Console(file=stream), transient=True) as bar:
        tasks: list[progress.TaskID] = []

        class Bar:
            def begin(self, stage: str, total: int) -> None:
                tasks.append(bar.add_task(stage, total=total))

            def step(self, steps: int) -> None:
                bar.advance(tasks[-1], steps)

        yield Bar()
