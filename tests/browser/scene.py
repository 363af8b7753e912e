"""An evening at two Sellers, for a picture of the dashboard."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec

from service.ledger import Ledger, OrderKey, Step
from service.ledger.store import Store
from service.model import OrderRequest
from service.settings import Settings
from tests.browser.stage import Stage

RIVERSIDE: Final = "https://leisure.example.com/sellers/riverside"
OLD_MILL: Final = "https://courts.example.org/sellers/old-mill"
_CLASSES: Final = "https://leisure.example.com/classes"
_COURTS: Final = "https://courts.example.org/badminton"

YOGA: Final = f"{_CLASSES}/sunrise-yoga/mon-0700"
AQUA: Final = f"{_CLASSES}/aqua-aerobics/mon-0930"
SPIN: Final = f"{_CLASSES}/spin-45/mon-1800"
BOXING: Final = f"{_CLASSES}/boxing-basics/mon-1915"
LANES: Final = f"{_CLASSES}/lane-swimming/tue-0630"
COURT_1: Final = f"{_COURTS}/court-1/mon-1800"
COURT_2: Final = f"{_COURTS}/court-2/mon-1800"
FOOTBALL: Final = "https://courts.example.org/five-a-side/wed-2000"

# Seller, Opportunity, type, capacity, booked.
_OPPORTUNITIES: Final = (
    (RIVERSIDE, YOGA, "ScheduledSession", 20, 9),
    (RIVERSIDE, AQUA, "ScheduledSession", 30, 21),
    (RIVERSIDE, SPIN, "ScheduledSession", 24, 15),
    (RIVERSIDE, BOXING, "ScheduledSession", 16, 4),
    (RIVERSIDE, LANES, "ScheduledSession", 40, 12),
    (OLD_MILL, COURT_1, "Slot", 1, 1),
    (OLD_MILL, COURT_2, "Slot", 1, 0),
    (OLD_MILL, FOOTBALL, "Event", 14, 6),
)

# Seller, Opportunity, step, spaces, seconds to go.
_LEASES: Final = (
    (RIVERSIDE, YOGA, Step.ANONYMOUS, 2, 27),
    (RIVERSIDE, SPIN, Step.ANONYMOUS, 3, 64),
    (OLD_MILL, COURT_2, Step.ANONYMOUS, 1, 118),
    (RIVERSIDE, LANES, Step.ANONYMOUS, 4, 163),
    (RIVERSIDE, YOGA, Step.NAMED, 1, 241),
    (OLD_MILL, FOOTBALL, Step.ANONYMOUS, 2, 289),
    (RIVERSIDE, SPIN, Step.NAMED, 4, 388),
    (RIVERSIDE, AQUA, Step.NAMED, 3, 471),
    (RIVERSIDE, SPIN, Step.ANONYMOUS, 2, 292),
    (RIVERSIDE, BOXING, Step.NAMED, 2, 655),
    (RIVERSIDE, LANES, Step.NAMED, 5, 812),
    (OLD_MILL, FOOTBALL, Step.NAMED, 1, 840),
)

# Refused OrderItems of the last minutes, the latest first.
_CONFLICTS: Final = (3, 5, 2, 0, 1, 4, 7, 6, 2, 0, 0, 1, 0, 3, 2, 0, 0, 0, 1, 2, 5, 3, 1, 0, 0, 1)


async def play(stage: Stage) -> None:
    """Register everything, book, lease, and have OrderItems refused."""
    for seller, id_, kind, capacity, _ in _OPPORTUNITIES:
        await stage.register(capacity, id_, seller=seller, kind=kind)
    everyday = _ledger(stage, 900)
    for number, (seller, id_, _, _, booked) in enumerate(_OPPORTUNITIES):
        if booked:
            await everyday.book(_key(seller, 100 + number), _request(id_, booked))
    for number, (seller, id_, step, spaces, seconds) in enumerate(_LEASES):
        await _ledger(stage, seconds).quote(_key(seller, number), step, _request(id_, spaces))
    await everyday.propose(_key(RIVERSIDE, 200), _request(BOXING, 3))
    await everyday.propose(_key(OLD_MILL, 201), _request(FOOTBALL, 3))
    await _conflicts(stage)


async def _conflicts(stage: Stage) -> None:
    seconds, _ = await stage.batcher.command("TIME")
    for ago, refused in enumerate(_CONFLICTS):
        key = f"{stage.settings.key_prefix}:conflicts:{int(seconds) // 60 - ago}"
        await stage.batcher.command("HSET", key, "scene", refused)


def _ledger(stage: Stage, seconds: int) -> Ledger:
    """Return the same ledger, whose leases last so long."""
    settings = Settings(
        key_prefix=stage.settings.key_prefix, anonymous_seconds=seconds, named_seconds=seconds
    )
    store = Store(stage.batcher, key_prefix=settings.key_prefix, partitions=settings.partitions)
    return Ledger(store, settings)


def _key(seller: str, number: int) -> OrderKey:
    uuid = UUID(int=(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128, version=4)
    return OrderKey(seller, "acme-broker" if number % 3 else "citymove", str(uuid))


def _request(id_: str, spaces: int) -> OrderRequest:
    items = [{"orderedItem": id_, "acceptedOffer": f"{id_}#offer"}] * spaces
    return msgspec.convert({"orderedItem": items}, OrderRequest)
