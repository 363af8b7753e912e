"""The ledger as a whole: everything that the service keeps in one Redis."""

from __future__ import annotations

import asyncio

from service.ledger.catalogue import Catalogue
from service.ledger.dashboard import Conflicts, Dashboard
from service.ledger.feed import CapacityFeed
from service.ledger.keys import Keys
from service.ledger.opportunities import Opportunities
from service.ledger.orders import Orders
from service.ledger.scripts import Scripts
from service.ledger.statistics import Counter
from service.observer import UNOBSERVED, Observer
from service.redis.errors import StoreError
from service.redis.nodes import Nodes
from service.settings import Settings


class Ledger:
    """The parts of the ledger, each with its own calls."""

    def __init__(self, nodes: Nodes, settings: Settings, observer: Observer = UNOBSERVED) -> None:
        """Keep the ledger on `nodes`.

        Args:
            nodes: The way to Redis.
            settings: Of which the key prefix and the partitions are used, and what a Seller's
                policy leaves out.
            observer: Is told what becomes of leases.

        """
        keys = Keys(settings.key_prefix, settings.partitions)
        opportunities = Opportunities(nodes, keys)
        self.scripts = Scripts(nodes, keys, observer)
        self.orders = Orders(self.scripts, settings)
        self.catalogue = Catalogue(self.scripts)
        self.feed = CapacityFeed(nodes, keys)
        self.dashboard = Dashboard(opportunities, Conflicts(nodes, keys.prefix))
        self.counter = Counter(opportunities, keys.prefix)

    async def is_ready(self) -> bool:
        """Tell whether a node answers: while others do not, the rest works."""
        answers = await asyncio.gather(
            *(node.command("PING") for node in await self.scripts.nodes.every()),
            return_exceptions=True,
        )
        return not all(isinstance(answer, StoreError) for answer in answers)
