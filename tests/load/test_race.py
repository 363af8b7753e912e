import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path

import pytest

from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from tests.load.customers import Answer, Reception, Spaces, observed, reception
from tests.polling import eventually
from tests.process.program import Program, run

SPACES = 50
CUSTOMERS = range(500)
FULL = "OpportunityIsFullError"
RESERVED = "OpportunityCapacityIsReservedByLeaseError"

Sold = dict[int, int]
"""Spaces by customer, as the answers to B say."""


@pytest.fixture
def program(short_folder: Path, request: pytest.FixtureRequest) -> Iterator[Program]:
    """Give the real program: two workers that share a Valkey in memory."""
    settings = {"LEASE_WORKERS": "2", "LEASE_DATA_DIR": ":memory:"} | request.param
    with Program(short_folder, **settings) as program:
        yield program


@pytest.fixture
def valkey_url(program: Program, short_folder: Path) -> str:
    """Give the address of its Valkey."""
    [socket] = short_folder.glob("lease-*/valkey.sock")
    return f"unix://{socket}"


@pytest.fixture
async def desk(program: Program, valkey_url: str, short_folder: Path) -> AsyncIterator[Reception]:
    """Give the way to it, with the class registered; at the end both workers must have served.

    What they leave behind must be in order.
    """
    async with reception(program.url) as desk:
        await desk.register(SPACES)
        yield desk
    busy = [count for count in await commands_by_connection(valkey_url) if count > 100]
    assert len(busy) == 2
    verified = await asyncio.to_thread(run, short_folder, "verify", LEASE_REDIS_URL=valkey_url)
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize("program", [{}], indirect=True)
async def test_fifty_of_five_hundred_lease_and_book_the_fifty_spaces(
    program: Program, desk: Reception
) -> None:
    """Of 500 customers exactly 50 get a lease and book, the others never (rules 2, 3, 8)."""
    async with observed(program.url, SPACES) as seen:
        asked = await asyncio.gather(*map(desk.c1, CUSTOMERS))
        winners = [number for number in CUSTOMERS if asked[number].status == 200]
        losers = [number for number in CUSTOMERS if asked[number].status != 200]
        assert await desk.spaces() == Spaces(booked=0, leased=SPACES, remaining=0)
        await asyncio.gather(
            *(buy(desk, number) for number in winners),
            *(insist(desk, number) for number in losers),
        )

    assert len(winners) == SPACES
    assert all(is_refused_by_leases(asked[number]) for number in losers)
    assert len(seen) > 2
    assert await desk.spaces() == Spaces(booked=SPACES, leased=0, remaining=0)
    assert FULL in (await desk.b(len(CUSTOMERS))).errors


@pytest.mark.parametrize("program", [{"LEASE_ANONYMOUS_SECONDS": "1"}], indirect=True)
async def test_no_mixture_of_calls_and_expiries_oversells(
    program: Program, desk: Reception
) -> None:
    """However 500 customers lease, wait and book, 50 spaces are sold (rules 8, 12, 15)."""
    sold: Sold = {}

    async def want(number: int) -> None:
        # The first 30 leave it to the others to take the last 20 spaces before their leases end.
        way = book_after_expiry if number < 30 else WAYS[number % len(WAYS)]
        while number not in sold:
            if FULL in (await way(desk, number, sold)).errors:
                return

    async with observed(program.url, SPACES) as seen:
        await asyncio.gather(*map(want, CUSTOMERS))

    assert len(seen) > 2
    assert await desk.spaces() == Spaces(booked=SPACES, leased=0, remaining=0)
    assert sum(sold.values()) == SPACES
    assert FULL in (await desk.b(len(CUSTOMERS))).errors


async def buy(desk: Reception, number: int) -> None:
    """C2 and B of a customer who holds a space."""
    assert (await desk.c2(number)).status == 200
    assert (await desk.b(number)).status == 201


async def insist(desk: Reception, number: int) -> None:
    """Try C1 and B by turns, until the class is full."""
    is_full = False
    while not is_full:
        for answer in (await desk.c1(number), await desk.b(number)):
            assert answer.status == 409
            is_full = FULL in answer.errors


async def lease_and_book(desk: Reception, number: int, sold: Sold) -> Answer:
    """C1, and B whatever it said."""
    await desk.c1(number)
    return await book(desk, number, 1, sold)


async def book_without_a_lease(desk: Reception, number: int, sold: Sold) -> Answer:
    """B alone."""
    return await book(desk, number, 1, sold)


async def lease_several_and_book(desk: Reception, number: int, sold: Sold) -> Answer:
    """C1 and B of 2 or 3 spaces; one of them where there is no room for all."""
    await desk.c1(number, 2 + number % 2)
    answer = await book(desk, number, 2 + number % 2, sold)
    return answer if answer.status == 201 else await book(desk, number, 1, sold)


async def lease_and_release(desk: Reception, number: int, _: Sold) -> Answer:
    """C1, and a change of mind."""
    answer = await desk.c1(number, 1 + number % 3)
    assert (await desk.release(number)).status == 204
    return answer


async def book_after_expiry(desk: Reception, number: int, sold: Sold) -> Answer:
    """C1, and B when that lease has expired."""

    async def has_expired() -> bool:
        return not await desk.has_lease(number)

    await desk.c1(number)
    await eventually(has_expired)
    return await book(desk, number, 1, sold)


WAYS: list[Callable[[Reception, int, Sold], Coroutine[object, object, Answer]]] = [
    lease_and_book,
    book_without_a_lease,
    lease_several_and_book,
    lease_and_release,
    book_after_expiry,
]


async def book(desk: Reception, number: int, spaces: int, sold: Sold) -> Answer:
    """B, and when it succeeds B again: it is one booking (rule 17)."""
    answer = await desk.b(number, spaces)
    assert answer.status in {201, 409}
    if answer.status == 201:
        sold[number] = spaces
        again = await desk.b(number, spaces)
        assert (again.body, again.headers["Idempotency-Replayed"]) == (answer.body, "true")
    return answer


def is_refused_by_leases(answer: Answer) -> bool:
    """Tell whether a C1 says that leases are in the way, and when they may be gone (rule 6)."""
    return (
        answer.status == 409
        and answer.errors == {RESERVED}
        and int(answer.headers["Retry-After"]) > 0
    )


async def commands_by_connection(url: str) -> list[int]:
    """Return how many commands each of Valkey's clients has sent: a worker has one connection."""
    batcher = Batcher(connection_factory(url))
    clients = await batcher.command("CLIENT", "LIST")
    await batcher.close()
    return [int(count) for count in re.findall(rb"tot-cmds=(\d+)", clients)]
