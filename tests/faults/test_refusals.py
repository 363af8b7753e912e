"""Rule 25: with Redis out of reach each call has the error that the standard has for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from service.errors import OpenBookingError
from service.ledger import Ledger, OrderKey, Step
from service.ledger.store import Store
from service.model import OrderItemPatch, OrderPatch, ProposalPatch, SellerPolicy
from service.redis.batcher import Batcher
from service.redis.connect import connection_factory
from service.settings import Settings
from tests.ledger.desk import CLASS, SELLER, order_request

KEY = OrderKey(SELLER, "default", "e11429ea-467f-4270-ab62-e47368996fe8")
DECISION = ProposalPatch(order_proposal_status="https://openactive.io/CustomerRejected")
CANCELLATION = OrderPatch(
    ordered_item=[
        OrderItemPatch(order_item_status="https://openactive.io/CustomerCancelled", position=0)
    ]
)

Call = Callable[[Ledger], Awaitable[object]]

CALLS: dict[str, tuple[str, Call]] = {
    "C1": ("ProduceOrderQuote", lambda it: it.quote(KEY, Step.ANONYMOUS, order_request(1))),
    "C2": ("ProduceOrderQuote", lambda it: it.quote(KEY, Step.NAMED, order_request(1))),
    "P": ("CreateOrder", lambda it: it.propose(KEY, order_request(1))),
    "B": ("CreateOrder", lambda it: it.book(KEY, order_request(1))),
    "decide": ("UpdateOrder", lambda it: it.decide(KEY, DECISION)),
    "cancel": ("UpdateOrder", lambda it: it.cancel(KEY, CANCELLATION)),
    "payment window": ("UpdateOrder", lambda it: it.open_payment_window(KEY, 60)),
    "delete": ("DeleteOrder", lambda it: it.delete(KEY)),
    "release": ("DeleteOrder", lambda it: it.release(KEY)),
    "look": ("ProduceOrderQuote", lambda it: it.look_at_order(KEY)),
    "inspect": ("", lambda it: it.inspect(SELLER, [CLASS])),
    "withdraw": ("", lambda it: it.withdraw(SELLER, [CLASS])),
    "policy": ("", lambda it: it.set_policy(SELLER, SellerPolicy())),
}


@pytest.fixture
async def ledger(short_folder: Path) -> AsyncIterator[Ledger]:
    """Give a ledger whose Redis is not there."""
    batcher = Batcher(connection_factory(f"unix://{short_folder}/none"), deadline_seconds=0.05)
    yield Ledger(Store(batcher, key_prefix="lease", partitions=64), Settings())
    await batcher.close()


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_without_redis_is_refused_in_the_standards_words(
    ledger: Ledger, name: str
) -> None:
    """Rule 25: a 503 of the call's own type that says when to repeat it, and shows no address."""
    kind, call = CALLS[name]
    with pytest.raises(OpenBookingError) as caught:
        await call(ledger)
    expected = f"TemporarilyUnableTo{kind}Error" if kind else "OpenBookingError"
    assert type(caught.value).__name__ == expected
    assert caught.value.status_code == 503
    assert caught.value.retry_after == 1
    assert "none" not in caught.value.description


async def test_the_service_says_that_it_is_not_ready(ledger: Ledger) -> None:
    """Rule 25: readiness follows Redis, and is no error."""
    assert await ledger.ready() is False
