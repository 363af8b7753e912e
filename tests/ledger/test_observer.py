"""What the store tells of: what becomes of leases, and what there is in Redis."""

import asyncio

import pytest
from structlog.testing import capture_logs

from service.ledger import Step
from service.ledger.observer import Event
from service.ledger.statistics import PERIOD_SECONDS, Census, Censuses
from service.ledger.sweep import DueList
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.sweeper import Sweeper
from service.telemetry import Metrics
from service.telemetry.metrics import EVENTS
from tests.ledger.desk import CLASS, COURT, OFFER, Desk
from tests.polling import eventually
from tests.servers import RedisServer

PREFIX = "lease"


class Told:
    """A meter of its own, read by event."""

    def __init__(self) -> None:
        self.metrics = Metrics(steps=())
        self.meter = self.metrics.of_worker(0)

    def number(self, name: str, **labels: str) -> float:
        """Return what a scrape says of one time series."""
        [value] = (
            sample.value
            for metric in self.metrics.collect()
            for sample in metric.samples
            if sample.name == name and sample.labels == labels
        )
        return value

    @property
    def events(self) -> dict[Event, float]:
        """Return how often each event happened, without those that did not."""
        counts = {event: self.number("lease_leases_total", event=event) for event in EVENTS}
        return {event: count for event, count in counts.items() if count}


@pytest.fixture
def told() -> Told:
    """Give an observer."""
    return Told()


async def test_what_becomes_of_a_lease_is_told_once(batcher: Batcher, told: Told) -> None:
    """Each call tells what it made of the lease, and a repeated B or release tells nothing."""
    desk = Desk(batcher, told.meter)
    await desk.register(10)
    await desk.quote(1, 1)
    assert told.events == {"granted": 1}
    await desk.quote(1, 1, Step.NAMED)
    assert told.events == {"granted": 1, "converted": 1}
    for _ in range(2):
        await desk.book(1, 1)
    assert told.events == {"granted": 1, "converted": 1, "booked": 1}
    await desk.quote(2, 1)
    for _ in range(2):
        await desk.release(2)
    assert told.events == {"granted": 2, "converted": 1, "booked": 1, "released": 1}
    await desk.quote(3, 1)
    await desk.quote(3, 0)
    await desk.propose(4, 1)
    await desk.quote(5, 100)
    assert told.events == {
        "granted": 3, "converted": 1, "booked": 1, "released": 2, "proposed": 1,
    }  # fmt: skip


async def test_a_lease_that_lasts_longer_is_told(batcher: Batcher, told: Told) -> None:
    """A repeated C1 tells of an extension, and only where the lease now lasts longer."""
    desk = Desk(batcher, told.meter, anonymous_seconds=100)
    await desk.register(10)
    await desk.quote(1, 1)
    await Desk(batcher, told.meter, anonymous_seconds=50).quote(1, 1)
    assert told.events == {"granted": 1}
    await Desk(batcher, told.meter, anonymous_seconds=200).quote(1, 1)
    assert told.events == {"granted": 1, "extended": 1}


@pytest.mark.parametrize("finder", ["sweeper", "call"])
async def test_a_lease_that_expired_is_told_once(
    batcher: Batcher, told: Told, finder: str
) -> None:
    """Whoever finds that leases expired tells of them: the sweeper, or the next call."""
    desk = Desk(batcher, told.meter, anonymous_seconds=1)
    await desk.register(10)
    await desk.quote(1, 2)
    await desk.quote(2, 1)
    due = DueList(
        batcher, key_prefix=PREFIX, partitions=desk.settings.partitions, observer=told.meter
    )

    async def is_told() -> bool:
        if finder == "sweeper":
            await Sweeper(due, told.meter).sweep()
        else:
            await desk.inspect()
        return bool(told.events.get("expired"))

    await eventually(is_told)
    await desk.inspect()
    await Sweeper(due, told.meter).sweep()
    assert told.events == {"granted": 2, "expired": 2}


