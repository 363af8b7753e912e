"""All that is stored, read in bounded portions beside a live service: what `verify` looks at.

Nothing here keeps more than one portion. What exists is found by SCAN, which misses nothing that
is there from its beginning to its end, and may name a key twice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from service.ledger.keys import FLOOR, SHORT, Keys, PartitionKeys, owner_of
from service.ledger.replies import UNREADABLE, whole_number
from service.redis.errors import MisuseError
from service.redis.nodes import Nodes
from service.text import PRINTABLE

T = TypeVar("T")

PORTION: Final = 1000
"""Keys that one step of a SCAN looks at: less than a millisecond of Redis's time."""

_SECONDS: Final = 1_000_000
_OLDEST_MICROSECONDS: Final = 10**12
"""What is less is in seconds: an earlier release wrote it."""

_ORDER_FIELDS: Final = {b"state", b"status", b"digest", b"at", b"gross"}
_STATES: Final = {"proposed", "booked", "deleted"}
_COLUMN_ENDS: Final = 4
_COUNT: Final = r"[0-9]{1,15}"
_TOTAL: Final = r"-?[0-9]{1,15}"
_REF: Final = r"[\w-]+"
_OPPORTUNITY: Final = {
    "id": PRINTABLE,
    "type": PRINTABLE,
    "seller": _REF,
    "capacity": _COUNT,
    "booked": _TOTAL,
    "leased": _TOTAL,
    "before": _TOTAL,
    "allowed": _COUNT,
    "named": _TOTAL,
    "proposed": _TOTAL,
    "epoch": _COUNT,
    "next": r"[0-9]{0,11}",
    "mended": r"[0-9]{1,17}",
    "modified": rf"-?[0-9]{{1,19}}|=(?:{PRINTABLE})?",
    "offers": _COUNT,
    "returned": _COUNT,
    "pools": rf"{_REF}:[0-9]{{1,9}}(?: {_REF}:[0-9]{{1,9}})*",
    "draws": rf"(?:{_REF}(?: {_REF})*)?",
}
"""What the fields of an Opportunity's hash are, as `lua/shared/opportunity.lua` describes it; the
fields of a later release are nobody's business."""
_OFFER: Final = rf"[0-9]{{1,15}}(?:\t(?:{PRINTABLE})?)?"
_REGISTERED: Final = {"id", "type", "seller", "capacity", "booked", "leased"}
"""What is there of an Opportunity that has a capacity."""
_LENGTH: Final = r"[0-9]{0,10}"
_SELLER: Final = {
    "id": PRINTABLE,
    "anonymous": _LENGTH,
    "named": _LENGTH,
    "proposal": _LENGTH,
    "maximum_hold": _LENGTH,
    "payment_window": _LENGTH,
    "maximum_spaces": _LENGTH,
    "maximum_leases": _LENGTH,
    "tax_mode": rf"(?:{PRINTABLE})?",
}
"""The same of a Seller's, as `lua/shared/policy.lua` describes it."""
_ORDER_NAME: Final = re.compile(rf"{_REF}\|[^|]+\|[0-9A-Fa-f-]{{36}}")

_SECOND: Final = re.compile(rb"[1-9]\d{0,10}")
_COUNTED: Final = {b"total", b"next"}
_MEMBER: Final = re.compile(r"(\d+)([a-z])(.+)", re.DOTALL)
_LEASE: Final = re.compile(rb"(\d) (\d+) (\d+) \d+ ([^|\f]+\|[\w-]{22})((?:\f.*)?)", re.DOTALL)
_KINDS: Final = {b"1": "a", b"2": "n", b"3": "p"}


class Name(NamedTuple):
    """A key of a partition: what follows the kind, such as `<seller>|<partner>|<uuid>`."""

    keys: PartitionKeys
    rest: str

    @property
    def seller(self) -> str:
        """The Seller's name in keys, for a kind that begins with it."""
        return self.rest.partition("|")[0]

    @property
    def partner(self) -> str:
        """The Booking Partner that follows the Seller."""
        return self.rest.partition("|")[2]


class Lease(NamedTuple):
    """A lease as it is written."""

    name: Name
    owner: str
    """As `keys.owner` writes it; `""`: it does not say."""
    expires: int
    """Seconds since 1970; 0: it does not say."""
    members: Mapping[str, tuple[str, str]]
    """By what names the Opportunity: the epoch, and the member of its hold index."""
    seller: str = ""
    """That of its Opportunities, by its name in keys; `""` where they are lost."""

    @property
    def partner(self) -> Name:
        """Whose leases it is counted among."""
        return Name(self.name.keys, f"{self.seller}|{self.owner.partition('|')[0]}")


