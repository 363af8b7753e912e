"""What the release before stored goes on with this one."""

import pytest

from service.errors import (
    GoneError,
    OrderAlreadyExistsError,
    OrderCreationFailedError,
    UnknownOrderError,
)
from service.ledger import Step
from service.ledger.leader_lock import Turn
from service.ledger.stored_format import SCHEMA, claim_keys, server_check
from service.redis.address import Location
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.redis.errors import UnusableServerError
from tests.ledger import stored_format
from tests.ledger.desk import CLASS, COURT, OFFER, OTHER_OFFER, SELLER, errors
from tests.ledger.follow import Follower, sweeper_of
from tests.ledger.stored_format import (
    ACCEPTED,
    ANONYMOUS,
    BOOKED,
    DELETED,
    DELIVERED,
    HALL,
    IN_HALL,
    LAPSED,
    LAPSING,
    NAMED,
    OVER,
    PAYING,
    REJECTED,
    UNDECIDED,
    WITHDRAWN,
)


@pytest.fixture
async def old(desk):
    """Give a desk of this release over what an earlier one stored."""
    await stored_format.load(desk.batcher, stored_format.read(SCHEMA))
    return desk


async def counts(desk, id_):
    """Return how many spaces of an Opportunity are booked, and how many are leased."""
    found = await desk.inspect(id_)
    return found.booked, found.leased


async def test_the_format_is_the_one_on_file():
    """What this release stores looks like the file of its format, down to the fields."""
    stored = stored_format.shape(await stored_format.captured())
    assert stored == stored_format.shape(stored_format.read(SCHEMA)), (
        "the stored format has changed: raise SCHEMA and keep the old file, or, as long as no"
        " release has this format, run `make stored-format`"
    )


async def test_it_is_accepted_at_start(redis_url):
    """The data of the format that this release reads is no reason to refuse a server."""
    batcher = Batcher(connection_factory(redis_url))
    await batcher.command("FLUSHALL")
    await stored_format.load(batcher, stored_format.read(SCHEMA))
    await claim_keys(batcher, key_prefix="lease", partitions=64)
    await batcher.close()


async def test_another_partition_number_is_refused(batcher):
    """The number of partitions of the first start stays, and the refusal names it."""
    await claim_keys(batcher, key_prefix="lease", partitions=64)
    await claim_keys(batcher, key_prefix="lease", partitions=64)
    with pytest.raises(UnusableServerError, match="set LEASE_PARTITIONS=64"):
        await claim_keys(batcher, key_prefix="lease", partitions=128)


@pytest.mark.parametrize(
    "command",
    [
        ("RPUSH", "lease:meta", "x"),
        ("HSET", "lease:meta", "partitions", "x"),
        ("HSET", "lease:meta", "partitions", "64\n"),
        ("HSET", "lease:meta", "schema", "٣"),
        ("HSET", "lease:meta", "schema", "9" * 5000),
    ],
)
async def test_a_damaged_claim_is_refused_by_name(batcher, command):
    """Where nobody can tell the format any more, one line says which key is damaged."""
    await batcher.command(*command)
    with pytest.raises(UnusableServerError, match=r"\AThe key lease:meta [^\n]*\Z"):
        await claim_keys(batcher, key_prefix="lease", partitions=64)


async def test_a_damaged_claim_is_refused_on_each_connection(redis_url):
    """Behind a new connection it is no server out of reach either."""
    connect = connection_factory(redis_url)
    batcher = Batcher(connect)
    await batcher.command("FLUSHALL")
    await batcher.command("RPUSH", "lease:meta", "x")
    await batcher.close()
    check = server_check(Location.read(redis_url), key_prefix="lease", partitions=64)
    checked = Batcher(connect, check_server=check)
    with pytest.raises(UnusableServerError, match=r"\AThe key lease:meta [^\n]*\Z"):
        await checked.command("PING")
    await checked.close()


async def test_an_unknown_schema_is_refused(batcher):
    """Keys that another release wrote in another format are left alone."""
    await batcher.command("HSET", "lease:meta", "schema", 2)
    with pytest.raises(UnusableServerError, match="have format 2 and this release reads 1"):
        await claim_keys(batcher, key_prefix="lease", partitions=64)
    assert await batcher.command("HGETALL", "lease:meta") == [b"schema", b"2"]


async def test_the_ledger_stands(old):
    """Every Opportunity has the capacity, the bookings and the live leases that it had."""
    assert await counts(old, CLASS) == (3, 4)
    assert await counts(old, COURT) == (0, 2)
    assert await counts(old, IN_HALL) == (1, 1)
    assert await counts(old, HALL) == (2, 2)
    policy = await old.ledger.look_at_policy(SELLER)
    assert (policy.leasing.maximum_spaces, policy.leasing.maximum_leases) == (6, 500)


