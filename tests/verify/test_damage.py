"""Each kind of damage is found, and mended as far as it can be."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pytest

from service.ledger import Step
from service.store.keys import Keys
from tests.store.desk import CLASS, COURT, OFFER, SELLER, Desk
from tests.verify.looking import look

HALL: Final = "https://example.com/halls/1"
IN_HALL: Final = "https://example.com/classes/1"
GONE: Final = "https://example.com/events/gone"
LEDGERS: Final = {CLASS: (4, 4, 2), COURT: (0, 1, 3), IN_HALL: (1, 1, 3), HALL: (2, 2, 6)}
"""Booked, leased and free spaces in the scene."""


class Scene:
    """A desk with leases, a proposal and Orders, and the names of its keys."""

    def __init__(self, desk: Desk) -> None:
        """Name the keys."""
        keys = Keys(desk.settings.key_prefix, desk.settings.partitions)
        seller = keys.seller(SELLER)
        self.desk = desk
        self.refs = {id_: keys.ref(SELLER, id_) for id_ in (CLASS, COURT, HALL, IN_HALL, GONE)}
        self.partition = seller.partition
        self.due, self.feed = seller.partition.due, seller.partition.feed
        self.counts = f"{seller.partition.name}:leases:{seller.ref}|default"
        self._keys = keys

    async def play(self) -> None:
        """Leave an anonymous and a named lease, a proposal, and Orders: whole, cut, deleted."""
        desk = self.desk
        await desk.register(10, remainingAttendeeCapacity=8)
        await desk.register(4, COURT, **{"@type": "Slot", "maximumUses": 4})
        await desk.register(10, HALL, **{"@type": "CapacityPool"})
        await desk.register(5, IN_HALL, capacityPools=[{"@id": HALL, "spaces": 2}])
        await desk.register(5, GONE)
        await desk.quote(1, 2)
        await desk.quote(2, [(CLASS, OFFER), (COURT, OFFER), (IN_HALL, OFFER)], Step.NAMED)
        await desk.propose(3, 1)
        await desk.book(4, [(CLASS, OFFER), (CLASS, OFFER), (CLASS, OFFER), (IN_HALL, OFFER)])
        await desk.cancel(4, 1)
        await desk.book(5, [(GONE, OFFER), (CLASS, OFFER)])
        await desk.ledger.delete(desk.key(5))
        await desk.ledger.withdraw(SELLER, [GONE])

    def opportunity(self, id_: str) -> str:
        """Return the key of an Opportunity."""
        return self.partition.opportunity(self.refs[id_])

    def holds(self, id_: str) -> str:
        """Return the key of its hold index."""
        return self.partition.holds(self.refs[id_])

    def lease(self, customer: int) -> str:
        """Return the key of a customer's lease."""
        return self.partition.lease(self._keys.holder(*self.desk.key(customer)))

    def member(self, customer: int, held: str) -> str:
        """Return a member of a hold index, `2a` or the like, as a customer's."""
        return held + self._keys.holder(*self.desk.key(customer))

    async def send(self, *parts: str | int) -> Any:
        """Send Redis a command."""
        return await self.desk.batcher.command(*parts)

    async def ledgers(self) -> dict[str, tuple[int, int, int]]:
        """Return booked, leased and free spaces of everything that is registered."""
        catalogue = self.desk.store.catalogue
        found = {id_: await catalogue.inspect(SELLER, id_) for id_ in LEDGERS}
        return {id_: one[2:] for id_, one in found.items() if one}


@pytest.fixture
async def scene(desk):
    """Give a scene in which everything is in order."""
    scene = Scene(desk)
    await scene.play()
    assert await scene.ledgers() == LEDGERS
    return scene


class Damage(NamedTuple):
    """What is planted, and what `verify` calls it."""

    plant: Any
    """Returns a Redis command from a scene."""
    checks: set[str]
    mended: Mapping[str, tuple[int, int, int]] = MappingProxyType({})
    """What the ledger is afterwards, where it cannot be what it was."""


def later(scene: Scene, customer: int) -> list[str | int]:
    """Move a hold to another expiry than its lease's."""
    return ["ZADD", scene.holds(CLASS), 4_000_000_000, scene.member(customer, "2a")]