class Hold(NamedTuple):
    """A member of a hold index; one that cannot be read is of nobody."""

    member: str
    expires: int
    """Seconds since 1970."""
    spaces: int
    kind: str
    holder: str
    """The Order's name in keys."""


class Share(NamedTuple):
    """What an Order has of one Opportunity or pool, in spaces."""

    ref: str
    booked: int
    """Without what was cancelled."""
    ordered: int


class Order(NamedTuple):
    """An Order, an OrderProposal or the stub of a deleted Order."""

    name: Name
    state: str
    first: int
    """Microseconds since 1970: what it books last changed then at the earliest…"""
    last: int
    """… and then at the latest."""
    shares: Sequence[Share]

    @property
    def is_readable(self) -> bool:
        """Whether it says what it has booked."""
        return self.state != ""


class Survey:
    """Reads what is stored, and leaves out what it cannot read.

    Every method raises `StoreError` when Redis does not answer.
    """

    def __init__(
        self,
        nodes: Nodes,
        *,
        key_prefix: str,
        partitions: int,
        unreadable: Callable[[str], object],
    ) -> None:
        """Read what is under keys that begin with `key_prefix`.

        Args:
            nodes: Every node that has keys.
            key_prefix: As the service has it.
            partitions: As the service has it.
            unreadable: Is told each key that cannot be read, each time.

        """
        self._unreadable = unreadable
        self._nodes = nodes
        self._prefix = key_prefix
        keys = Keys(key_prefix, partitions)
        self._partitions, self._feed_order = keys.partitions(), keys.feed_order
        self._key = re.compile(rf"{re.escape(key_prefix)}:\{{(\d+)\}}:(\w+):(.*)", re.DOTALL)

    async def clocks(self) -> list[int]:
        """Return the clock of each node, in microseconds since 1970."""
        every = await self._nodes.every()
        times = await asyncio.gather(*(node.command("TIME") for node in every))
        return [int(seconds) * _SECONDS + int(rest) for seconds, rest in times]

    async def now(self) -> int:
        """Return an instant that has come on every node, in microseconds since 1970."""
        return min(await self.clocks())

    async def last_second(self) -> int:
        """Return the latest second of any node: what expires after it is live everywhere."""
        return max(await self.clocks()) // _SECONDS

    async def size(self) -> int:
        """Return how many keys there are."""
        every = await self._nodes.every()
        return sum(await asyncio.gather(*(node.command("DBSIZE") for node in every)))

    async def parts(self, limit: int) -> list[int | None]:
        """Return the partitions to look at one after the other; None: all of them at once.

        Args:
            limit: The most Opportunities for which all are looked at at once.

        """
        counts = await asyncio.gather(
            *(self._read(int, "ZCARD", keys.feed) for keys in self._partitions)
        )
        return (
            [None]
            if sum(count or 0 for count in counts) <= limit
            else [*range(len(self._partitions))]
        )

    async def names(self, kind: str, part: int | None) -> AsyncIterator[list[Name]]:
        """Yield the keys of a kind in portions, one for each step: it may be empty.

        Args:
            kind: `opp`, `seller`, `holds`, `lease`, `leases` or `order`.
            part: The partition, or None for all.

        """
        word = SHORT.get(kind, kind)
        pattern = f"{self._prefix}:{{{'*' if part is None else part}}}:{word}:*"
        for node in await self._nodes.every():
            cursor = b"0"
            while True:
                cursor, found = await node.command(
                    "SCAN", cursor, "MATCH", pattern, "COUNT", PORTION
                )
                parse = partial(self._name, word)
                names = (
                    self._parsed(raw.decode(errors="backslashreplace"), parse, raw)
                    for raw in found
                )
                yield [name for name in names if name]
                if cursor == b"0":
                    break

    async def read_opportunities(self, names: Sequence[Name]) -> None:
        """Read every field of these Opportunities, and say which hash cannot be read."""
        await asyncio.gather(
            *(self._read(_opportunity, "HGETALL", n.keys.opportunity(n.rest)) for n in names)
        )

    async def read_sellers(self, names: Sequence[Name]) -> None:
        """Read every field of these Sellers, and say which hash cannot be read."""
        await asyncio.gather(
            *(self._read(_seller, "HGETALL", n.keys.seller(n.rest)) for n in names)
        )

    async def read_feed_order(self) -> None:
        """Read how far the feeds can be read, and say if nobody can."""
        await self._read(_score, "ZSCORE", self._feed_order, FLOOR)

    async def holds(self, name: Name) -> AsyncIterator[list[Hold]]:
        """Yield the holds of an Opportunity in portions; those that expired may be among them."""
        async for portion in self._scores(name.keys.holds(name.rest)):
            yield [_hold(member, expires) for member, expires in portion]

    async def told(self, part: int | None) -> AsyncIterator[list[Name]]:
        """Yield what is in the feeds, in portions."""
        for keys in self._partitions if part is None else [self._partitions[part]]:
            async for portion in self._scores(keys.feed):
                yield [Name(keys, ref) for ref, _ in portion if ref]

    async def leases(self, names: Sequence[Name]) -> list[Lease]:
        """Return those of these leases that are there."""
        found = await asyncio.gather(
            *(
                self._read(partial(_lease, name), "GET", name.keys.lease(name.rest))
                for name in names
            )
        )
        leases = [lease for lease in found if lease is not None]
        ofs = [lease.name.keys.opportunity(next(iter(lease.members), "")) for lease in leases]
        sellers = await asyncio.gather(*(self._read(_text, "HGET", key, "seller") for key in ofs))
        return [
            lease._replace(seller=seller or "")
            for lease, seller in zip(leases, sellers, strict=True)
        ]

    async def removals(self, names: Sequence[Name]) -> list[int]:
        """Return when Redis removes these leases, in seconds since 1970; negative: never."""
        return await asyncio.gather(
            *(
                self._nodes.of(name.keys.name).command("EXPIRETIME", name.keys.lease(name.rest))
                for name in names
            )
        )

    async def owner(self, lease: Name) -> str:
        """Return `<partner>|<uuid>` of a lease, or what names it in keys where it is gone."""
        found = await self.leases([lease])
        if not found or not found[0].owner:
            return lease.rest
        return "|".join(owner_of(found[0].owner))

    async def orders(self, names: Sequence[Name]) -> list[Order]:
        """Return these Orders; of one that cannot be read no more than whose it is."""
        found = await asyncio.gather(
            *(
                self._read(partial(_order, name), "HGETALL", f"{name.keys.name}:order:{name.rest}")
                for name in names
            )
        )
        return [
            order or Order(name, "", 0, 0, ()) for name, order in zip(names, found, strict=True)
        ]

    async def counts(self, names: Sequence[Name]) -> dict[Name, dict[str, int]]:
        """Return the counts of Booking Partners' live leases, as their hashes have them."""
        found = await asyncio.gather(
            *(
                self._read(_counts, "HGETALL", f"{name.keys.name}:leases:{name.rest}")
                for name in names
            )
        )
        return {
            name: counts for name, counts in zip(names, found, strict=True) if counts is not None
        }

    async def are_held(self, holds: Iterable[tuple[Name, str, int]]) -> list[bool]:
        """Tell of Opportunities, members and instants whether the hold index has these so."""
        wanted = [*holds]
        scores = await asyncio.gather(
            *(
                self._read(_score, "ZSCORE", name.keys.holds(name.rest), member)
                for name, member, _ in wanted
            )
        )
        return [score == expires for score, (_, _, expires) in zip(scores, wanted, strict=True)]

    async def id(self, name: Name) -> str:
        """Return the `@id` of an Opportunity, or what names it in keys where nobody knows."""
        return await self._read(_text, "HGET", name.keys.opportunity(name.rest), "id") or name.rest

    async def _read(
        self, parse: Callable[[Any], T | None], command: str, key: str, *words: str | bytes | int
    ) -> T | None:
        """Return what a key says, parsed; None: there is nothing, or nobody can read it."""
        try:
            answer = await self._nodes.of(key).command(command, key, *words)
        except MisuseError:
            self._unreadable(key)
            return None
        return None if answer is None else self._parsed(key, parse, answer)

    def _parsed(self, key: str, parse: Callable[[Any], T | None], raw: object) -> T | None:
        try:
            return parse(raw)
        except UNREADABLE:
            self._unreadable(key)
            return None

    async def _scores(self, key: str) -> AsyncIterator[list[tuple[str, int]]]:
        cursor = b"0"
        while True:
            portion: Any = await self._read(tuple, "ZSCAN", key, cursor, "COUNT", PORTION)
            if portion is None:
                return
            cursor, flat = portion
            pairs = (self._parsed(key, _pair, pair) for pair in _fields(flat).items())
            yield [pair for pair in pairs if pair is not None]
            if cursor == b"0":
                return

    def _name(self, word: str, raw: bytes) -> Name | None:
        """Return what a key names; None: it is none of this kind."""
        found = self._key.fullmatch(raw.decode())
        if not found or found[2] != word or int(found[1]) >= len(self._partitions):
            return None
        return Name(self._partitions[int(found[1])], found[3])


