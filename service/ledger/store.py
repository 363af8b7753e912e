"""The store as a whole: Orders and the catalogue, in one Redis."""

from __future__ import annotations

import asyncio

from service.ledger.calls import Calls
from service.ledger.catalogue import Catalogue
from service.ledger.observer import UNOBSERVED, Observer
from service.ledger.order_scripts import Orders
from service.redis.errors import StoreError
from service.redis.nodes import Nodes


class Store:
    """What the ledger keeps."""

    def __init__(
        self,
        nodes: Nodes,
        *,
        key_prefix: str,
        partitions: int,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """Keep it on `nodes`, under keys of this prefix; `observer` is told."""
        calls = Calls(nodes, key_prefix=key_prefix, partitions=partitions, observer=observer)
        self._nodes = nodes
        self.orders = Orders(calls)
        self.catalogue = Catalogue(calls)

    async def ping(self) -> None:
        """Return once a node has answered: while others do not, the rest works.

        Raises:
            StoreError: None answers.

        """
        answers = await asyncio.gather(
            *(node.command("PING") for node in await self._nodes.every()), return_exceptions=True
        )
        failures = [answer for answer in answers if isinstance(answer, StoreError)]
        if len(failures) == len(answers):
            raise failures[0]
