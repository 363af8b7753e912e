"""Rule 22: the capacity feed has every Opportunity once, at the place of its last change."""

import asyncio

import msgspec
import pytest

from service.ledger import Step
from service.ledger.feed import START
from service.ledger.keys import Keys
from tests.ledger.desk import CLASS, COURT, OFFER, SELLER, order_request
from tests.ledger.follow import Follower, feed_of

MANY = [f"https://example.com/events/{number}" for number in range(60)]
SELLERS = [f"https://example.com/sellers/{number}" for number in range(5)]


async def test_every_change_of_what_is_free_moves_to_the_end(desk):
    """Rule 22: what a registration, lease, release, booking or withdrawal does is told once."""
    reader = Follower(desk)
    await desk.register(5)
    await desk.register(5, COURT)
    assert await reader.read() == [CLASS, COURT]
    seen = []
    for call in (
        lambda: desk.quote(1, 2),
        lambda: desk.quote(1, 3),
        lambda: desk.quote(1, 3, Step.NAMED),
        lambda: desk.release(1),
        lambda: desk.book(2, 4),
        lambda: desk.ledger.delete(desk.key(2)),
        lambda: desk.register(9),
        lambda: desk.ledger.withdraw(SELLER, [CLASS]),
        lambda: desk.register(7),
    ):
        await call()
        seen.append((await reader.read(), reader.free[CLASS]))
    told = [CLASS]
    assert seen == [
        (told, 3),
        (told, 2),
        ([], 2),  # an extension with the same items frees and takes nothing
        (told, 5),
        (told, 1),
        (told, 5),
        (told, 9),
        (told, None),
        (told, 7),
    ]


async def test_an_item_is_the_opportunity_with_what_is_free(desk):
    """Rule 1, last sentence: c − b − L − h, under the names that the type of Opportunity has."""
    await desk.register(6)
    await desk.register_entries(
        {"@type": "Slot", "@id": COURT, "seller": SELLER, "maximumUses": 4}
    )
    await desk.book(1, 1)
    await desk.quote(2, [(CLASS, OFFER), (CLASS, OFFER), (COURT, OFFER)])
    told = [msgspec.to_builtins(change) for change in await feed_of(desk).changes(START)]
    items = {item["data"]["@id"]: item for item in told}
    assert (items[CLASS]["state"], items[CLASS]["kind"]) == ("updated", "ScheduledSession")
    common = {"@context": "https://openactive.io/", "seller": SELLER}
    assert items[CLASS]["data"] == common | {
        "@type": "ScheduledSession",
        "@id": CLASS,
        "maximumAttendeeCapacity": 6,
        "remainingAttendeeCapacity": 3,
    }
    assert items[COURT]["data"] == common | {
        "@type": "Slot",
        "@id": COURT,
        "maximumUses": 4,
        "remainingUses": 3,
    }


async def test_what_is_free_is_never_less_than_nothing(desk):
    """Rule 7: a capacity below what is leased leaves 0 in the feed."""
    reader = Follower(desk)
    await desk.register(6)
    await desk.quote(1, 4)
    await desk.register(3)
    await reader.read()
    assert reader.free == {CLASS: 0}


@pytest.mark.parametrize("limit", [1, 7, 500])
@pytest.mark.parametrize("sellers", [1, 5])
async def test_pages_are_in_order_and_have_everything_once(desk, limit, sellers):
    """Rule 22: over all partitions, by `modified` and then id, whatever the length of a page."""
    for number, id_ in enumerate(MANY):
        await desk.register(3, id_, seller=SELLERS[number % sellers])
    reader, places = Follower(desk), []
    while changes := await reader.page(limit):
        assert len(changes) <= limit
        places += [change.cursor for change in changes]
    assert places == sorted(places)
    assert sorted(reader.free) == sorted(MANY)
    assert len(places) == len(MANY)