def _fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _text(raw: bytes) -> str:
    return raw.decode()


def _score(raw: bytes) -> int:
    return int(float(raw.decode()))


def _pair(pair: tuple[bytes, bytes]) -> tuple[str, int]:
    return pair[0].decode(), _score(pair[1])


def _counts(flat: Sequence[bytes]) -> dict[str, int]:
    counts = {}
    for name, count in _fields(flat).items():
        is_second = _SECOND.fullmatch(name)
        if not (is_second or name in _COUNTED) and name[:1].isalpha():
            continue  # a later release's
        if not (is_second or name in _COUNTED):
            raise ValueError(name)
        counts[name.decode()] = whole_number(count)
    return counts


def _check_fields(patterns: Mapping[str, str], fields: Mapping[str, str]) -> None:
    """Raise ValueError where a field is not as its pattern says; unknown fields are."""
    for name, text in fields.items():
        pattern = _OFFER if name.startswith("offer:") else patterns.get(name)
        if pattern and not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(name)


def _opportunity(flat: Sequence[bytes]) -> None:
    fields = {name.decode(): text.decode() for name, text in _fields(flat).items()}
    _check_fields(_OPPORTUNITY, fields)
    if "capacity" in fields and not fields.keys() >= _REGISTERED:
        raise ValueError(fields)


