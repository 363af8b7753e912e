"""Opportunities, capacity pools and Sellers, as the front-end registers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from service.ledger.calls import Calls
from service.ledger.offers import MOST_GONE, forget_offers
from service.ledger.replies import Ledgered
from service.ledger.script_refusals import BusyPoolError, OtherKindError, UnknownPoolError
from service.ledger.scripts import ListKeys, RegisterArguments, RegisterKeys

_UNKNOWN_POOL: Final = -1
_BUSY_POOL: Final = -2
_OTHER_KIND: Final = -3

POLICY_FIELDS: Final = (
    "anonymous",
    "named",
    "proposal",
    "maximum_hold",
    "payment_window",
    "maximum_spaces",
    "maximum_leases",
    "tax_mode",
)


class Catalogue:
    """What can be booked, and on whose terms.

    Every verb raises `NothingSentError` or `OutcomeUnknownError` when Redis does not answer.
    """

    def __init__(self, calls: Calls) -> None:
        """Keep the catalogue where `calls` go."""
        self._calls = calls
        self._keys = calls.keys
        self.default_seller = calls.default_seller

    async def register(
        self,
        seller_id: str,
        opportunity: str,
        *,
        kind: str,
        capacity: int,
        booked: int,
        modified: str,
        offers: Mapping[str, str],
        pools: Mapping[str, int],
    ) -> int:
        """Make an Opportunity or a pool known.

        Args:
            seller_id: The Seller's `@id`.
            opportunity: The Opportunity's `@id`.
            kind: Its `@type`.
            capacity: Spaces.
            booked: Spaces booked before; counts at the first registration only.
            modified: The front-end's own version, a whole number or `=` and a text; `""`: it has
                none. An older number than the last changes nothing.
            offers: `"<price> <currency>"` by the offer's `@id`; `""` where the price is not known.
            pools: How many spaces of each pool, by its `@id`, one space takes.

        Returns:
            1 registered, 2 updated, 3 unchanged.

        Raises:
            UnknownPoolError: A pool is not registered.
            BusyPoolError: Too many Opportunities draw on a pool.
            OtherKindError: It is known as a pool and is to be an Opportunity, or the other way.

        """
        seller = self._keys.seller(seller_id)
        drawn = {self._keys.ref(seller_id, pool): pool for pool in pools}
        arguments = RegisterArguments(
            opportunity,
            kind,
            seller.ref,
            seller_id,
            capacity,
            booked,
            modified,
            " ".join(f"{ref}:{pools[pool]}" for ref, pool in drawn.items()),
            len(offers),
        )
        prices = [part for offer in offers.items() for part in offer]
        reply = await self._calls.run(
            "register",
            seller.partition,
            RegisterKeys(seller.seller, seller.partition.feed),
            (*arguments, *prices),
            dict.fromkeys((self._keys.ref(seller_id, opportunity), *drawn), ()),
        )
        if reply[0] == _UNKNOWN_POOL:
            raise UnknownPoolError(drawn[reply[1].decode()])
        if reply[0] == _BUSY_POOL:
            raise BusyPoolError(drawn[reply[1].decode()])
        if reply[0] == _OTHER_KIND:
            raise OtherKindError
        if reply[1] > MOST_GONE:
            node = self._calls.nodes.of(seller.partition.name)
            await forget_offers(node, seller.partition, self._keys.ref(seller_id, opportunity))
        return int(reply[0])

    async def inspect(self, seller_id: str, opportunity: str) -> Ledgered | None:
        """Return the ledger of one Opportunity, or None if it is not registered."""
        _, *reply = await self._run("inspect", seller_id, opportunity)
        return Ledgered(reply[0].decode(), *reply[1:]) if reply else None

    async def withdraw(self, seller_id: str, opportunity: str) -> None:
        """Make an Opportunity unknown again, and end its leases."""
        await self._run("withdraw", seller_id, opportunity)

    async def set_policy(self, seller_id: str, policy: Mapping[str, int | str]) -> None:
        """Replace a Seller's policy; a field of `POLICY_FIELDS` that is left out has none.

        Args:
            seller_id: The Seller's `@id`.
            policy: Seconds, counts and the tax mode by their names in the Seller's hash.

        """
        key = self._keys.seller(seller_id).seller
        # One command, so that no call ever meets half a policy; an empty field says nothing.
        fields = [part for name in POLICY_FIELDS for part in (name, policy.get(name, ""))]
        await self._calls.nodes.of(key).command("HSET", key, "id", seller_id, *fields)

    async def policy(self, seller_id: str) -> dict[str, str] | None:
        """Return what a Seller's policy says, by name, or None for an unknown Seller."""
        key = self._keys.seller(seller_id).seller
        values = await self._calls.nodes.of(key).command("HMGET", key, "id", *POLICY_FIELDS)
        if values[0] is None:
            return None
        pairs = zip(POLICY_FIELDS, values[1:], strict=True)
        return {name: value.decode() for name, value in pairs if value}

    async def _run(self, verb: str, seller_id: str, opportunity: str) -> list[Any]:
        partition = self._keys.seller(seller_id).partition
        keys = ListKeys(partition.due, partition.feed)
        ref = self._keys.ref(seller_id, opportunity)
        return await self._calls.run(verb, partition, keys, (), {ref: ()})
