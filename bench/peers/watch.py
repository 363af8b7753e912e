"""C1 as one writes it for Redis without scripts: WATCH, read, MULTI, write, and again on a clash.

It does less than the service: no policy, no feed, no Orders, no guaranteed price.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio as redis
from redis.exceptions import WatchError

from bench.peers.serving import HOLD_SECONDS, Ask, Held, Quote, Quoted, serve

CONNECTIONS = 64


async def hold(client: redis.Redis, ask: Ask) -> Quoted:
    """Hold what fits of every Opportunity."""
    spaces = ask.spaces
    owner = f"{ask.partner}|{ask.uuid}"
    keys = [f"watch:opportunity:{id_}" for id_ in spaces]
    async with client.pipeline(transaction=True) as pipe:
        while True:
            try:
                await pipe.watch(*keys)
                now = time.time()
                expires = int(now) + HOLD_SECONDS
                held = {}
                writes: list[tuple[str, int, list[Any], int]] = []
                for (id_, wanted), key in zip(spaces.items(), keys, strict=True):
                    known: Any = await pipe.hgetall(key)
                    gone: Any = await pipe.zrangebyscore(f"{key}:holds", 0, now)
                    had = int(await pipe.hget(f"{key}:spaces", owner) or 0)
                    lost = sum(int(member.partition(b"|")[0]) for member in gone)
                    leased = int(known[b"leased"]) - lost
                    free = int(known[b"capacity"]) - int(known[b"booked"]) - leased + had
                    kept = wanted if wanted <= free else min(had, wanted)
                    held[id_] = Held(
                        known[b"type"].decode(), free, known[b"price"].decode(), wanted <= free
                    )
                    writes.append((key, kept, gone, leased - had + kept))
                pipe.multi()
                for key, kept, gone, leased in writes:
                    if gone:
                        pipe.zrem(f"{key}:holds", *gone)
                    pipe.hset(key, "leased", str(leased))
                    pipe.hset(f"{key}:spaces", owner, str(kept))
                    pipe.zadd(f"{key}:holds", {f"{kept}|{owner}": expires})
                pipe.set(f"watch:lease:{owner}", expires, exat=expires)
                await pipe.execute()
            except WatchError:
                continue
            return Quoted(expires, held)


@asynccontextmanager
async def watching() -> AsyncIterator[Quote]:
    """Give what holds spaces on the Redis of the command line's second argument."""
    pool = redis.BlockingConnectionPool.from_url(
        sys.argv[2], max_connections=CONNECTIONS, timeout=None
    )
    async with redis.Redis(connection_pool=pool) as client:
        yield lambda ask: hold(client, ask)


if __name__ == "__main__":
    serve(watching)
