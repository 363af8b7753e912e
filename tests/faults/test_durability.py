"""What is answered is safe: on the disk, or with as many replicas as the operator asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.errors import OpenBookingError
from service.ledger import Step
from service.redis.address import Location
from service.redis.connect import open_nodes
from tests.ledger.desk import Desk
from tests.polling import eventually
from tests.servers import redis_binary, valkey_binary
from tests.topology import Member, until

HASTY_SECONDS = 0.7
PATIENT_SECONDS = 20.0


@asynccontextmanager
async def desk_of(
    server: Member, durability: str, *, deadline_seconds: float = HASTY_SECONDS
) -> AsyncIterator[Desk]:
    """Give a desk whose bookings are confirmed, over connections of its own."""
    nodes = open_nodes(
        Location.read(server.url), durability=durability, deadline_seconds=deadline_seconds
    )
    try:
        yield Desk(nodes)
    finally:
        await nodes.close()


@pytest.fixture(params=[valkey_binary(), redis_binary()], ids=["valkey", "redis"])
def binary(request: pytest.FixtureRequest) -> str:
    """Give each kind of server in turn."""
    if request.param is None:
        pytest.skip("redis-server is not on the PATH")
    return str(request.param)


@pytest.fixture
def servers(binary: str, short_folder: Path) -> Iterator[tuple[Member, Member]]:
    """Give a primary and its replica."""
    with (
        Member(short_folder / "primary", binary, repl_diskless_sync_delay=0) as primary,
        Member(short_folder / "replica", binary) as replica,
    ):
        replica.ask("REPLICAOF", "127.0.0.1", primary.port)
        until(lambda: replica.follows(primary))
        primary.ask("SET", "known", "to both")
        until(lambda: primary.ask("WAIT", 1, 100) == 1)
        yield primary, replica


async def book(desk: Desk) -> None:
    """B."""
    await desk.book(1, 2)


async def cancel(desk: Desk) -> None:
    """Cancel an OrderItem."""
    await desk.cancel(1, 0)


async def delete(desk: Desk) -> None:
    """Delete the Order."""
    await desk.ledger.delete(desk.key(1))


async def refusal(call) -> OpenBookingError:
    """Return how a call was refused."""
    with pytest.raises(OpenBookingError) as refused:
        await call
    return refused.value


CALLS = pytest.mark.parametrize(
    ("earlier", "call", "booked"),
    [([], book, 2), ([book], cancel, 1), ([book], delete, 0)],
    ids=["book", "cancel", "delete"],
)


@CALLS
async def test_what_no_replica_has_is_not_answered(servers, earlier, call, booked) -> None:
    """Rules 21 and 25: without its replica B, cancel and delete are 503; repeated, they settle."""
    primary, replica = servers
    async with desk_of(primary, "replicas=1") as desk, desk_of(primary, "replicas=1") as other:
        await desk.register(5)
        for before in earlier:
            await before(desk)
        replica.pause()
        for asked in (desk, other):
            refused = await refusal(call(asked))
            assert (refused.status, refused.retry_after) == (503, 1)
        replica.resume()
        await eventually(lambda: succeeds(call(other)))
        assert await desk.spaces() == (booked, 0, 5 - booked)


async def succeeds(call) -> bool:
    """Tell whether a call is answered."""
    try:
        await call
    except OpenBookingError:
        return False
    return True


async def test_leases_do_not_wait_for_replicas(servers) -> None:
    """Rule 21: C1 and C2 are answered while a B still waits for its replica."""
    primary, replica = servers
    async with desk_of(primary, "replicas=1", deadline_seconds=PATIENT_SECONDS) as desk:
        await desk.register(5)
        replica.pause()
        booking = asyncio.create_task(desk.book(1, 1))
        for customer in range(2, 5):
            await desk.quote(customer, 1, Step.NAMED)
        assert not booking.done()
        replica.resume()
        await booking
        assert await desk.spaces() == (1, 3, 1)


async def test_what_is_not_on_the_disk_is_not_answered(short_folder: Path) -> None:
    """Rules 21 and 25: while the server writes no file B is 503; when it does, B is settled."""
    with Member(short_folder / "one", valkey_binary(), appendonly="yes") as server:
        async with desk_of(server, "disk") as desk:
            await desk.register(5)
            server.ask("CONFIG", "SET", "appendonly", "no")
            refused = await refusal(desk.book(1, 2))
            assert (refused.status, refused.retry_after) == (503, 1)
            server.ask("CONFIG", "SET", "appendonly", "yes")
            server.ask("CONFIG", "SET", "appendfsync", "always")
            await eventually(lambda: succeeds(desk.book(1, 2)))
            assert await desk.spaces() == (2, 0, 3)


async def test_many_bookings_share_a_confirmation(servers) -> None:
    """Rule 21: however many are booked at once, Redis is asked to confirm a few times only."""
    primary, _ = servers
    async with desk_of(primary, "replicas=1") as desk:
        await desk.register(500)
        await asyncio.gather(*(desk.book(customer, 1) for customer in range(1, 301)))
        assert await desk.spaces() == (300, 0, 200)
        assert primary.info("commandstats")["cmdstat_wait"]["calls"] < 30