async def test_a_reader_may_begin_anywhere(desk):
    """Behind any item come exactly the items after it."""
    for number, id_ in enumerate(MANY):
        await desk.register(3, id_, seller=SELLERS[number % 5])
    everything = await feed_of(desk).changes(START)
    for index in range(0, len(MANY), 7):
        rest = await feed_of(desk).changes(everything[index].cursor)
        assert rest == everything[index + 1 :]


async def test_the_end_is_in_front_of_all_that_happens_later(desk):
    """Who begins at the end is told what happens from then on, and nothing else."""
    await desk.register(5)
    reader = Follower(desk, await feed_of(desk).end())
    assert await reader.read() == []
    await desk.quote(1, 2)
    assert await reader.read() == [CLASS]


async def test_readers_see_every_final_state(desk):
    """Rule 22: readers that start, stop and resume amid heavy change end with the truth."""
    ids = MANY[:24]
    for number, id_ in enumerate(ids):
        await desk.register(50, id_, seller=SELLERS[number % 5])
    changing = True

    async def change(customer: int) -> None:
        for step in range(30):
            number = (customer * 7 + step * 11) % len(ids)
            key = desk.key(customer * 100 + number, seller=SELLERS[number % 5])
            ask = order_request([(ids[number], OFFER)] * ((customer + step) % 4))
            await desk.ledger.quote(key, Step.ANONYMOUS, ask)

    async def follow(reader: Follower, limit: int) -> None:
        while changing:
            await reader.page(limit)
            await asyncio.sleep(0.002 * (limit % 2))
        await reader.read()

    readers = {limit: Follower(desk) for limit in (1, 2, 3, 500)}
    following = [asyncio.create_task(follow(readers[limit], limit)) for limit in readers]
    await asyncio.gather(*(change(customer) for customer in range(8)))
    changing = False
    await asyncio.gather(*following)
    truth = {
        id_: (await desk.ledger.inspect(SELLERS[number % 5], [id_]))[0].remaining_attendee_capacity
        for number, id_ in enumerate(ids)
    }
    assert [reader.free for reader in readers.values()] == [truth] * len(readers)


async def test_a_page_reads_about_a_page(desk):
    """A page of a long feed asks Redis for little more than itself, so that memory stays small."""
    for number in range(400):
        await desk.register(1, f"{MANY[0]}/{number}", seller=SELLERS[number % 5])
    asked = []
    send = desk.batcher.command

    def command(*parts):
        if parts[0] == "ZRANGE":
            asked.append(parts[parts.index("LIMIT") + 2])
        return send(*parts)

    desk.batcher.command = command
    assert len(await feed_of(desk).changes(START, 50)) == 50
    assert sum(asked) <= desk.settings.partitions * 17 + 5 * 51


@pytest.mark.parametrize(
    "plant",
    [
        ("ZADD", "feed", 1, b"\n\xff"),
        ("ZADD", "feed", "1.5", "AAAAAAAAAAAAAAAA"),
        ("HSET", "opportunity", "capacity", "x"),
        ("HSET", "opportunity", "pools", "x"),
        ("HSET", "opportunity", "id", b"\xff"),
        ("HDEL", "opportunity", "seller"),
        ("SET", "opportunity", "x"),
        ("SET", "order", "x"),
    ],
    ids=str,
)
async def test_what_cannot_be_read_is_left_out(desk, plant):
    """One entry that nobody can read takes no page down, not even one that has no other."""
    await desk.register(5, COURT)
    await desk.register(5)
    keys = Keys(desk.settings.key_prefix, desk.settings.partitions)
    partition = keys.seller(SELLER).partition
    verb, key, *words = plant
    names = {
        "feed": partition.feed,
        "opportunity": partition.opportunity(keys.ref(SELLER, COURT)),
        "order": keys.feed_order,
    }
    await desk.batcher.command(verb, names[key], *words)
    for limit in (1, 100):
        reader, told = feed_of(desk), []
        after = START
        while changes := await reader.changes(after, limit):
            told += [msgspec.to_builtins(change)["data"]["@id"] for change in changes]
            after = changes[-1].cursor
        assert [id_ for id_ in told if id_ != COURT] == [CLASS]
