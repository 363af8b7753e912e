"""C1 as one writes it for PostgreSQL: a transaction that locks the row of the Opportunity.

It does less than the service: no policy, no feed, no Orders, no guaranteed price. Expired leases
are dropped, by an index, in the transaction that meets them, so that the sums are right. With
`function` as the third argument of the command line the whole is one stored function.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from bench.peers.serving import HOLD_SECONDS, Ask, Held, Quote, Quoted, serve

# Of 4, 12 and 32 this was the best where Customers choose, and twice as good as 32 on a hot row,
# for whose lock most of them only wait.
CONNECTIONS = 12

LOCK = """
SELECT number, id, type, price, capacity, booked, leased FROM opportunity
WHERE id = ANY($1) ORDER BY id FOR UPDATE
"""
SETTLE = """
WITH gone AS (
  DELETE FROM lease WHERE opportunity = ANY($1) AND expires <= clock_timestamp()
  RETURNING opportunity, spaces
)
SELECT opportunity, sum(spaces)::integer AS spaces, false AS own FROM gone GROUP BY opportunity
UNION ALL
SELECT opportunity, spaces, true FROM lease
WHERE uuid = $2 AND partner = $3 AND opportunity = ANY($1) AND expires > clock_timestamp()
"""
KEEP = """
WITH kept AS (
  INSERT INTO lease
  SELECT $1, $2, opportunity, spaces, clock_timestamp() + make_interval(secs => $6)
  FROM unnest($3::integer[], $4::integer[]) AS asked (opportunity, spaces)
  ON CONFLICT ON CONSTRAINT lease_pkey
  DO UPDATE SET spaces = excluded.spaces, expires = excluded.expires
  RETURNING opportunity, expires
)
UPDATE opportunity SET leased = asked.leased
FROM kept JOIN unnest($3::integer[], $5::integer[]) AS asked (number, leased)
  ON kept.opportunity = asked.number
WHERE opportunity.number = asked.number RETURNING kept.expires
"""
CALL = "SELECT type, price, available, granted, expires FROM quote($1, $2, $3, $4, $5)"


async def hold(pool: asyncpg.Pool[Any], ask: Ask) -> Quoted:
    """Hold what fits of every Opportunity, in a transaction."""
    spaces = ask.spaces
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(LOCK, list(spaces))
        numbers = [row["number"] for row in rows]
        gone: defaultdict[int, int] = defaultdict(int)
        had: defaultdict[int, int] = defaultdict(int)
        for found in await connection.fetch(SETTLE, numbers, ask.uuid, ask.partner):
            (had if found["own"] else gone)[found["opportunity"]] = found["spaces"]
        held, kept, leased = {}, [], []
        for row in rows:
            number, wanted = row["number"], spaces[row["id"]]
            others = row["leased"] - gone[number] - had[number]
            free = row["capacity"] - row["booked"] - others
            held[row["id"]] = Held(row["type"], free, row["price"], wanted <= free)
            kept.append(wanted if wanted <= free else min(had[number], wanted))
            leased.append(others + kept[-1])
        ends = await connection.fetch(
            KEEP, ask.partner, ask.uuid, numbers, kept, leased, float(HOLD_SECONDS)
        )
    return Quoted(ends[0]["expires"].timestamp(), held)


async def hold_by_function(pool: asyncpg.Pool[Any], ask: Ask) -> Quoted:
    """Hold what fits of the one Opportunity that is asked for, in one statement."""
    [(id_, wanted)] = ask.spaces.items()
    row = await pool.fetchrow(CALL, ask.partner, ask.uuid, id_, wanted, HOLD_SECONDS)
    assert row
    held = {id_: Held(row["type"], row["available"], row["price"], row["granted"])}
    return Quoted(row["expires"].timestamp(), held)


@asynccontextmanager
async def locking() -> AsyncIterator[Quote]:
    """Give what holds spaces in the database of the command line's second argument."""
    work: Callable[[asyncpg.Pool[Any], Ask], Coroutine[Any, Any, Quoted]]
    work = hold_by_function if sys.argv[3:] == ["function"] else hold
    async with asyncpg.create_pool(
        sys.argv[2], min_size=CONNECTIONS, max_size=CONNECTIONS
    ) as pool:
        yield lambda ask: work(pool, ask)


if __name__ == "__main__":
    serve(locking)
