"""What the service leaves behind is in order, whatever was called."""

from service.store.check import SCHEMA
from tests.store import stored_format
from tests.verify.looking import look


async def test_one_of_everything_is_in_order(desk):
    """Leases, Orders, proposals, pools, withdrawals and what lapsed: there is no difference."""
    await stored_format.load(desk.batcher, stored_format.read(SCHEMA))
    found = await look(desk)
    assert found.lines == []
    assert found.report.checked["booked"] == 7
