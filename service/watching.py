"""Files that the operator may change while the service runs: tokens, certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

PAUSE_SECONDS: Final = 1.0
"""How long a change may stay unnoticed; each look is a `stat` of each file."""

_Look = tuple[tuple[int, ...], ...]


class Watch:
    """Notices that one of some files became another one, or was written to."""

    def __init__(self, paths: Sequence[str | Path]) -> None:
        """Remember how the files are now; they are to be read after this."""
        self._paths = paths
        self._seen = self._look()

    def sees_change(self) -> bool:
        """Tell whether any file is not as it was when this was last asked."""
        before, self._seen = self._seen, self._look()
        return self._seen != before

    async def follow(self, on_change: Callable[[], None]) -> None:
        """Call `on_change`, in a thread, after each change, for ever.

        What changed before this is called counts too: a worker that is started late was forked
        from a parent that read the files at its own start.
        """
        while True:
            if await asyncio.to_thread(self.sees_change):
                await asyncio.to_thread(on_change)
            await asyncio.sleep(PAUSE_SECONDS)

    def _look(self) -> _Look:
        return tuple(map(_fingerprint, self._paths))


def _fingerprint(path: str | Path) -> tuple[int, ...]:
    """Return what differs once a file is replaced or written; nothing where there is no file."""
    try:
        found = Path(path).stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