DAMAGES: Final = {
    "too much is booked": Damage(
        lambda s: ("HINCRBY", s.opportunity(CLASS), "booked", 2), {"booked"}
    ),
    "too little is booked": Damage(
        lambda s: ("HINCRBY", s.opportunity(CLASS), "booked", -3), {"booked"}
    ),
    "too much of a pool is booked": Damage(
        lambda s: ("HINCRBY", s.opportunity(HALL), "booked", 1), {"booked"}
    ),
    "bookings of what is withdrawn": Damage(
        lambda s: ("HINCRBY", s.opportunity(GONE), "booked", 1), {"booked"}
    ),
    "too much is leased": Damage(
        lambda s: ("HINCRBY", s.opportunity(CLASS), "leased", 1), {"leased"}
    ),
    "too little is leased": Damage(
        lambda s: ("HINCRBY", s.opportunity(CLASS), "leased", -4), {"leased"}
    ),
    "too much of a pool is leased": Damage(
        lambda s: ("HINCRBY", s.opportunity(HALL), "leased", 2), {"leased"}
    ),
    "a part of what is leased": Damage(
        lambda s: ("HSET", s.opportunity(CLASS), "named", 0, "proposed", 2), {"named", "proposed"}
    ),
    "something is leased of what is withdrawn": Damage(
        lambda s: ("HSET", s.opportunity(GONE), "leased", 1), {"leased"}
    ),
    "a hold of what is withdrawn": Damage(
        lambda s: ("ZADD", s.holds(GONE), 4_000_000_000, s.member(1, "1a")), {"holds"}
    ),
    "an earliest expiry that is lost": Damage(
        lambda s: ("HDEL", s.opportunity(CLASS), "next"), {"next"}
    ),
    "an earliest expiry that is too late": Damage(
        lambda s: ("HSET", s.opportunity(CLASS), "next", 4_000_000_000), {"next"}
    ),
    "an expiry that is not due": Damage(lambda s: ("ZREM", s.due, s.refs[CLASS]), {"due"}),
    "an expiry that is due too late": Damage(
        lambda s: ("ZADD", s.due, 4_000_000_000, s.refs[CLASS]), {"due"}
    ),
    "a withdrawal that is told for ever": Damage(lambda s: ("ZREM", s.due, s.refs[GONE]), {"due"}),
    "an Opportunity that the feed lacks": Damage(
        lambda s: ("ZREM", s.feed, s.refs[COURT]), {"feed"}
    ),
    "a pool in the feed": Damage(lambda s: ("ZADD", s.feed, 1, s.refs[HALL]), {"feed"}),
    "nothing in the feed": Damage(lambda s: ("ZADD", s.feed, 1, "AAAAAAAAAAAAAAAA"), {"feed"}),
    "a pool that does not know who draws on it": Damage(
        lambda s: ("HDEL", s.opportunity(HALL), "draws"), {"draws"}
    ),
    "a lease without its hold": Damage(
        lambda s: ("ZREM", s.holds(COURT), s.member(2, "1n")), {"hold", "leased", "named"}
    ),
    "a hold without its lease": Damage(
        lambda s: ("DEL", s.lease(1)), {"hold", "counts"}, {CLASS: (4, 2, 4)}
    ),
    "a hold of nobody": Damage(
        lambda s: ("ZADD", s.holds(CLASS), 4_000_000_000, s.member(9, "1a")), {"hold", "leased"}
    ),
    "a hold that nobody can read": Damage(
        lambda s: ("ZADD", s.holds(CLASS), 4_000_000_000, "what?"), {"hold"}
    ),
    "a hold with another expiry": Damage(lambda s: later(s, 1), {"hold"}),
    "a lease that does not expire": Damage(lambda s: ("PERSIST", s.lease(1)), {"expiry"}),
    "a lease that expires late": Damage(
        lambda s: ("EXPIREAT", s.lease(1), 4_000_000_000), {"expiry"}
    ),
    "a lease that never was one": Damage(lambda s: ("SET", s.lease(8), "what?"), {"expiry"}),
    "leases that are counted too often": Damage(
        lambda s: ("HINCRBY", s.counts, 4_000_000_000, 1), {"counts"}
    ),
    "a sum of leases that is wrong": Damage(
        lambda s: ("HINCRBY", s.counts, "total", 3), {"counts"}
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_damage_is_found_and_mended(scene, damage, monkeypatch):
    """What is wrong is said, and mended so that nothing is wrong and the ledger is right again."""
    monkeypatch.setattr("service.verify.checking._PAUSE_SECONDS", 0.0)
    await scene.send(*damage.plant(scene))
    found = await look(scene.desk)
    assert found.checks == damage.checks
    assert found.report.differences == len(found.lines)
    assert "mended" not in "".join(found.lines)
    assert (await look(scene.desk)).checks == damage.checks, "looking changes nothing"

    mended = await look(scene.desk, repair=True)
    assert mended.checks == damage.checks
    assert all(line.endswith("; mended\n") for line in mended.lines)
    assert (await look(scene.desk)).lines == []
    assert await scene.ledgers() == LEDGERS | damage.mended


async def test_nothing_is_wrong_with_the_scene(scene):
    """Undamaged, nothing is said and nothing is mended."""
    assert (await look(scene.desk)).lines == []
    assert (await look(scene.desk, repair=True)).lines == []
