"""Each kind of damage is found, and mended as far as it can be."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pytest

from service.ledger import Step
from service.ledger.auditor import Auditor, Bookings
from service.ledger.keys import Keys
from service.ledger.scanner import Name
from tests.ledger.desk import CLASS, COURT, OFFER, SELLER, Desk
from tests.ledger.follow import Follower
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
        self.seller, self.feed_order = seller.seller, keys.feed_order
        self.due, self.feed = seller.partition.due, seller.partition.feed
        self.counts_name = f"{seller.ref}|default"
        self.counts = f"{seller.partition.name}:leases:{self.counts_name}"
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


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """Let no time pass between rounds: nothing changes but by the test."""
    monkeypatch.setattr("service.verify.checking._PAUSE_SECONDS", 0.0)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_damage_is_found_and_mended(scene, damage):
    """What is wrong is said, and mended so that nothing is wrong and the ledger is right again."""
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


async def test_what_was_never_allowed_is_said_and_left(scene):
    """Rule 8: more than was ever allowed is a difference that nobody but the operator mends."""
    await scene.send("HSET", scene.opportunity(CLASS), "allowed", 7)
    for repair in (False, True):
        found = await look(scene.desk, repair=repair)
        assert found.lines == [f"allowed of {CLASS}: 8, should be at most 7\n"]
    assert await scene.ledgers() == LEDGERS


async def test_a_lowered_capacity_is_no_damage(scene):
    """Rule 7: a capacity below what is booked and leased was allowed to be more."""
    await scene.desk.register(1)
    assert (await look(scene.desk)).lines == []


async def test_an_opportunity_that_is_lost_can_be_made_again(scene):
    """Registered again and mended, it has the bookings of its Orders, and its live leases."""
    await scene.send("DEL", scene.opportunity(COURT))
    await scene.send("DEL", scene.opportunity(CLASS))
    found = await look(scene.desk, repair=True)
    assert found.checks == {"booked", "feed", "holds", "before"}
    assert (await look(scene.desk)).lines == []
    await scene.desk.register(10)
    assert (await scene.ledgers())[CLASS] == (2, 0, 8)
    assert (await look(scene.desk, repair=True)).checks == {"hold"}
    assert (await scene.ledgers())[CLASS] == (2, 4, 4)
    assert (await look(scene.desk)).lines == []


async def test_what_an_earlier_release_stored_is_in_order(scene):
    """What lacks what this release notes is no difference, and is noted when it is mended."""
    for id_ in (CLASS, HALL):
        await scene.send("HDEL", scene.opportunity(id_), "before", "allowed")
    assert (await look(scene.desk)).lines == []
    noted = await look(scene.desk, repair=True)
    assert noted.report.differences == 0
    assert sorted(noted.lines) == [
        f"before of {CLASS}: noted as 2, for which there is no Order\n",
        f"before of {HALL}: noted as 0, for which there is no Order\n",
    ]
    await scene.send("HINCRBY", scene.opportunity(CLASS), "booked", 1)
    assert (await look(scene.desk)).checks == {"booked"}


async def test_an_earlier_release_never_books_less_than_its_orders(scene):
    """Where nothing is noted, at least what the Orders have booked must be booked."""
    await scene.send("HDEL", scene.opportunity(CLASS), "before")
    await scene.send("HSET", scene.opportunity(CLASS), "booked", 1)
    found = await look(scene.desk, repair=True)
    assert found.lines[0] == f"booked of {CLASS}: 1, should be 2; mended\n"
    assert (await scene.ledgers())[CLASS] == (2, 4, 4)


async def test_orders_with_seconds_count_too(scene):
    """An earlier release wrote when an Order changed in seconds."""
    [key] = await scene.desk.raw_keys(f"*:order:*{scene.desk.key(4).uuid}")
    await scene.send("HSET", key, "at", 1_700_000_000)
    assert (await look(scene.desk)).lines == []
    await scene.send("HINCRBY", scene.opportunity(CLASS), "booked", 1)
    assert (await look(scene.desk)).checks == {"booked"}


@pytest.mark.parametrize("limits", [{"opportunities_at_once": 1}, {"holds_limit": 1}])
async def test_bounded_looks_find_the_same(scene, limits):
    """One partition after the other, and with more holds than Redis adds up at once."""
    assert (await look(scene.desk, **limits)).lines == []
    await scene.send("HINCRBY", scene.opportunity(CLASS), "booked", 1)
    await scene.send("HINCRBY", scene.opportunity(CLASS), "leased", 1)
    assert (await look(scene.desk, **limits)).checks == {"booked", "leased"}
    assert (await look(scene.desk, repair=True, **limits)).report.differences == 2
    assert (await look(scene.desk, **limits)).lines == []


async def test_what_is_mended_is_told(scene):
    """Rule 22: mending what is free moves the Opportunity to the end of the feed."""
    reader = Follower(scene.desk)
    await reader.read()
    await scene.send("HINCRBY", scene.opportunity(COURT), "booked", 1)
    await look(scene.desk, repair=True)
    assert await reader.read() == [COURT]
    assert reader.free[COURT] == 3
    await scene.send("HINCRBY", scene.opportunity(HALL), "leased", -1)
    await look(scene.desk, repair=True)
    assert await reader.read() == [IN_HALL]


async def test_mending_again_changes_nothing(scene):
    """What was found before it was mended is not mended a second time, whoever asks."""
    await scene.send("HINCRBY", scene.opportunity(CLASS), "booked", 2)
    partition, settings = scene.partition, scene.desk.settings
    auditor = Auditor(
        scene.desk.batcher, key_prefix=settings.key_prefix, partitions=settings.partitions
    )
    seen = int(await scene.desk.now() * 1_000_000)
    name, counts = Name(partition, scene.refs[CLASS]), Name(partition, scene.counts_name)
    for _ in range(2):
        await auditor.audit(name, mend=True, bookings=Bookings(seen, 2, None))
    assert await scene.ledgers() == LEDGERS
    total = await scene.send("HGET", scene.counts, "total")
    for _ in range(2):
        await auditor.recount(counts, seen, 0, {4_000_000_000: -1})
    assert int(await scene.send("HGET", scene.counts, "total")) == int(total) + 1


async def test_no_order_is_touched(scene):
    """Whatever is mended, every Order stays as it is."""
    keys = await scene.desk.raw_keys("*:order:*")
    before = [sorted(await scene.send("HGETALL", key)) for key in keys]
    for damage in DAMAGES.values():
        await scene.send(*damage.plant(scene))
    found = await look(scene.desk, repair=True)
    assert found.report.differences > len(DAMAGES) / 2
    assert [sorted(await scene.send("HGETALL", key)) for key in keys] == before
    assert (await look(scene.desk)).lines == []
