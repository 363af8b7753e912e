"""What is stored, read: the one parser of every hash and text that the scripts write.

`lua/shared/` says how each is written. A field is added to an Opportunity by one line here, in
`OpportunityRecord`, and one there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from service.ledger.keys import owner_of

Kind = Literal["anonymous", "named", "proposed"]

KINDS: Final[Mapping[str, Kind]] = {"a": "anonymous", "n": "named", "p": "proposed"}
"""What the letter of a hold says of its lease."""

_STEPS: Final = {"1": "a", "2": "n", "3": "p"}
_ORDER_FIELDS: Final = frozenset({"state", "status", "digest", "at"})
_HOLD: Final = re.compile(r"([0-9]+)([anp])([\w-]+)")
_LEASE: Final = re.compile(r"([123]) ([0-9]+) ([0-9]+) ([0-9]+) ([^|\f]+\|[\w-]{22})")

_SECONDS: Final = 1_000_000
_OLDEST_MICROSECONDS: Final = 10**12
"""What is less is in seconds: an earlier release wrote it."""


class UnreadableError(ValueError):
    """What is stored is not as any release writes it; the message says what it is of."""


class OpportunityRecord(Struct, frozen=True):
    """An Opportunity or a capacity pool, in spaces; what has expired counts until it is dropped.

    The names are those of its hash, of which just these are asked for.
    """

    id: str = ""
    type: str = ""
    seller: str = ""
    """The Seller's name in keys."""
    capacity: int | None = None
    """None: it is not registered."""
    booked: int = 0
    leased: int = 0
    named: int = 0
    proposed: int = 0
    next: int | None = None
    """Seconds since 1970: no hold expires before; None: there is no hold."""
    pools: str = ""

    @classmethod
    def parse(cls, values: Iterable[bytes | None]) -> OpportunityRecord:
        """Read the values of `OPPORTUNITY_FIELDS`.

        Raises:
            UnreadableError: One of them is not what it should be.

        """
        try:
            found = zip(OPPORTUNITY_FIELDS, values, strict=True)
            fields = {name: value.decode() for name, value in found if value}
            return msgspec.convert(fields, cls, strict=False)
        except (msgspec.ValidationError, UnicodeDecodeError) as error:
            raise UnreadableError(f"an Opportunity: {error}") from error

    def draws_on(self) -> Iterator[tuple[str, int]]:
        """Yield the name of each of its pools, and how many of the pool's spaces one takes."""
        return pool_shares(self.pools)

    def free(self, expired: int = 0) -> int:
        """Return the spaces that nobody has (`docs/protocol.md`, rule 1).

        Args:
            expired: Spaces of holds that have expired and still count as leased.

        """
        return max(0, (self.capacity or 0) - self.booked - self.leased + expired)


OPPORTUNITY_FIELDS: Final = OpportunityRecord.__struct_fields__


class HoldRecord(NamedTuple):
    """A member of a hold index."""

    spaces: int
    kind: str
    """A key of `KINDS`."""
    holder: str
    """The Order's name in keys."""
    expires: int
    """Seconds since 1970."""

    @classmethod
    def parse(cls, member: bytes, expires: bytes) -> HoldRecord:
        """Read a member and its score.

        Raises:
            UnreadableError: It is none.

        """
        found = _HOLD.fullmatch(member.decode(errors="replace"))
        if found is None:
            raise UnreadableError(f"a hold: {member!r}")
        return cls(int(found[1]), found[2], found[3], int(float(expires)))


class LeaseRecord(NamedTuple):
    """A lease."""

    kind: str
    """A key of `KINDS`."""
    expires: int
    """Seconds since 1970."""
    partner: str
    uuid: str
    spaces: Mapping[str, tuple[str, int]]
    """The epoch and the spaces of each Opportunity and pool, by its name in keys."""

    @classmethod
    def parse(cls, text: bytes) -> LeaseRecord:
        """Read a lease, or the beginning of one.

        Raises:
            UnreadableError: It is none.

        """
        try:
            head, *lines = text.decode().split("\f")
            found = _LEASE.fullmatch(head)
            if found is None:
                raise UnreadableError(f"a lease: {head!r}")
            partner, uuid = owner_of(found[5])
            spaces = dict(map(_held, lines))
        except ValueError as error:
            raise UnreadableError(f"a lease: {error}") from error
        return cls(_STEPS[found[1]], int(found[2]) + int(found[3]), partner, uuid, spaces)


LEASE_HEAD_BYTES: Final = 1024
"""In so many bytes a lease says whose it is, however long the Booking Partner's name is."""


class Item(NamedTuple):
    """One OrderItem, as a script takes it and as a lease or an Order keeps it."""

    position: int
    opportunity: str
    """`""`: the Broker named none."""
    offer: str
    """Likewise."""
    id: str = ""
    type: str = ""
    """The Opportunity's; `""`: nobody said."""
    price: str = ""
    """`"<price> <currency>"`; `""`: it is not known."""
    status: str = ""
    """`CustomerCancelled` or the like; `""`: confirmed."""


class OrderRecord(NamedTuple):
    """An Order, an OrderProposal, or the stub of a deleted Order."""

    state: str
    """`proposed`, `booked` or `deleted`; `""`: there is none."""
    status: str
    """Of a proposal: `AwaitingSellerConfirmation` or what was decided."""
    at: tuple[int, int]
    """Microseconds since 1970: what it books last changed between these instants."""
    items: list[Item]
    """In order of position."""
    shares: list[tuple[str, int, int]]
    """Names of Opportunities and pools in keys, spaces booked of each now, and ordered."""

    @classmethod
    def parse(cls, flat: Sequence[bytes]) -> OrderRecord:
        """Read a hash: names and values in turn.

        Raises:
            UnreadableError: It is no Order.

        """
        try:
            words = [word.decode() for word in flat]
            fields = dict(zip(words[::2], words[1::2], strict=True))
            items: list[Item] = []
            shares: list[tuple[str, int, int]] = []
            for ref, text in fields.items():
                if ref not in _ORDER_FIELDS:
                    _add_line(ref, text, items, shares)
            at = int(fields.get("at", 0))
        except ValueError as error:
            raise UnreadableError(f"an Order: {error}") from error
        items.sort(key=lambda item: item.position)
        is_rough = at < _OLDEST_MICROSECONDS
        instants = (at * _SECONDS, (at + 1) * _SECONDS - 1) if is_rough else (at, at)
        return cls(fields.get("state", ""), fields.get("status", ""), instants, items, shares)


def pool_shares(text: str) -> Iterator[tuple[str, int]]:
    """Yield names of pools in keys, and how many of the pool's spaces one space takes."""
    for pair in text.split():
        ref, _, spaces = pair.rpartition(":")
        yield ref, int(spaces)


def _held(line: str) -> tuple[str, tuple[str, int]]:
    ref, _, held = line.partition(" ")
    epoch, mark, spaces = held.partition("#")
    if mark and spaces.isdecimal():
        return ref, (epoch, int(spaces))
    epoch, *rows = held.split("\n")
    return ref, (epoch, len(rows))


def _add_line(ref: str, text: str, items: list[Item], shares: list[tuple[str, int, int]]) -> None:
    head, *rows = text.split("\n")
    kind, opportunity, pools = head.split("\t")
    confirmed = 0
    for row in rows:
        position, offer, price, id_, status = row.split("\t")
        items.append(Item(int(position), opportunity, offer, id_, kind, price, status))
        confirmed += not status
    shares.append((ref, confirmed, len(rows)))
    for pool, spaces in pool_shares(pools):
        shares.append((pool, confirmed * spaces, len(rows) * spaces))
