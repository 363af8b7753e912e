"""What a person wants to see at a glance: many Opportunities, their holds, what lapses next.

It only reads, in bounded portions: what exists is found by the feeds and the due lists.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import math
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import chain
from typing import Final, NamedTuple

from service.ledger.keys import FLOOR, POOL, Keys, PartitionKeys, owner_of
from service.ledger.replies import UNREADABLE, stored_text, whole_number
from service.redis.call import Part, Reply
from service.redis.errors import MisuseError
from service.redis.nodes import Nodes, earliest_microseconds

# Holds of one Opportunity that have expired and are not settled yet: more wait for the sweeper.
_UNSETTLED: Final = 1000

# Bytes of a lease in which its head ends, however long the Booking Partner's name is.
_LEASE_HEAD: Final = 1023

# Entries of a due list that are read at once where the first few do not tell enough.
_PORTION: Final = 100

_MEMBER: Final = re.compile(r"\A(\d+)([a-z])(.+)\Z", re.DOTALL)


class OpportunityRow(NamedTuple):
    """The ledger of one Opportunity, in spaces; expired holds do not count (rule 12)."""

    seller: str
    id: str
    type: str
    capacity: int
    booked: int
    anonymous: int
    named: int
    proposed: int
    free: int
    """Of itself and of the pools that it draws on (rule 28)."""


class HoldRow(NamedTuple):
    """What one Order holds of one Opportunity."""

    seller: str
    opportunity: str
    kind: str
    """`a` of an anonymous lease, `n` of a named one, `p` of a proposal's."""
    spaces: int
    expires: int
    """Seconds since 1970."""
    partner: str
    uuid: str


class Window(NamedTuple):
    """The Opportunities that changed last."""

    now: float
    """Redis's clock, in seconds since 1970."""
    rows: list[OpportunityRow]
    total: int
    """How many there are in all; those that were withdrawn of late are counted in."""


class Detail(NamedTuple):
    """One Opportunity and who holds it."""

    now: float
    row: OpportunityRow | None
    """None: it is not registered."""
    holds: list[HoldRow]
    """The first to expire come first."""
    hold_count: int


class Lapsing(NamedTuple):
    """The live holds that expire next."""

    now: float
    holds: list[HoldRow]


class _Place(NamedTuple):
    """Where an Opportunity is kept."""

    partition: PartitionKeys
    ref: str


class _Hold(NamedTuple):
    """One member of a hold index."""

    place: _Place
    seller: str
    opportunity: str
    spaces: int
    kind: str
    holder: str
    expires: int

    @classmethod
    def parse(
        cls, place: _Place, seller: str, opportunity: str, member: bytes, expires: bytes
    ) -> _Hold:
        """Read a member, as `lua/shared/opportunity.lua` describes it."""
        [(spaces, kind, holder)] = _MEMBER.findall(member.decode())
        return cls(place, seller, opportunity, int(spaces), kind, holder, int(float(expires)))

    def row(self, lease: bytes) -> HoldRow:
        """Return it with the Booking Partner and UUID that its lease, or the head of it, names."""
        partner, uuid = owner_of(lease.partition(b"\f")[0].decode().split(" ", 4)[4])
        return HoldRow(
            self.seller, self.opportunity, self.kind, self.spaces, self.expires, partner, uuid
        )