async def test_a_sweeper_tells_how_late_it_is(batcher: Batcher, told: Told) -> None:
    """What was due long before the sweeper looks is told as lateness, and then it is not late."""
    desk = Desk(batcher, told.meter, anonymous_seconds=1)
    await desk.register(10)
    await desk.quote(1, 1)
    due = DueList(
        batcher, key_prefix=PREFIX, partitions=desk.settings.partitions, observer=told.meter
    )

    async def is_late() -> bool:
        await due.overdue()
        return told.number("lease_sweeper_late_seconds") > 0.2

    await eventually(is_late)
    assert told.number("lease_redis_up") == 1
    assert abs(told.number("lease_sweeper_looked_timestamp_seconds") - await desk.now()) < 60
    await Sweeper(due, told.meter).sweep()
    await due.overdue()
    assert told.number("lease_sweeper_late_seconds") == 0


async def test_redis_away_is_told(told: Told) -> None:
    """A sweeper that finds no Redis tells so."""
    told.meter.looked_at_due(1.0, 0.0)

    def no_connection():
        raise ConnectionError("This test has no Redis.")

    batcher = Batcher(no_connection, deadline_seconds=0.01)
    due = DueList(batcher, key_prefix=PREFIX, partitions=1, observer=told.meter)
    sweeping = asyncio.create_task(Sweeper(due, told.meter).run())

    async def is_told() -> bool:
        return told.number("lease_redis_up") == 0

    await eventually(is_told)
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    await batcher.close()


async def test_a_round_trip_is_told(valkey_server: RedisServer, told: Told) -> None:
    """Calls of the same moment are one batch, with the seconds that it took."""
    batcher = Batcher(connection_factory(valkey_server.url), on_exchange=told.meter.exchanged)
    await batcher.command("PING")
    await asyncio.gather(*(batcher.command("PING") for _ in range(4)))
    await batcher.close()
    assert told.number("lease_store_batch_calls_sum") == 5
    assert told.number("lease_store_batch_calls_count") == 2
    assert told.number("lease_store_seconds_count") == 2
    assert told.number("lease_store_batch_calls_bucket", le="1.0") == 1


async def test_everything_is_counted(batcher: Batcher) -> None:
    """A census counts every Opportunity, also those that did not change for long."""
    desk = Desk(batcher)
    for number in range(250):
        await desk.register(2, f"{CLASS}/{number}")
    await desk.register(5, COURT)
    await desk.quote(1, [(COURT, OFFER), (f"{CLASS}/7", OFFER)])
    await desk.quote(2, [(COURT, OFFER)], Step.NAMED)
    await desk.propose(3, [(COURT, OFFER)])
    await desk.book(4, [(COURT, OFFER), (COURT, OFFER)])
    censuses = Censuses(batcher, key_prefix=PREFIX, partitions=desk.settings.partitions)
    first = await censuses.latest()
    assert first._replace(at=0) == Census(
        0, opportunities=251, overcommitted=0, capacity=505, booked=2, leases=4, anonymous=2,
        named=1, proposal=1,
    )  # fmt: skip
    await desk.register(4, COURT)
    assert await censuses.latest() == first, f"it is good for {PERIOD_SECONDS} s"
    await batcher.command("DEL", f"{PREFIX}:census")
    assert (await censuses.latest()).overcommitted == 1


async def test_one_process_counts_and_the_others_read(batcher: Batcher) -> None:
    """Of several that want a census at once one takes it."""
    desk = Desk(batcher)
    await desk.register(2)
    several = [
        Censuses(batcher, key_prefix=PREFIX, partitions=desk.settings.partitions) for _ in range(3)
    ]
    taken = await asyncio.gather(*(censuses.latest() for censuses in several))
    assert sorted(census.opportunities for census in taken) == [0, 0, 1]
    assert {(await censuses.latest()).opportunities for censuses in several} == {1}


async def test_a_census_that_fails_is_taken_again(batcher: Batcher) -> None:
    """What nobody foresaw is in the log, and the next census tells all the same."""
    desk = Desk(batcher)
    await desk.register(2)
    censuses = Censuses(
        batcher, key_prefix=desk.settings.key_prefix, partitions=desk.settings.partitions
    )
    told: list[Census] = []

    def tell(census: Census) -> None:
        if not told:
            told.append(census)
            raise ValueError
        told.append(census)

    with capture_logs() as lines:
        taking = asyncio.create_task(censuses.run(tell))

        async def is_told_again() -> bool:
            return len(told) > 1

        await eventually(is_told_again)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    assert [line["event"] for line in lines] == ["census.failed"]
    assert told[1].opportunities == 1
