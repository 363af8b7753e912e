"""aiohttp's bare «hello»: reads a body, and answers bytes that it always had (from a file)."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from aiohttp import web

from bench.peers.serving import application_of, run


@asynccontextmanager
async def hello(body: bytes) -> AsyncIterator[web.Application]:
    """Give the application."""

    async def put(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=body, content_type="application/json")

    yield application_of(put)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(run(hello(Path(sys.argv[2]).read_bytes())))
