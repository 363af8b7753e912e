"""A desk over each kind of server."""

import pytest

from service.redis.batcher import Batcher
from tests.ledger.desk import Desk


@pytest.fixture
def desk(batcher: Batcher) -> Desk:
    """Give a booking desk with the default settings."""
    return Desk(batcher)
