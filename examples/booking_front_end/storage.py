"""The database: what is sold, what was ordered, and what was about to happen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self

import aiosqlite
import msgspec

Transaction = aiosqlite.Connection

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS item (     -- an item of an open feed, parent or child
    url       TEXT PRIMARY KEY,       -- its @id
    number    INTEGER NOT NULL,       -- its id within the feed
    feed      TEXT NOT NULL,
    seller    TEXT NOT NULL,
    parent    TEXT,                   -- the @id of a child's parent
    dataset   TEXT,                   -- the test dataset that it was made for
    data      TEXT NOT NULL,          -- JSON, without what remains
    remaining INTEGER,                -- spaces, of a child: what the service says
    deleted   INTEGER NOT NULL DEFAULT 0,
    change    INTEGER NOT NULL UNIQUE
) STRICT;
CREATE INDEX IF NOT EXISTS item_feed ON item (feed, change);
CREATE TABLE IF NOT EXISTS record (   -- an Order or an OrderProposal
    partner TEXT NOT NULL,
    uuid    TEXT NOT NULL,
    kind    TEXT NOT NULL,            -- 'Order' or 'OrderProposal'
    seller  TEXT NOT NULL,
    digest  TEXT NOT NULL,            -- of the request that made it
    answer  TEXT NOT NULL,            -- JSON: what B or P was answered, for ever
    current TEXT NOT NULL,            -- JSON: as it stands
    deleted INTEGER NOT NULL DEFAULT 0,
    change  INTEGER UNIQUE,           -- NULL: its feed has nothing to tell
    PRIMARY KEY (partner, uuid, kind)
) STRICT;
CREATE INDEX IF NOT EXISTS record_feed ON record (partner, kind, change);
CREATE TABLE IF NOT EXISTS intent (   -- what the service is being asked, until it is written down
    partner TEXT NOT NULL,
    uuid    TEXT NOT NULL,
    verb    TEXT NOT NULL,
    seller  TEXT NOT NULL,
    digest  TEXT NOT NULL,
    payload TEXT NOT NULL,            -- JSON
    PRIMARY KEY (partner, uuid)
) STRICT;
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS place (id INTEGER PRIMARY KEY CHECK (id = 1), place TEXT) STRICT;
"""

_encoder: Final = msgspec.json.Encoder(decimal_format="number")


def to_json(value: object) -> str:
    """Return JSON in which a Decimal is a number."""
    return _encoder.encode(value).decode()


def from_json(text: str | bytes) -> Any:  # noqa: ANN401 - JSON has no type
    """Return what JSON says, with prices exact."""
    return json.loads(text, parse_float=Decimal)


class Storage:
    """SQLite with one connection that writes and one that reads.

    Readers see what was committed and nothing else, and transactions run one after the other: so
    change numbers appear in the feeds in their order, and no reader can miss one.
    """

    def __init__(self, writer: aiosqlite.Connection, reader: aiosqlite.Connection) -> None:
        """Use these connections."""
        self._writer = writer
        self._reader = reader
        self._lock = asyncio.Lock()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[Self]:
        """Give the database at `path`, made where there is none.

        Raises:
            sqlite3.Error: There cannot be one.

        """
        # Where aiosqlite cannot open it, its thread outlives the event loop, and says so.
        sqlite3.connect(path).close()
        async with (
            aiosqlite.connect(path, isolation_level=None) as writer,
            aiosqlite.connect(path, isolation_level=None) as reader,
        ):
            await writer.execute("PRAGMA journal_mode = WAL")
            # What a Broker was told must survive a power cut.
            await writer.execute("PRAGMA synchronous = FULL")
            await writer.executescript(_SCHEMA)
            reader.row_factory = writer.row_factory = aiosqlite.Row
            # One text that is none must not hide the other rows.
            reader.text_factory = lambda text: text.decode("utf-8", "replace")
            yield cls(writer, reader)

    async def rows(self, query: str, *values: object) -> list[aiosqlite.Row]:
        """Return the rows of a query."""
        async with self._reader.execute(query, values) as cursor:
            return list(await cursor.fetchall())

    async def row(self, query: str, *values: object) -> aiosqlite.Row | None:
        """Return the first row of a query, if there is one."""
        rows = await self.rows(query, *values)
        return rows[0] if rows else None

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Give the writer; what is done with it happens at the end of the block, or not at all."""
        async with self._lock:
            await self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                await self._writer.execute("ROLLBACK")
                raise
            await self._writer.execute("COMMIT")


async def next_number(transaction: Transaction, name: str) -> int:
    """Return the next number of a counter: 1, 2, …."""
    query = (
        "INSERT INTO counter VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1"
        " RETURNING value"
    )
    async with transaction.execute(query, (name,)) as cursor:
        row = await cursor.fetchone()
    return int(row[0]) if row else 0
