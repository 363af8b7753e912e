"""When the embedded Valkey's file reaches the disk: at once, where that is safe.

With `appendfsync always` a server ends at the first write that fails; with `everysec` it refuses
writes until it can write again. But whoever waits for the disk waits up to a second then, a
thousand times as long. So the server starts with `everysec`, after each of its ends too, and has
`always` from when a write got through until the disk is nearly full.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

import structlog

from service.redis.check import parse_info
from service.redis.errors import StoreError
from service.redis.nodes import Node

_LOOK_SECONDS: Final = 1.0

ROOM_BYTES: Final = 64 * 2**20
"""What is left of a disk that is nearly full: more than the file grows by between two looks."""

_log = structlog.stdlib.get_logger(__name__)


async def keep_fsyncing(node: Node, data_dir: str) -> None:
    """Have the embedded Valkey write to the disk at once, whenever that is safe, for ever.

    Args:
        node: The way to it.
        data_dir: Where its file is.

    """
    size, is_gone = 0, False
    while True:
        try:
            size = await _look(node, data_dir, size)
            is_gone = False
        except OSError as error:
            if not is_gone:
                # The server goes on with files that no name leads to any more.
                _log.error("valkey.data_folder_lost", data_dir=data_dir, reason=str(error))
            size, is_gone = 0, True
        except StoreError:
            # It is starting, perhaps with another file.
            size = 0
        await asyncio.sleep(_LOOK_SECONDS)


async def _look(node: Node, data_dir: str, size_before: int) -> int:
    """Set what is right now, and return how long the file is."""
    disk = await asyncio.to_thread(os.statvfs, data_dir)
    has_room = disk.f_bavail * disk.f_frsize > ROOM_BYTES
    _, policy = await node.command("CONFIG", "GET", "appendfsync")
    info = parse_info(await node.command("INFO", "persistence"))
    size = int(info.get("aof_current_size", 0))
    # A quota or a limit of file sizes is known only by writing.
    has_written = info.get("aof_last_write_status") == "ok" and size > size_before > 0
    if policy == b"always" and not has_room:
        await node.command("CONFIG", "SET", "appendfsync", "everysec")
        _log.warning("valkey.disk_nearly_full", data_dir=data_dir)
    elif policy != b"always" and has_room and has_written:
        await node.command("CONFIG", "SET", "appendfsync", "always")
        _log.info("valkey.fsyncs_at_once")
    return size
