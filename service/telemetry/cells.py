"""Numbers in memory that a process shares with those it forks: a row for every worker.

A row has one writer, its worker, so that counting needs no lock and no system call. It outlives
that worker: whoever replaces it goes on counting in the same row (decision 12).
"""

from __future__ import annotations

import math
import mmap
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple, TypeAlias

from prometheus_client.utils import floatToGoString

Row: TypeAlias = "memoryview[float]"
"""The numbers of one worker."""

_BYTES: Final = 8


class Cells:
    """A table of doubles, all 0 at first."""

    def __init__(self, width: int, rows: int) -> None:
        """Make the memory; what is forked from here on shares it.

        Args:
            width: Numbers per row.
            rows: How many workers there are.

        """
        memory = memoryview(mmap.mmap(-1, width * rows * _BYTES)).cast("d")
        self.rows: Final[Sequence[Row]] = [
            memory[first : first + width] for first in range(0, width * rows, width)
        ]


class Number:
    """One number of one worker."""

    __slots__ = ("_at", "_row")

    def __init__(self, row: Row, at: int) -> None:
        """Name the number at this place of a row."""
        self._row = row
        self._at = at

    def add(self, amount: float = 1) -> None:
        """Add to it."""
        self._row[self._at] += amount

    def set(self, value: float) -> None:
        """Make it this value."""
        self._row[self._at] = value


class Distribution:
    """How often a worker saw values of which size: a count for each bucket, then their sum."""

    __slots__ = ("_at", "_bounds", "_row")

    def __init__(self, row: Row, at: int, bounds: Sequence[float]) -> None:
        """Name the counts that begin at this place of a row.

        Args:
            row: The worker's numbers.
            at: Where the first count is.
            bounds: The largest value of each bucket but the last, ascending.

        """
        self._row = row
        self._at = at
        self._bounds = bounds

    def observe(self, value: float) -> None:
        """Count a value."""
        row, at = self._row, self._at
        row[at + bisect_left(self._bounds, value)] += 1
        row[at + len(self._bounds) + 1] += value


class Seen(NamedTuple):
    """What all workers have seen of a distribution."""

    cumulative: list[float]
    """How many values were not above each bound, and how many there were in all."""
    total: float
    """The sum of the values."""

    @classmethod
    def of(cls, rows: Sequence[Row], at: int, bounds: Sequence[float]) -> Seen:
        """Add up the rows of all workers."""
        end = at + len(bounds) + 1
        counts = [sum(row[place] for row in rows) for place in range(at, end)]
        return cls(list(accumulate(counts)), sum(row[end] for row in rows))

    def buckets(self, bounds: Sequence[float]) -> Iterator[tuple[str, float]]:
        """Yield each bucket as Prometheus names it, with its cumulative count."""
        names = map(floatToGoString, (*bounds, math.inf))
        return zip(names, self.cumulative, strict=True)
