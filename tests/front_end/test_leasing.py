"""Leases through the front-end, as OpenActive's test suite looks at them."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.booking_front_end.settings import Settings
from tests.front_end.broker import INDIVIDUAL, SESSION, SLOT, Answer, Broker, new_order
from tests.process.program import Program

RESERVED = "OpportunityCapacityIsReservedByLeaseError"
INSUFFICIENT = "OpportunityHasInsufficientCapacityError"


async def quote(broker: Broker, step: str, order: str, *ids: str) -> Answer:
    """Make the calls of a step: the named one comes after the anonymous one."""
    said = await broker.c1(order, *ids)
    return said if step == "C1" else await broker.c2(order, *ids)


@pytest.mark.parametrize("kind", [SESSION, SLOT])
@pytest.mark.parametrize("step", ["C1", "C2"])
async def test_spaces_are_shared_out(broker: Broker, step: str, kind: str) -> None:
    """Of 5 spaces one Order has 3, one that asks for 10 none, another 2, and the last none."""
    id_ = await broker.create(kind, "FiveSpaces")
    first = await quote(broker, step, new_order(), *[id_] * 3)
    assert (first.status, first.remaining()) == (200, [5, 5, 5])
    assert first.body["lease"]["@type"] == "Lease"
    await broker.sees(id_, 2)

    greedy = await quote(broker, step, new_order(), *[id_] * 10)
    assert (greedy.status, greedy.remaining()) == (409, [2] * 10)
    assert greedy.errors() == [None] * 2 + [RESERVED] * 3 + [INSUFFICIENT] * 5
    assert await broker.published(id_) == 2

    third = await quote(broker, step, new_order(), id_, id_)
    assert (third.status, third.remaining()) == (200, [2, 2])
    await broker.sees(id_, 0)
    last = await quote(broker, step, new_order(), id_)
    assert (last.status, last.remaining(), last.errors()) == (409, [0], [RESERVED])


@pytest.mark.parametrize("kind", [SESSION, SLOT, INDIVIDUAL])
async def test_the_last_space_is_one_customers(broker: Broker, kind: str) -> None:
    """The only space is the first Customer's, from C1 to B, and the feed says so all the while."""
    id_, order = await broker.create(kind, "OneSpace"), new_order()
    assert (await broker.c1(order, id_)).status == 200
    await broker.sees(id_, 0)
    assert (await broker.c1(new_order(), id_)).errors() == [RESERVED]
    assert (await broker.c2(order, id_)).remaining() == [1]
    assert (await broker.b(order, id_)).status == 201
    assert await broker.published(id_) == 0
    assert (await broker.c1(new_order(), id_)).errors() == ["OpportunityIsFullError"]


async def test_an_amended_quote_holds_what_it_says(broker: Broker) -> None:
    """A quote that drops an Opportunity for another releases the one and leases the other."""
    first, second, order = await broker.create(), await broker.create(SLOT), new_order()
    await broker.c2(order, first, first)
    await broker.sees(first, 8)
    await broker.c2(order, second)
    await broker.sees(first, 10)
    await broker.sees(second, 9)


async def test_what_is_given_up_is_free_again(broker: Broker) -> None:
    """Deleting a quote gives its spaces back, and may be repeated."""
    id_, order = await broker.create(), new_order()
    await broker.c1(order, id_)
    await broker.sees(id_, 9)
    for _ in range(2):
        path = f"/api/openbooking/order-quotes/{order}"
        assert (await broker.call("DELETE", path)).status == 204
    await broker.sees(id_, 10)


async def test_other_booking_partners_are_others(broker: Broker) -> None:
    """The same UUID of another Booking Partner is another Order."""
    id_, order = await broker.create(criterion="OneSpace"), new_order()
    await broker.c1(order, id_)
    other = broker.of_partner("booking-partner-2")
    assert (await other.c1(order, id_)).errors() == [RESERVED]


class TestExpiry:
    """With leases of a second."""

    @pytest.fixture
    def settings(self, settings: Settings, short_folder: Path):
        """Give a front-end over a service of its own."""
        seconds = {"LEASE_ANONYMOUS_SECONDS": "1", "LEASE_NAMED_SECONDS": "1"}
        with Program(short_folder, **seconds) as program:
            yield settings._replace(service_url=program.url)

    async def test_what_lapses_is_published(self, broker: Broker) -> None:
        """Rule 22: when a lease expires, its spaces are in the open feed again by themselves."""
        id_ = await broker.create(criterion="OneSpace")
        await broker.c1(new_order(), id_)
        await broker.sees(id_, 0)
        await broker.sees(id_, 1)


class TestNoLeasing:
    """With leasing switched off."""

    @pytest.fixture
    def settings(self, settings: Settings, short_folder: Path):
        """Give a front-end over a service that does not lease."""
        none = {"LEASE_ANONYMOUS_SECONDS": "0", "LEASE_NAMED_SECONDS": "0"}
        with Program(short_folder, **none) as program:
            yield settings._replace(service_url=program.url)

    async def test_b_takes_the_space(self, broker: Broker) -> None:
        """Rule 14: a step that does not lease answers without a lease, and B books even so."""
        id_, order = await broker.create(), new_order()
        assert "lease" not in (await broker.c2(order, id_)).body
        assert (await broker.b(order, id_)).status == 201
        await broker.sees(id_, 9)
