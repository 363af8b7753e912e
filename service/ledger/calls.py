"""How every verb is called: with the keys that it needs, which sometimes only it knows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from service.ledger.keys import DEFAULT_SELLER, FLOOR, Keys, PartitionKeys
from service.ledger.observer import UNOBSERVED, Observer, settled
from service.ledger.replies import Item
from service.ledger.script_refusals import SellerLeftOutError
from service.ledger.scripts import load_scripts
from service.redis.call import Part
from service.redis.errors import NothingSentError
from service.redis.nodes import Nodes

Basket = Mapping[str, Sequence[Item]]
"""OrderItems in order of position, by the `@id` of their Opportunity."""

# A script names the Opportunities whose keys it lacks. Each further try means that another call
# changed the same Order, or the pools of the same Opportunity, in between.
_TRIES: Final = 6

_AGAIN: Final = 0

_CONFIRMED: Final = frozenset({"book", "cancel", "delete"})
"""The verbs that wait for confirmation. What else may be lost is asked for again, or expires."""


class Calls:
    """Runs verbs on the node that has what they touch."""

    def __init__(
        self,
        nodes: Nodes,
        *,
        key_prefix: str,
        partitions: int,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """Run them on `nodes`, on keys that begin with `key_prefix`."""
        self.keys = Keys(key_prefix, partitions)
        self.nodes = nodes
        self.observer = observer
        self._scripts = load_scripts()
        self._has_default = self._has_others = False

    async def default_seller(self) -> str:
        """Return the Seller of a call that names none.

        Whoever was registered once stays so, and nothing is asked about it again.

        Raises:
            SellerLeftOutError: Others have Opportunities, and `DEFAULT_SELLER` is not registered.

        """
        if not self._has_default:
            key, feeds = self.keys.seller(DEFAULT_SELLER).seller, self.keys.partitions()
            exists, *firsts = await asyncio.gather(
                self.nodes.of(key).command("EXISTS", key),
                *(
                    self.nodes.of(keys.name).command("ZRANGE", keys.feed, 0, 1)
                    for keys in (() if self._has_others else feeds)
                ),
            )
            self._has_default = exists > 0
            others = (ref for first in firsts for ref in first if ref != FLOOR)
            self._has_others = self._has_others or any(others)
        if self._has_others and not self._has_default:
            raise SellerLeftOutError
        return DEFAULT_SELLER

    async def run(
        self,
        verb: str,
        partition: PartitionKeys,
        keys: Sequence[str],
        arguments: Sequence[Part],
        groups: Mapping[str, Sequence[Item]],
    ) -> list[Any]:
        """Run a verb, again where it asks for it: with more keys, or to go on with what it began.

        Args:
            verb: Its name.
            partition: Where the Opportunities are.
            keys: Its KEYS, without the pairs of the groups.
            arguments: Its ARGV, without the groups.
            groups: The OrderItems of each Opportunity, by its name in the keys.

        Raises:
            NothingSentError: Redis is away, or too many calls are in each other's way.
            OutcomeUnknownError: The answer was lost, or what it says is not confirmed (rule 21).

        """
        all_keys: list[str] = [*keys]
        all_arguments: list[Part] = [*arguments]
        for ref, items in groups.items():
            all_keys += (partition.opportunity(ref), partition.holds(ref))
            all_arguments += (ref, len(items))
            for item in items:
                all_arguments += item
        way = self.nodes.confirming if verb in _CONFIRMED else self.nodes.of
        node, script = way(partition.name), self._scripts[verb]
        tries = 0
        while tries < _TRIES:
            with self.observer.script(verb):
                told = await node.call(script, all_keys, all_arguments)
            reply: list[Any] = settled(told, self.observer)
            if reply[0] != _AGAIN:
                return reply
            refs = [raw.decode() for raw in reply[1:]]
            # Without any, it dropped as many expired holds as one run may, and did nothing else.
            tries += bool(refs)
            for ref in refs:
                all_keys += (partition.opportunity(ref), partition.holds(ref))
                all_arguments += (ref, 0)
        raise NothingSentError("too many calls change the same Order at once")
