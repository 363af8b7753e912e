"""The Lua scripts: their source, their arguments, and how each is run on the node of its keys.

The KEYS of a script are read from its header; a test holds the arguments below against it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from service.ledger.keys import Keys, OrderKey, PartitionKeys
from service.ledger.records import Item
from service.ledger.refusals import refusal
from service.observer import UNOBSERVED, Observer
from service.redis.call import Part, Script
from service.redis.errors import NothingSentError
from service.redis.nodes import Nodes


class QuoteArguments(NamedTuple):
    """ARGV of `quote`; the groups follow."""

    holder: str
    owner: str
    step: int
    hold_seconds: int
    maximum_hold_seconds: int
    strict: int
    refused: int


class BookArguments(NamedTuple):
    """ARGV of `book`; the groups follow."""

    holder: str
    digest: str
    refused: int
    total: str


class ProposeArguments(NamedTuple):
    """ARGV of `propose`; the groups follow."""

    holder: str
    owner: str
    digest: str
    hold_seconds: int
    maximum_hold_seconds: int
    refused: int
    total: str


class DecideArguments(NamedTuple):
    """ARGV of `decide`; the groups follow."""

    holder: str
    status: str
    grace_seconds: int


class PaymentWindowArguments(NamedTuple):
    """ARGV of `payment_window`; the groups follow."""

    holder: str
    wanted_seconds: int
    payment_window_seconds: int


class ReleaseArguments(NamedTuple):
    """ARGV of `release`; the groups follow."""

    holder: str


class CancelArguments(NamedTuple):
    """ARGV of `cancel`; what is named and the groups follow."""

    named: int


class RegisterArguments(NamedTuple):
    """ARGV of `register`; a pair per offer, and the groups follow."""

    id: str
    kind: str
    seller_ref: str
    seller_id: str
    capacity: int
    booked: int
    modified: str
    pools: str
    offers: int


class AuditArguments(NamedTuple):
    """ARGV of `audit`; the groups follow."""

    limit: int
    mend: int
    seen: int | str
    surplus: int
    before: int | str


class ReconcileArguments(NamedTuple):
    """ARGV of `reconcile`; what was seen and the groups follow."""

    holder: str
    mend: int
    seen: int


class RecountArguments(NamedTuple):
    """ARGV of `recount`; the corrections follow."""

    seen: int


class ClaimArguments(NamedTuple):
    """ARGV of `claim`."""

    holder: str
    hold_milliseconds: int
    modified: int | str
    id: str


class NoArguments(NamedTuple):
    """ARGV of a script that takes the groups alone."""


ARGUMENTS: Final[Mapping[str, type[NamedTuple]]] = {
    "quote": QuoteArguments,
    "propose": ProposeArguments,
    "book": BookArguments,
    "decide": DecideArguments,
    "payment_window": PaymentWindowArguments,
    "release": ReleaseArguments,
    "cancel": CancelArguments,
    "delete": NoArguments,
    "look": NoArguments,
    "register": RegisterArguments,
    "inspect": NoArguments,
    "withdraw": NoArguments,
    "sweep": NoArguments,
    "claim": ClaimArguments,
    "audit": AuditArguments,
    "reconcile": ReconcileArguments,
    "recount": RecountArguments,
}
"""What each script takes, by its verb."""

_CONFIRMED: Final = frozenset({"book", "cancel", "delete"})
"""The verbs that wait for confirmation (`docs/protocol.md`, rule 21)."""

# A script names the Opportunities whose keys it lacks. Each further try means that another call
# changed the same Order, or the pools of the same Opportunity, in between.
_TRIES: Final = 6

_MORE_KEYS: Final = 0
_LAPSED: Final = 9
_USES: Final = re.compile(r"^USES (.+)$", re.MULTILINE)
_KEYS: Final = re.compile(r"^KEYS\n(.*?)^ARGV", re.MULTILINE | re.DOTALL)
_KEY: Final = re.compile(r"^  \[\d+\] +(\w+)", re.MULTILINE)


class Verb(NamedTuple):
    """A script, and the names of its KEYS in front of the pairs of the Opportunities."""

    script: Script
    keys: tuple[str, ...]


class Scripts:
    """Runs scripts, each on the node that has its keys.

    Every method raises `NothingSentError` when Redis is out of reach, and `OutcomeUnknownError`
    when an answer was lost or is not confirmed (`docs/protocol.md`, rules 21 and 25).
    """

    def __init__(self, nodes: Nodes, keys: Keys, observer: Observer = UNOBSERVED) -> None:
        self.nodes = nodes
        self.keys = keys
        self.observer = observer
        self._verbs = {name: load(name) for name in ARGUMENTS}

    async def of_order(
        self,
        verb: str,
        order: OrderKey,
        arguments: Sequence[Part] = (),
        basket: Mapping[str, Sequence[Item]] | None = None,
    ) -> list[Any]:
        """Run a verb of an Order.

        Args:
            verb: Its name.
            order: The Order.
            arguments: Its ARGV, without the groups.
            basket: The OrderItems, in order of position, by the `@id` of their Opportunity.

        Returns:
            The reply, as the header says.

        Raises:
            OpenBookingError: The reply is a refusal.

        """
        keys = self.keys
        seller = keys.seller(order.seller)
        groups = {keys.ref(order.seller, id_): items for id_, items in (basket or {}).items()}
        names = seller.of(order, keys.holder(*order), self._verbs[verb].keys)
        return await self.run(verb, seller.partition, names, arguments, groups)

    async def of_opportunity(self, verb: str, seller: str, opportunity: str) -> list[Any]:
        """Run a verb of one Opportunity, by the Seller's `@id` and its own."""
        partition = self.keys.seller(seller).partition
        groups = {self.keys.ref(seller, opportunity): ()}
        return await self.run(verb, partition, (partition.due, partition.feed), (), groups)

    async def run(
        self,
        verb: str,
        partition: PartitionKeys,
        keys: Sequence[str],
        arguments: Sequence[Part],
        groups: Mapping[str, Sequence[Item]],
    ) -> list[Any]:
        """Run a verb, again with more keys where it asks for them.

        Args:
            verb: Its name.
            partition: Where the Opportunities are.
            keys: Its KEYS, without the pairs of the Opportunities.
            arguments: Its ARGV, without the groups.
            groups: The OrderItems of each Opportunity, by its name in keys.

        Returns:
            The reply, as the header says, without the leases that lapsed.

        Raises:
            OpenBookingError: The reply is a refusal.

        """
        all_keys: list[str] = [*keys]
        all_arguments: list[Part] = [*arguments]
        for ref, items in groups.items():
            all_keys += (partition.opportunity(ref), partition.holds(ref))
            all_arguments += (ref, len(items))
            for item in items:
                all_arguments += (item.position, item.offer, item.id)
        nodes = self.nodes
        node = (nodes.confirming if verb in _CONFIRMED else nodes.of)(partition.name)
        for _ in range(_TRIES):
            with self.observer.script(verb):
                answer = await node.call(self._verbs[verb].script, all_keys, all_arguments)
            reply: list[Any] = self.without_lapsed(answer)
            if reply[0] < _MORE_KEYS:
                raise refusal(*reply)
            if reply[0] > _MORE_KEYS:
                return reply
            for ref in map(bytes.decode, reply[1:]):
                all_keys += (partition.opportunity(ref), partition.holds(ref))
                all_arguments += (ref, 0)
        raise NothingSentError("too many calls change the same Order at once")

    def script(self, verb: str) -> Script:
        """Return a script that is not of one Order or Opportunity."""
        return self._verbs[verb].script

    def without_lapsed(self, reply: Any) -> Any:  # noqa: ANN401 - a script's header says which
        """Return what a script answers, and tell of the leases that it found to have lapsed."""
        if isinstance(reply, list) and reply[0] == _LAPSED:
            self.observer.changed_leases("expired", reply[1])
            return reply[2]
        return reply


def load(verb: str) -> Verb:
    """Read a script, with the shared parts that its header names in front of it."""
    folder = lua_folder()
    text = (folder / f"{verb}.lua").read_text(encoding="utf-8")
    [uses] = _USES.findall(text)
    shared = [folder / "shared" / f"{part}.lua" for part in uses.split(", ")]
    source = "".join([*(part.read_text(encoding="utf-8") for part in shared), text])
    [keys] = _KEYS.findall(text)
    return Verb(Script.of(verb, source), tuple(_KEY.findall(keys)))


def lua_folder() -> Path:
    """Return where the scripts are: in the package once installed, else beside it."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "lua"
    return installed if installed.is_dir() else package.parent / "lua"
