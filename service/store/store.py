"""The store as a whole: Orders and the catalogue, in one Redis."""

from __future__ import annotations

from service.store.batcher import Batcher
from service.store.calls import Calls
from service.store.catalogue import Catalogue
from service.store.observer import UNOBSERVED, Observer
from service.store.orders import Orders


class Store:
    """What the ledger keeps."""

    def __init__(
        self,
        batcher: Batcher,
        *,
        key_prefix: str,
        partitions: int,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """Keep it behind `batcher`, under keys of this prefix; `observer` is told."""
        calls = Calls(batcher, key_prefix=key_prefix, partitions=partitions, observer=observer)
        self._batcher = batcher
        self.orders = Orders(calls)
        self.catalogue = Catalogue(calls)

    async def ping(self) -> None:
        """Return once Redis has answered.

        Raises:
            StoreError: It does not answer.

        """
        await self._batcher.command("PING")
