from __future__ import annotations

import asyncio
from typing import Any

from tests.http.front_end import ITEM, OFFER, UUIDS, FrontEnd

ORDER, OTHER = UUIDS[:2]
HALL = "https://example.com/halls/1"
CLASSES = [f"https://example.com/classes/{number}" for number in range(3)]
COURT, LEFT, RIGHT = (f"https://example.com/courts/{name}" for name in ("full", "left", "right"))


def pool(id_: str, capacity: int) -> dict[str, Any]:
    """Return the registration of a pool."""
    return {"@type": "CapacityPool", "@id": id_, "maximumAttendeeCapacity": capacity}


def of(id_: str, offer: str = OFFER) -> dict[str, str]:
    """Return an OrderItem of an Opportunity."""
    return {"orderedItem": id_, "acceptedOffer": offer}


async def open_hall(desk: FrontEnd, places: int) -> None:
    """Register a hall, and three classes of 60 in it."""
    await desk.register(pool(HALL, places))
    for id_ in CLASSES:
        await desk.sell(60, id_=id_, capacityPools=[{"@id": HALL}])


async def test_classes_share_the_places_of_their_hall(desk: FrontEnd) -> None:
    """A hall of 100 over three classes of 60 is full after 100, whoever took them (rule 28)."""
    await open_hall(desk, 100)
    assert (await desk.book(ORDER, *[of(CLASSES[0])] * 60)).status == 201
    assert [await desk.free(id_) for id_ in CLASSES] == [0, 40, 40]
    quoted = await desk.c2(OTHER, *[of(CLASSES[1])] * 30, *[of(CLASSES[2])] * 11)
    assert quoted.status == 409
    assert quoted.errors == [None] * 40 + ["OpportunityHasInsufficientCapacityError"]
    [error] = quoted.body["orderedItem"][40]["error"]
    assert HALL in error["description"]
    await desk.cancel(ORDER, *({"position": position} for position in range(60)))
    assert (await desk.c2(OTHER, *[of(CLASSES[1])] * 50, *[of(CLASSES[2])] * 50)).status == 200
    assert [await desk.free(id_) for id_ in CLASSES] == [0, 0, 0]


async def test_a_full_court_takes_both_halves(desk: FrontEnd) -> None:
    """What a court takes of a pool is as many as it says, and back again (rule 28)."""
    await desk.register(pool(COURT + "#half", 2))
    for id_, halves in ((COURT, 2), (LEFT, 1), (RIGHT, 1)):
        await desk.sell(1, id_=id_, capacityPools=[{"@id": COURT + "#half", "spaces": halves}])
    await desk.c2(ORDER, of(LEFT))
    assert [await desk.free(id_) for id_ in (COURT, LEFT, RIGHT)] == [0, 0, 1]
    refused = await desk.book(OTHER, of(COURT))
    assert refused.error == (409, "OpportunityHasInsufficientCapacityError")
    assert refused.errors == ["OpportunityCapacityIsReservedByLeaseError"]
    await desk.call("DELETE", f"/order-quotes/{ORDER}")
    assert (await desk.book(OTHER, of(COURT))).status == 201
    assert (await desk.c2(ORDER, of(RIGHT))).errors == ["OpportunityIsFullError"]
    await desk.call("DELETE", f"/orders/{OTHER}")
    assert (await desk.book(ORDER, of(LEFT), of(RIGHT))).status == 201


async def test_racers_for_a_shared_hall_get_no_more_than_there_is(desk: FrontEnd) -> None:
    """Of many who book different classes of one hall at once, exactly as many as fit (rule 28)."""
    await open_hall(desk, 7)
    uuids = [f"{number:08x}-0000-4000-8000-0000000000aa" for number in range(30)]
    answers = await asyncio.gather(
        *(desk.book(uuid, of(CLASSES[n % 3])) for n, uuid in enumerate(uuids))
    )
    assert sorted(answer.status for answer in answers) == [201] * 7 + [409] * 23


async def test_what_is_held_already_is_kept_first(desk: FrontEnd) -> None:
    """What an Order holds of a pool comes before what is new in its basket (rule 28)."""
    await open_hall(desk, 2)
    await desk.c2(ORDER, of(CLASSES[0]))
    await desk.c2(OTHER, of(CLASSES[2]))
    first = {**of(CLASSES[1]), "position": 0}
    quoted = await desk.c2(ORDER, first, {**of(CLASSES[0]), "position": 1})
    assert quoted.errors == ["OpportunityCapacityIsReservedByLeaseError", None]
    assert (await desk.look(ORDER)).body["orderedItem"][0]["orderedItem"]["@id"] == CLASSES[0]


async def test_a_pool_itself_is_not_for_sale(desk: FrontEnd) -> None:
    """An OrderItem of a pool is `UnknownOpportunityError` (rule 28)."""
    await desk.register(pool(HALL, 2))
    quoted = await desk.c2(ORDER, of(HALL))
    assert quoted.status == 409
    assert quoted.errors == ["UnknownOpportunityError"]
    assert (await desk.book(ORDER, of(HALL))).status == 409


async def test_a_withdrawn_pool_has_no_space(desk: FrontEnd) -> None:
    """What draws on a pool that is withdrawn cannot be had until it is back (rule 28)."""
    await open_hall(desk, 2)
    await desk.call("DELETE", "/opportunities", id=HALL)
    assert (await desk.c2(ORDER, of(CLASSES[0]))).errors == ["OpportunityIsFullError"]
    await desk.register(pool(HALL, 2))
    assert (await desk.c2(ORDER, of(CLASSES[0]))).status == 200


async def test_an_unknown_pool_is_refused_by_its_place(desk: FrontEnd) -> None:
    """An entry that draws on what is no pool fails alone, and says so (rule 28)."""
    await desk.sell(1)
    for id_ in ("https://example.com/halls/none", str(ITEM["orderedItem"])):
        entry = {
            "@type": "Slot",
            "@id": "https://example.com/slots/1",
            "maximumUses": 1,
            "capacityPools": [{"@id": id_}],
        }
        done = (await desk.call("PUT", "/opportunities", [entry])).body
        assert done["failed"] == 1
        assert done["errors"][0]["error"]["@type"] == "UnknownOpportunityError"
        assert "$.capacityPools" in done["errors"][0]["error"]["description"]