async def test_a_lease_becomes_an_order(old):
    """An anonymous lease is named, keeps its prices and its expiry, and is booked."""
    held = await old.ledger.look_at_quote(old.key(ANONYMOUS))
    offers = [{"@type": "Offer", "@id": OFFER, "price": 99, "priceCurrency": "GBP"}]
    await old.register(30, offers=offers)
    basket = [(CLASS, OFFER), (CLASS, OTHER_OFFER)]
    quoted = await old.quote(ANONYMOUS, basket, Step.NAMED)
    assert not quoted.refused
    assert quoted.body.lease == held.lease
    prices = [str(item.accepted_offer.price) for item in quoted.body.ordered_item]
    assert prices == ["7.1", "12.9"]
    booked = await old.book(ANONYMOUS, basket)
    assert booked.body.total_payment_due.price == 20
    assert await counts(old, CLASS) == (5, 2)


async def test_a_lease_is_released(old):
    """A named lease over two Opportunities gives back what it held, and nothing else."""
    assert len((await old.ledger.look_at_quote(old.key(NAMED))).ordered_item) == 2
    assert await old.release(NAMED) == 2
    assert await counts(old, CLASS) == (3, 3)
    assert await counts(old, COURT) == (0, 1)


async def test_a_payment_window_stays_as_it_was_given(old):
    """A payment window that is asked for again answers the same instant, and is booked."""
    held = await old.ledger.look_at_quote(old.key(PAYING))
    again = await old.ledger.open_payment_window(old.key(PAYING), 1)
    assert again.lease_expires == held.lease.lease_expires
    await old.book(PAYING, [(COURT, OFFER)])
    assert await counts(old, COURT) == (1, 1)


async def test_a_lease_that_was_withdrawn_holds_nothing(old):
    """The Opportunity is registered again, and the lease from before holds none of it."""
    await old.register(2, WITHDRAWN)
    assert await counts(old, WITHDRAWN) == (0, 0)
    assert await old.release(OVER) == 0


async def test_what_expired_is_free_and_told(old):
    """A lease that expired while nothing ran holds nothing, and a sweep tells the feed."""
    with pytest.raises(UnknownOrderError):
        await old.ledger.look_at_quote(old.key(LAPSED))
    reader = Follower(old)
    await reader.read()
    assert reader.free[LAPSING] == 1
    await sweeper_of(old).sweep()
    assert await reader.read() == [LAPSING]
    assert reader.free[LAPSING] == 2
    assert await old.quoted_errors(LAPSED, [(LAPSING, OFFER)] * 2) == ["", ""]


async def test_proposals_go_on(old):
    """One that was accepted is booked, one that waits can be decided, one rejected stays so."""
    booked = await old.book_proposed(ACCEPTED)
    assert len(booked.body.ordered_item) == 1
    assert await counts(old, HALL) == (4, 0)
    await old.decide(UNDECIDED, "SellerRejected")
    assert await counts(old, CLASS) == (3, 3)
    with pytest.raises(OrderCreationFailedError):
        await old.book_proposed(REJECTED)


async def test_an_order_is_known_cancelled_and_deleted(old):
    """B again is a replay, and what is cancelled and deleted comes back to every pool."""
    again = await old.book(BOOKED, [(CLASS, OFFER), (CLASS, OTHER_OFFER), (IN_HALL, OFFER)])
    assert again.replayed
    await old.cancel(BOOKED, 2)
    assert await counts(old, HALL) == (0, 2)
    await old.ledger.delete(old.key(BOOKED))
    assert await counts(old, CLASS) == (2, 4)


async def test_the_uuid_of_a_deleted_order_is_spent(old):
    """An Order that was deleted is gone, and its UUID is never quoted again."""
    with pytest.raises(GoneError):
        await old.ledger.look_at_order(old.key(DELETED))
    with pytest.raises(OrderAlreadyExistsError):
        await old.quote(DELETED, 1)


async def test_the_feed_goes_on_where_its_readers_are(old):
    """A reader from before finds what changes from now on, behind everything that there was."""
    reader = Follower(old)
    names = await reader.read()
    assert {CLASS, COURT, IN_HALL, LAPSING} <= {*names}
    quoted = await old.quote(99, [(COURT, OFFER)])
    assert errors(quoted.body.ordered_item) == [""]
    assert await reader.read() == [COURT]
    assert reader.free[COURT] == 1


async def test_webhooks_go_on_where_they_were(old):
    """The next sender begins behind what was delivered."""
    assert await Turn(old.batcher, key_prefix="lease").claim() == DELIVERED
