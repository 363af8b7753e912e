"""Whatever is stored, `verify` reports what it cannot read and goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.ledger.desk import CLASS, COURT
from tests.verify.looking import look
from tests.verify.test_damage import HALL, Scene

Plant = Callable[[Scene], list[tuple[str | int | bytes, ...]]]


def having(id_: str, field: str, text: object) -> Plant:
    """Plant a field of an Opportunity, or of its Seller."""
    return lambda s: [("HSET", s.opportunity(id_) if id_ else s.seller, field, text)]  # type: ignore[list-item]  # whatever it is


PLANTS: dict[str, Plant] = {
    "an Opportunity of another type": lambda s: [
        ("DEL", s.opportunity(COURT)),
        ("SET", s.opportunity(COURT), "x"),
    ],
    "a number that is none": lambda s: [("HSET", s.opportunity(COURT), "booked", "many")],
    "a capacity that is none": lambda s: [("HSET", s.opportunity(COURT), "capacity", "two")],
    **{
        f"{field} that is {text!r}": having(CLASS, field, text)
        for field, text in [
            ("capacity", "nan"),
            ("capacity", "1_0"),
            ("booked", "٣"),
            ("leased", "9" * 30),
            ("next", "soon"),
            ("offer:o", "x"),
            ("offers", "x"),
            ("pools", "x"),
            ("draws", "a\nb"),
            ("id", "v1\n"),
            ("type", "Event\x85"),
            ("seller", "?"),
            ("epoch", "x"),
            ("modified", "x"),
            ("mended", "x"),
        ]
    },
    **{
        f"a Seller's {field} that is {text!r}": having("", field, text)
        for field, text in [
            ("id", b"\xff"),
            ("maximum_hold", "x\n"),
            ("tax_mode", "\n"),
            ("named", "9" * 20),
        ]
    },
    "a Seller of another type": lambda s: [("DEL", s.seller), ("RPUSH", s.seller, "x")],
    "an Opportunity without its id": lambda s: [("HDEL", s.opportunity(COURT), "id")],
    "the feed's order of another type": lambda s: [("SET", s.feed_order, "x")],
    "an Order of nobody": lambda s: [
        ("HSET", f"{s.partition.name}:order:AAAAAAAAAAAAAAAA", "state", "deleted"),
    ],
    "an id in another encoding": lambda s: [("HSET", s.opportunity(COURT), "id", b"\xff\xfe")],
    "a hold index of another type": lambda s: [
        ("DEL", s.holds(COURT)),
        ("SET", s.holds(COURT), "x"),
    ],
    "a hold in another encoding": lambda s: [("ZADD", s.holds(COURT), 4_000_000_000, b"1a\xff")],
    "a hold for ever": lambda s: [("ZADD", s.holds(COURT), "inf", "1aX")],
    "a lease of another type": lambda s: [("DEL", s.lease(2)), ("RPUSH", s.lease(2), "x")],
    "a lease in another encoding": lambda s: [
        ("SET", s.lease(2), b"2 1 4000000000 0 \xff|AAAAAAAAAAAAAAAAAAAAAA\x0cx 0#1"),
    ],
    "counts that are none": lambda s: [("HSET", s.counts, "total", "x", "soon", "1")],
    "a second of counts beyond all time": lambda s: [("HSET", s.counts, "9" * 30, "1")],
    "a second of counts in another script": lambda s: [("HSET", s.counts, "٣", "1")],
    "a count beyond all numbers": lambda s: [("HSET", s.counts, "4000000000", "9" * 18)],
    "counts of another type": lambda s: [("DEL", s.counts), ("SET", s.counts, "x")],
    "an entry of the feed in another encoding": lambda s: [("ZADD", s.feed, 1, b"\xff")],
    "a key in another encoding": lambda s: [
        ("SET", s.opportunity(COURT).encode() + b"\xff", "x"),
    ],
    "a key that ends in a line break": lambda s: [
        ("HSET", s.opportunity(COURT) + "\n", "capacity", 1, "booked", 0, "leased", "\n"),
    ],
}

LISTS: dict[str, Plant] = {
    "what is due is of another type": lambda s: [("DEL", s.due), ("SET", s.due, "x")],
    "the feed is of another type": lambda s: [("DEL", s.feed), ("SET", s.feed, "x")],
}

ORDERS: dict[str, tuple[str | bytes, ...]] = {
    "state": ("HSET", "state", "sold"),
    "instant": ("HSET", "at", "yesterday"),
    "no state": ("HDEL", "state"),
    "a line without rows' columns": ("HSET", "AAAAAAAAAAAAAAAA", "Event\tx\n\t\n0\tz\t\titem"),
    "an item that ends in a line break": (
        *("HSET", "AAAAAAAAAAAAAAAA"),
        "Event\tx\t\n0\tz\t\titem1\n\t",
    ),
    "another encoding": ("HSET", "AAAAAAAAAAAAAAAA", b"Event\t\xff\t\n0\tz\t\titem\t"),
}


@pytest.fixture
async def scene(desk):
    """Play the scene."""
    scene = Scene(desk)
    await scene.play()
    return scene


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
async def test_what_cannot_be_read_is_reported(scene, plant, repair):
    """It says so, looks at everything else, and mends that."""
    for command in plant(scene):
        await scene.send(*command)
    await scene.send("HINCRBY", scene.opportunity(HALL), "leased", 1)
    found = await look(scene.desk, repair=repair)
    assert "read" in found.checks or "hold" in found.checks
    assert "leased" in found.checks
    assert all(line[:-1].isprintable() for line in found.lines)
    assert "Booking Partners" in found.report.table()


async def test_fields_of_a_later_release_are_no_difference(scene):
    """Two releases may run side by side, and what the older one does not know is left alone."""
    for key in (scene.opportunity(COURT), scene.seller, scene.counts):
        await scene.send("HSET", key, "later", "\n")
    assert (await look(scene.desk)).lines == []


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("plant", LISTS.values(), ids=LISTS)
async def test_a_list_that_cannot_be_read_is_reported(scene, plant, repair):
    """Without it nothing of its partition can be judged, which is said of each Opportunity."""
    for command in plant(scene):
        await scene.send(*command)
    found = await look(scene.desk, repair=repair)
    assert scene.opportunity(COURT) in "".join(found.lines)


@pytest.mark.parametrize("change", ORDERS.values(), ids=ORDERS)
async def test_an_order_that_cannot_be_read_books_what_it_has_booked(scene, change):
    """What it has booked is unknown, and so nothing of its Seller's is taken for nobody's."""
    [order] = await scene.desk.raw_keys(f"*:order:*{scene.desk.key(4).uuid}")
    command, *words = change
    await scene.send(command, order, *words)
    before = await scene.ledgers()
    for repair in (False, True):
        found = await look(scene.desk, repair=repair)
        assert found.report.differences == 1
        assert f"read of {order.decode() if isinstance(order, bytes) else order}" in found.lines[0]
        assert await scene.ledgers() == before
    assert f"booked of {CLASS}: an Order of its Seller" in "".join(found.lines)


async def test_a_script_that_meets_what_cannot_be_read_leaves_no_half_of_a_change(scene):
    """A delete gives back all that its Order has booked, or nothing."""
    await scene.send("HSET", scene.opportunity(HALL), "booked", "9" * 18)
    [order] = await scene.desk.raw_keys(f"*:order:*{scene.desk.key(4).uuid}")
    keys = [order, scene.opportunity(CLASS), scene.opportunity(HALL)]
    before = [sorted(await scene.send("HGETALL", key)) for key in keys]
    with pytest.raises(Exception, match=r"cannot be read|failed"):
        await scene.desk.ledger.delete(scene.desk.key(4))
    assert [sorted(await scene.send("HGETALL", key)) for key in keys] == before


async def test_a_lease_stands_though_its_count_cannot_be_read(scene):
    """A count that is no number leaves no hold without its lease."""
    await scene.send("HSET", scene.counts, "total", "x")
    await scene.desk.quote(6, 1)
    assert (await look(scene.desk)).checks == {"read"}