class Overview:
    """Reads many Opportunities at once; nothing that it does changes anything.

    Every method raises `StoreError` when Redis does not answer.
    """

    def __init__(self, nodes: Nodes, *, key_prefix: str, partitions: int) -> None:
        """Read what the service keeps on `nodes` under keys that begin with `key_prefix`."""
        self._nodes = nodes
        self._keys = Keys(key_prefix, partitions)
        self._partitions = self._keys.partitions()

    async def window(self, limit: int) -> Window:
        """Return the Opportunities that changed last, evenly from all partitions.

        Args:
            limit: How many at most.

        """
        clock, *found = await asyncio.gather(
            self.clock(),
            *(self._command(keys, "ZCARD", keys.feed) for keys in self._partitions),
        )
        counts = [count or 0 for count in found]
        shares = [
            (keys, share)
            for keys, share in zip(self._partitions, _shares(counts, limit), strict=True)
            if share
        ]
        refs = await asyncio.gather(
            *(self._command(keys, "ZREVRANGE", keys.feed, 0, share - 1) for keys, share in shares)
        )
        places = [
            _Place(keys, ref.decode(errors="backslashreplace"))
            for (keys, _), told in zip(shares, refs, strict=True)
            for ref in told or ()
            if ref != FLOOR
        ]
        rows = [row for row in await self._rows(places, clock) if row]
        total = sum(counts)
        return Window(clock, rows, len(rows) if total <= limit else total)

    async def opportunity(self, seller: str, id_: str, limit: int) -> Detail:
        """Return one Opportunity with its live holds.

        Args:
            seller: The Seller's `@id`.
            id_: The Opportunity's `@id`.
            limit: How many holds at most.

        """
        place = self._place(seller, id_)
        clock = await self.clock()
        holds_key = place.partition.holds(place.ref)
        [row], members, count = await asyncio.gather(
            self._rows([place], clock),
            self._live(place, clock, limit),
            self._command(place.partition, "ZCOUNT", holds_key, f"({int(clock)}", "+inf"),
        )
        held = [_Hold.parse(place, seller, id_, *member) for member in members]
        return Detail(clock, row, await self._named(held), count or 0)

    async def find(self, sellers: Iterable[str], id_: str) -> list[OpportunityRow]:
        """Return the Opportunities of these Sellers that have this `@id`."""
        places = [self._place(seller, id_) for seller in sellers]
        rows = await self._rows(places, await self.clock())
        return [row for row in rows if row]

    async def lapsing(self, limit: int) -> Lapsing:
        """Return the live holds that expire next, the first first; a lease's, not its pools'.

        Args:
            limit: How many at most.

        """
        clock = await self.clock()
        first: list[_Hold] = []
        places: list[_Place] = []
        # What is due is due no later than its holds expire, and often earlier.
        async for due, place in self._by_due(limit):
            if len(first) == limit and first[-1].expires <= due:
                break
            places.append(place)
            if len(places) == limit:
                first = _earliest(limit, first, await self._held(places, clock, limit))
                places = []
        first = _earliest(limit, first, await self._held(places, clock, limit))
        return Lapsing(clock, await self._named(first))

    async def inspect(
        self, keys: PartitionKeys, refs: Sequence[str], clock: float
    ) -> tuple[list[OpportunityRow], int]:
        """Return Opportunities by their names in the keys, and how many live holds they have.

        Args:
            keys: The partition that they are in.
            refs: Their names; those that are not registered are left out.
            clock: Redis's, in seconds since 1970.

        """
        rows, counts = await asyncio.gather(
            self._rows([_Place(keys, ref) for ref in refs], clock),
            asyncio.gather(
                *(
                    self._command(keys, "ZCOUNT", keys.holds(ref), f"({int(clock)}", "+inf")
                    for ref in refs
                )
            ),
        )
        return [row for row in rows if row], sum(count or 0 for count in counts)

    async def clock(self) -> float:
        """Return Redis's clock in seconds since 1970; with several nodes, the slowest one's."""
        return await earliest_microseconds(self._nodes) / 1_000_000

    async def _command(self, keys: PartitionKeys, *parts: Part) -> Reply:
        """Return what Redis says; None where a key has another type than it should."""
        try:
            return await self._nodes.of(keys.name).command(*parts)
        except MisuseError:
            return None

    def _place(self, seller: str, id_: str) -> _Place:
        return _Place(self._keys.seller(seller).partition, self._keys.ref(seller, id_))

    async def _live(self, place: _Place, clock: float, limit: int) -> list[tuple[bytes, bytes]]:
        """Return the members of a hold index that have not expired, and when they do."""
        flat = await self._command(
            place.partition,
            *("ZRANGEBYSCORE", place.partition.holds(place.ref), f"({int(clock)}", "+inf"),
            *("WITHSCORES", "LIMIT", 0, limit),
        )
        # One that cannot be read is nobody's.
        return [pair for pair in _pairs(flat or ()) if _is_hold(*pair)]

    async def _by_due(self, portion: int) -> AsyncIterator[tuple[float, _Place]]:
        """Yield what is due in any partition, and when, the earliest first."""
        ahead: list[tuple[float, bytes, int]] = []
        done, left = [0] * len(self._partitions), [0] * len(self._partitions)

        async def read_on(number: int, count: int) -> None:
            keys, start = self._partitions[number], done[number]
            flat = await self._command(
                keys, "ZRANGE", keys.due, start, start + count - 1, "WITHSCORES"
            )
            left[number] = len(flat or ()) // 2
            done[number] += left[number]
            for ref, due in _pairs(flat or ()):
                heapq.heappush(ahead, (float(due), ref, number))

        await asyncio.gather(*(read_on(number, portion) for number in range(len(done))))
        while ahead:
            due, ref, number = heapq.heappop(ahead)
            yield due, _Place(self._partitions[number], ref.decode(errors="backslashreplace"))
            left[number] -= 1
            if not left[number]:
                await read_on(number, _PORTION)

    async def _held(self, places: Sequence[_Place], clock: float, limit: int) -> list[_Hold]:
        """Return the first live holds of each of these Opportunities."""
        rows = await self._rows(places, clock)
        held = await asyncio.gather(*(self._live(place, clock, limit) for place in places))
        return [
            _Hold.parse(place, row.seller, row.id, *member)
            for place, row, members in zip(places, rows, held, strict=True)
            if row and row.type != POOL
            for member in members
        ]

    async def _named(self, holds: Sequence[_Hold]) -> list[HoldRow]:
        """Return holds with what their leases say of whose they are; not those that just ended."""
        heads = await asyncio.gather(
            *(
                self._command(keys, "GETRANGE", keys.lease(hold.holder), 0, _LEASE_HEAD)
                for hold in holds
                for keys in (hold.place.partition,)
            )
        )
        rows = []
        for hold, head in zip(holds, heads, strict=True):
            with contextlib.suppress(*UNREADABLE):
                rows.extend([hold.row(head)] if head else [])
        return rows

    async def _rows(self, places: Sequence[_Place], clock: float) -> list[OpportunityRow | None]:
        """Return the ledger of Opportunities, in their order; None where one is not registered."""
        ledgers = await self._ledgers(places)
        pools = {pool for ledger in ledgers.values() for pool, _ in ledger.draws_on()}
        ledgers |= await self._ledgers(pools - ledgers.keys())
        sellers = await self._sellers(ledgers.values())
        expired = await self._expired(ledgers.values(), clock)
        free = {place: ledger.free(expired[place]) for place, ledger in ledgers.items()}
        return [
            ledger.row(
                sellers[ledger.seller],
                expired[place],
                min(
                    [free[place]]
                    + [free.get(pool, 0) // spaces for pool, spaces in ledger.draws_on()]
                ),
            )
            if (ledger := ledgers.get(place))
            else None
            for place in places
        ]

    async def _ledgers(self, places: Iterable[_Place]) -> dict[_Place, _Ledger]:
        """Return what Redis has of Opportunities that are registered and can be read."""
        wanted = list(places)
        found = await asyncio.gather(
            *(
                self._command(keys, "HMGET", keys.opportunity(ref), *_FIELDS)
                for keys, ref in wanted
            )
        )
        ledgers = {
            place: _Ledger(place, *values)
            for place, values in zip(wanted, found, strict=True)
            if values and values[0] is not None
        }
        return {place: ledger for place, ledger in ledgers.items() if ledger.is_readable}

    async def _sellers(self, ledgers: Iterable[_Ledger]) -> dict[bytes, str]:
        """Return the `@id` of the Sellers of Opportunities, by what names them in keys."""
        keys = {ledger.seller: ledger.place.partition for ledger in ledgers}
        ids = await asyncio.gather(
            *(
                self._command(partition, "HGET", partition.seller(ref.decode()), "id")
                for ref, partition in keys.items()
            )
        )
        return {
            ref: (id_ or b"").decode(errors="backslashreplace")
            for ref, id_ in zip(keys, ids, strict=True)
        }

    async def _expired(
        self, ledgers: Iterable[_Ledger], clock: float
    ) -> defaultdict[_Place, Counter[str]]:
        """Return the spaces, by kind, of holds that have expired and still count as leased."""
        places = [ledger.place for ledger in ledgers if ledger.next and int(ledger.next) <= clock]
        found = await asyncio.gather(
            *(
                self._command(
                    keys,
                    *("ZRANGEBYSCORE", keys.holds(ref), "-inf", int(clock)),
                    *("LIMIT", 0, _UNSETTLED),
                )
                for keys, ref in places
            )
        )
        expired = defaultdict[_Place, Counter[str]](Counter)
        for place, members in zip(places, found, strict=True):
            for member in filter(_is_hold, members or ()):
                hold = _Hold.parse(place, "", "", member, b"0")
                expired[place][hold.kind] += hold.spaces
        return expired


class _Ledger(NamedTuple):
    """The fields of a registered Opportunity or pool as Redis has them."""

    place: _Place
    capacity: bytes
    id: bytes
    type: bytes
    seller: bytes
    booked: bytes
    leased: bytes
    named: bytes | None
    proposed: bytes | None
    next: bytes | None
    pools: bytes | None

    @property
    def is_readable(self) -> bool:
        """Whether its texts and numbers are such."""
        try:
            for text in (self.id, self.type, self.seller):
                stored_text(text)
            for number in (self.capacity, self.booked, self.leased):
                whole_number(number)
            for optional in (self.named, self.proposed, self.next):
                whole_number(optional or b"0")
            return all(spaces > 0 for _, spaces in self.draws_on())
        except UNREADABLE:
            return False

    def draws_on(self) -> list[tuple[_Place, int]]:
        """Return the pools, and how many of their spaces each of its own takes."""
        pairs = (pair.split(":") for pair in (self.pools or b"").decode().split())
        return [(_Place(self.place.partition, ref), int(spaces)) for ref, spaces in pairs]

    def free(self, expired: Counter[str]) -> int:
        """Return the spaces that are neither booked nor leased, without what has expired."""
        leased = int(self.leased) - expired.total()
        return max(0, int(self.capacity) - int(self.booked) - leased)

    def row(self, seller: str, expired: Counter[str], free: int) -> OpportunityRow:
        """Return it in spaces, without what has expired."""
        named, proposed = int(self.named or 0), int(self.proposed or 0)
        return OpportunityRow(
            seller,
            self.id.decode(),
            self.type.decode(),
            capacity=int(self.capacity),
            booked=int(self.booked),
            anonymous=int(self.leased) - named - proposed - expired["a"],
            named=named - expired["n"],
            proposed=proposed - expired["p"],
            free=free,
        )


_FIELDS: Final = _Ledger._fields[1:]


def _is_hold(member: bytes, expires: bytes = b"0") -> bool:
    try:
        return bool(_MEMBER.match(member.decode())) and float(expires) < math.inf
    except ValueError:
        return False


def _shares(counts: Sequence[int], limit: int) -> list[int]:
    """Share out a limit: nobody gets more than it has, the others as much as each other."""
    shares = [0] * len(counts)
    for nth, index in enumerate(sorted(range(len(counts)), key=counts.__getitem__)):
        shares[index] = min(counts[index], limit // (len(counts) - nth))
        limit -= shares[index]
    return shares


def _earliest(limit: int, *holds: Iterable[_Hold]) -> list[_Hold]:
    return heapq.nsmallest(limit, chain(*holds), key=lambda hold: (hold.expires, hold.holder))


def _pairs(flat: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
