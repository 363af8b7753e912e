"""What `lease-service verify` says of the Redis behind the service, where its address is known."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Final, NamedTuple

REDIS_URL: Final = "LEASE_REDIS_URL"

_COMMAND: Final = (sys.executable, "-m", "service", "verify")
_CLEAN: Final = 0
_UNUSABLE: Final = 2
_SHOWN: Final = 300


class Audit(NamedTuple):
    """What it found."""

    is_clean: bool
    said: str
    """Its first words, where something is wrong."""


async def audit(redis_url: str, environment: Mapping[str, str] = os.environ) -> Audit:
    """Run `lease-service verify` on everything that is stored.

    It is a program of its own, so that a simulation knows nothing of Redis.

    Args:
        redis_url: As in `LEASE_REDIS_URL`.
        environment: The other settings: what the service's key prefix and partitions are.

    """
    verifying = await asyncio.create_subprocess_exec(
        *_COMMAND,
        env={**environment, REDIS_URL: redis_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await verifying.communicate()
    told = errors if verifying.returncode == _UNUSABLE else output
    words = " ".join(told.decode(errors="replace").split())
    if verifying.returncode == _CLEAN:
        return Audit(is_clean=True, said="")
    return Audit(is_clean=False, said=words[:_SHOWN])
