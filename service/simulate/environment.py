"""What a run is measured on: the service, as its metrics tell, and the simulator's machine."""

from __future__ import annotations

import os
import platform
import re
import shlex
from collections.abc import Sequence
from typing import Final

from service import __version__
from service.client import LeaseService
from service.errors import OpenBookingError

_UNKNOWN: Final = "unknown"


async def environment_of(service: LeaseService, command: str) -> dict[str, str]:
    """Return what the service and this machine are.

    Args:
        service: The service; what it does not tell is `unknown`.
        command: The command line.

    """
    try:
        metrics = await service.metrics()
    except OpenBookingError:
        metrics = ""
    return {
        "command": command,
        "service": _find(r'lease_build_info{version="(.*)"}', metrics),
        "workers": _find(r"lease_workers (\d+)", metrics),
        "redis": _find(r'lease_redis_info{server="(.*)",version="(.*)"}', metrics),
        "simulator": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count() or _UNKNOWN),
    }


def command_line(arguments: Sequence[str], secrets: Sequence[str | None]) -> str:
    """Return a command line to show, with `HIDDEN` for secrets.

    Args:
        arguments: Those of the program.
        secrets: Texts to hide, beside the names and passwords in addresses.

    """
    hidden = [re.escape(secret) for secret in secrets if secret] + ["(?<=://).*(?=@)"]
    words = (re.sub("|".join(hidden), "HIDDEN", argument) for argument in arguments)
    return shlex.join(["lease-service", *words])


def _find(pattern: str, text: str) -> str:
    found = re.search(f"^{pattern}", text, re.MULTILINE)
    return " ".join(found.groups()) if found else _UNKNOWN
