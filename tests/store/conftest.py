"""The ledger over each kind of server."""

from collections.abc import Callable

import pytest

from service.store.batcher import Batcher
from tests.store.desk import Desk


@pytest.fixture
def desk(batcher: Batcher) -> Desk:
    """Give a booking desk with the default settings."""
    return Desk(batcher)


@pytest.fixture
def make_desk(batcher: Batcher) -> Callable[..., Desk]:
    """Give desks with settings of the test's own."""
    return lambda **settings: Desk(batcher, **settings)
