"""Takes out of an Opportunity the offers that are on sale no more, and that no lease was promised.

An offer stays known as long as a lease may have been promised its price (docs/protocol.md,
rule 13), and of a class that somebody always leases that is for ever: where offers are new each
time that they are registered they would pile up.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from service.ledger.keys import PartitionKeys
from service.ledger.scripts import ForgetArguments, ForgetKeys, load_scripts
from service.redis.nodes import Node

MOST_GONE: Final = 200
"""Offers that may be on sale no more before it is found out which of them nobody needs."""

_PORTION: Final = 500
_OFFER: Final = b"offer:"
_HOLDER: Final = re.compile(rb"\d+[a-z](.+)", re.DOTALL)
_ROW_OFFER: Final = re.compile(rb"\n[^\t\n]*\t([^\t\n]*)\t")


async def forget_offers(node: Node, partition: PartitionKeys, ref: str) -> None:
    """Take out what no lease of an Opportunity needs.

    A lease gets no offer any more that is not on sale, so that what none has when they are read,
    one after the other, none will have.

    Args:
        node: Where the Opportunity is.
        partition: Its keys.
        ref: Its name in them.

    Raises:
        StoreError: Redis does not answer.

    """
    flat = await node.command("HGETALL", partition.opportunity(ref))
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    gone = {
        name.removeprefix(_OFFER): b"#" + number
        for name, number in fields.items()
        if name.startswith(_OFFER) and b"\t" not in number
    }
    promised = await _promised(node, partition, ref)
    unneeded = [offer for offer, number in gone.items() if number not in promised]
    arguments = ForgetArguments(fields.get(b"returned", b"0").decode())
    keys, script = ForgetKeys(partition.opportunity(ref)), load_scripts()["forget"]
    for first in range(0, len(unneeded), _PORTION):
        await node.call(script, keys, (*arguments, *unneeded[first : first + _PORTION]))


async def _promised(node: Node, partition: PartitionKeys, ref: str) -> set[bytes]:
    """Return the offers that leases of an Opportunity have, as their texts name them."""
    promised = set[bytes]()
    line = re.compile(rb"\f%b [^\f]*" % re.escape(ref.encode()))
    cursor = b"0"
    while True:
        cursor, flat = await node.command("ZSCAN", partition.holds(ref), cursor, "COUNT", _PORTION)
        holders = [found[1].decode() for found in map(_HOLDER.fullmatch, flat[::2]) if found]
        leases = await asyncio.gather(
            *(node.command("GET", partition.lease(holder)) for holder in holders)
        )
        for lease in filter(None, leases):
            for row in line.findall(lease):
                promised.update(_ROW_OFFER.findall(row))
        if cursor == b"0":
            return promised
