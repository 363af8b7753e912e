"""What a release leaves in Redis, as a file: the next release has to go on with it.

`python -m tests.ledger.stored_format` plays the scene below and writes the file of this release's
format; `make stored-format` does it too. Leases that are to live on in the file last a century,
so that the file does not age; the one that is to lapse was over a moment later.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
from msgspec import Struct

from service.ledger import Step
from service.ledger.feed_reads import Cursor
from service.ledger.leader_lock import Turn
from service.ledger.stored_format import SCHEMA, claim_keys
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from tests.ledger.desk import CLASS, COURT, OFFER, OPENACTIVE, OTHER_OFFER, Desk
from tests.servers import RedisServer, valkey_binary

FILES: Final = Path(__file__).parents[1] / "data"

HALL: Final = "https://example.com/halls/1"
IN_HALL: Final = "https://example.com/classes/1"
LAPSING: Final = "https://example.com/events/lapsing"
WITHDRAWN: Final = "https://example.com/events/withdrawn"
OTHER_SELLER: Final = "https://example.com/api/organisations/124"
DELIVERED: Final = Cursor(1_795_200_000_000_001, "AAAAAAAAAAAAAAAA")

# Customers, by what they have come to when the file is written.
ANONYMOUS, NAMED, PAYING, OVER, BOOKED, DELETED, RELEASED = range(1, 8)
UNDECIDED, ACCEPTED, REJECTED, LAPSED = range(8, 12)

_CENTURY_SECONDS: Final = 100 * 365 * 24 * 60 * 60
_FOR_EVER: Final = dict.fromkeys(
    ("anonymous_seconds", "named_seconds", "proposal_seconds", "maximum_hold_seconds"),
    _CENTURY_SECONDS,
)

_INSTANT: Final = re.compile(r"\b\d{10,}\b")


class Stored(Struct, frozen=True, omit_defaults=True):
    """One Redis key: `value` is text, or the fields of a hash, or the scores of a sorted set."""

    type: str
    value: str | dict[str, str]
    expires_ms: int | None = None
    """Milliseconds since 1970."""


Data = dict[str, Stored]
"""Everything, by the names of the keys."""


def path_of(schema: int) -> Path:
    """Return where the data of a format is."""
    return FILES / f"stored-format-{schema}.json"


def read(schema: int) -> Data:
    """Return the data of a format."""
    return msgspec.json.decode(path_of(schema).read_bytes(), type=Data)


async def play(batcher: Batcher) -> None:
    """Leave at least one of everything that the service stores."""
    await claim_keys(batcher, key_prefix="lease", partitions=64)
    desk = Desk(batcher, **_FOR_EVER)
    offers = [
        {"@type": "Offer", "@id": OFFER, "price": 7.1, "priceCurrency": "GBP"},
        {"@type": "Offer", "@id": OTHER_OFFER, "price": 12.9, "priceCurrency": "GBP"},
    ]
    await desk.register(30, remainingAttendeeCapacity=28, offers=offers, modified=1)
    await desk.register(4, COURT, **{"@type": "Slot", "maximumUses": 4})
    await desk.register(10, HALL, **{"@type": "CapacityPool"})
    await desk.register(8, IN_HALL, capacityPools=[{"@id": HALL, "spaces": 2}])
    await desk.register(2, LAPSING)
    await desk.register(2, WITHDRAWN)
    await desk.register(5, CLASS, seller=OTHER_SELLER)

    await desk.quote(ANONYMOUS, [(CLASS, OFFER), (CLASS, OTHER_OFFER)])
    await desk.quote(NAMED, [(CLASS, OFFER), (COURT, OFFER)], Step.NAMED)
    await desk.quote(OVER, [(WITHDRAWN, OFFER)])
    await desk.ledger.withdraw(desk.key(OVER).seller, [WITHDRAWN])
    await desk.propose(UNDECIDED, [(CLASS, OFFER)])
    await desk.propose(ACCEPTED, [(IN_HALL, OFFER)])
    await desk.decide(ACCEPTED, "SellerAccepted")
    await desk.propose(REJECTED, [(CLASS, OFFER)])
    await desk.decide(REJECTED, "SellerRejected")
    await desk.quote(RELEASED, [(CLASS, OFFER)])
    await desk.release(RELEASED)
    await desk.book(BOOKED, [(CLASS, OFFER), (CLASS, OTHER_OFFER), (IN_HALL, OFFER)])
    await desk.cancel(BOOKED, 1)
    await desk.book(DELETED, [(CLASS, OFFER)])
    await desk.ledger.delete(desk.key(DELETED))

    webhooks = Turn(batcher, key_prefix="lease")
    webhooks._holder = "the same at every capture"
    await webhooks.claim()
    await webhooks.resign(DELIVERED)

    soon = Desk(batcher, anonymous_seconds=1, named_seconds=1)
    await soon.quote(PAYING, [(COURT, OFFER)], Step.NAMED)
    # No policy allows so long a window.
    await soon.store.orders.pay(
        soon.key(PAYING), wanted_seconds=_CENTURY_SECONDS, payment_window_seconds=_CENTURY_SECONDS
    )
    await soon.quote(LAPSED, [(LAPSING, OFFER)])

    tax_mode = f"{OPENACTIVE}TaxGross"
    await desk.policy(maximumSpaces=6, maximumLeases=500, paymentWindow="PT5M", taxMode=tax_mode)


async def dump(batcher: Batcher) -> Data:
    """Return everything that a server has."""
    names = sorted(key.decode() for key in await batcher.command("KEYS", "*"))
    return {name: await _dump_key(batcher, name) for name in names}


async def load(batcher: Batcher, data: Data) -> None:
    """Put data into an empty server, which drops at once what has expired."""
    for name, key in data.items():
        match key.value:
            case str(text):
                await batcher.command("SET", name, text)
            case fields if key.type == "hash":
                await batcher.command("HSET", name, *_flat(fields.items()))
            case scores:
                await batcher.command("ZADD", name, *_flat((s, m) for m, s in scores.items()))
        if key.expires_ms is not None:
            await batcher.command("PEXPIREAT", name, key.expires_ms)


async def _dump_key(batcher: Batcher, name: str) -> Stored:
    kind = (await batcher.command("TYPE", name)).decode()
    if kind == "string":
        value: str | dict[str, str] = (await batcher.command("GET", name)).decode()
    else:
        command = {"hash": ("HGETALL", name), "zset": ("ZRANGE", name, 0, -1, "WITHSCORES")}[kind]
        texts = [text.decode() for text in await batcher.command(*command)]
        value = dict(sorted(zip(texts[::2], texts[1::2], strict=True)))
    expires_ms = await batcher.command("PEXPIRETIME", name)
    return Stored(kind, value, expires_ms if expires_ms >= 0 else None)


def _flat(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [text for pair in pairs for text in pair]


def shape(data: Data) -> object:
    """Return what of data is the same whenever it is captured.

    That is all but instants, and the counts by instant, which depend on how fast the scene was.
    """
    return {
        name: (key.type, _shape(key.value), key.expires_ms is not None)
        for name, key in data.items()
    }


def _shape(value: str | dict[str, str]) -> object:
    if isinstance(value, str):
        return _INSTANT.sub("…", value)
    return {
        _INSTANT.sub("…", name): "…" if _INSTANT.fullmatch(name) else _INSTANT.sub("…", text)
        for name, text in value.items()
    }


async def captured() -> Data:
    """Return what this release leaves in a server of its own."""
    with (
        TemporaryDirectory(prefix="lease-") as folder,
        RedisServer(valkey_binary(), Path(folder)) as server,
    ):
        batcher = Batcher(connection_factory(server.url))
        try:
            await play(batcher)
            return await dump(batcher)
        finally:
            await batcher.close()


def main() -> None:
    """Write the file of this release's format anew."""
    data = msgspec.json.encode(asyncio.run(captured()))
    path_of(SCHEMA).write_bytes(msgspec.json.format(data) + b"\n")
    sys.stdout.write(f"{path_of(SCHEMA)}\n")


if __name__ == "__main__":
    main()