def _seller(flat: Sequence[bytes]) -> None:
    fields = {name.decode(): text.decode() for name, text in _fields(flat).items()}
    _check_fields(_SELLER, fields)


def _hold(member: str, expires: int) -> Hold:
    found = _MEMBER.fullmatch(member)
    if not found:
        return Hold(member, expires, 0, "", "")
    return Hold(member, expires, int(found[1]), found[2], found[3])


def _lease(name: Name, text: bytes) -> Lease:
    found = _LEASE.fullmatch(text)
    if not found:
        return Lease(name, "", 0, {})
    kind = _KINDS.get(found[1], "")
    members = {}
    for line in found[5].split(b"\f")[1:]:
        ref, _, held = line.partition(b" ")
        epoch, mark, spaces = held.partition(b"#")
        if not mark or not spaces.isdigit():
            epoch, *rows = held.split(b"\n")
            spaces = b"%d" % len(rows)
        members[ref.decode()] = (epoch.decode(), f"{spaces.decode()}{kind}{name.rest}")
    return Lease(name, found[4].decode(), int(found[2]) + int(found[3]), members)


def _order(name: Name, flat: Sequence[bytes]) -> Order:
    if not _ORDER_NAME.fullmatch(name.rest):
        raise ValueError(name)
    fields = _fields(flat)
    state = fields[b"state"].decode()
    if state not in _STATES:
        raise ValueError(state)
    at = int(fields.get(b"at", 0))
    first, last = (
        (at, at)
        if at >= _OLDEST_MICROSECONDS
        else (
            at * _SECONDS,
            (at + 1) * _SECONDS - 1,
        )
    )
    shares = []
    for ref, line in fields.items():
        if ref not in _ORDER_FIELDS:
            head, *rows = line.split(b"\n")
            _, _, pools = head.decode().split("\t")
            if any(row.count(b"\t") != _COLUMN_ENDS for row in rows):
                raise ValueError(line)
            # The last column is empty as long as nobody cancelled.
            booked = sum(row.endswith(b"\t") for row in rows)
            shares.append(Share(ref.decode(), booked, len(rows)))
            for pair in pools.split():
                pool, _, spaces = pair.rpartition(":")
                each = int(spaces)
                shares.append(Share(pool, booked * each, len(rows) * each))
    return Order(name, state, first, last, shares)
