"""Waiting for what must come, without a bare sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

DEADLINE_SECONDS = 20.0
PAUSE_SECONDS = 0.02


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when the condition holds; fail when it has not for 20 seconds."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        await asyncio.sleep(PAUSE_SECONDS)
