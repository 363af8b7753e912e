"""What the service leaves behind is in order, whatever was called."""

from service.ledger.stored_format import SCHEMA
from tests.ledger import stored_format
from tests.ledger.desk import CLASS, SELLER, Desk
from tests.verify.looking import look


async def test_one_of_everything_is_in_order(desk):
    """Leases, Orders, proposals, pools, withdrawals and what lapsed: there is no difference."""
    await stored_format.load(desk.batcher, stored_format.read(SCHEMA))
    found = await look(desk)
    assert found.lines == []
    assert found.report.checked["booked"] == 7


async def test_a_rejection_after_a_withdrawal_leaves_no_lease_counted(batcher):
    """Rules 14 and 19: a rejected proposal that holds nothing has no grace, and does not count."""
    desk = Desk(batcher, rejection_grace_seconds=600)
    await desk.register(5)
    await desk.propose(1, 2)
    await desk.ledger.withdraw(SELLER, [CLASS])
    await desk.decide(1, "SellerRejected")
    found = await look(desk)
    assert found.lines == []
