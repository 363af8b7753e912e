"""What is decided inside Redis when `verify` doubts, and what it has mended there.

Each of these calls is one atomic step on one Opportunity, one lease or one count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Self

from service.ledger.calls import Calls
from service.ledger.scanner import Name
from service.ledger.scripts import (
    AuditArguments,
    ListKeys,
    ReconcileArguments,
    ReconcileKeys,
    RecountArguments,
    RecountKeys,
)
from service.redis.nodes import Nodes

HOLDS_LIMIT: Final = 2_000
"""Holds that are added up in one step: a few milliseconds, for which all calls wait."""


class Wrong(NamedTuple):
    """Something that is not as it should be."""

    check: str
    """What the scripts call it."""
    found: str
    right: str
    ref: str = ""
    """What names the Opportunity in keys, where another than that of the call is meant."""


class Bookings(NamedTuple):
    """What was found out about the bookings of an Opportunity."""

    seen: int
    """When, in microseconds since 1970, by Redis's clock."""
    surplus: int
    """Spaces that `booked` has too many; fewer than none: too few."""
    before: int | None
    """Spaces that no Order accounts for; None: that is noted already."""


class Audit(NamedTuple):
    """One Opportunity or pool at an instant."""

    at: int
    """Microseconds since 1970, by Redis's clock."""
    holds: int
    is_whole: bool
    """Whether the holds were added up: there may be too many."""
    totals: Mapping[str, int]
    """Spaces that are `leased`, and the parts of these that are `named` and `proposed`."""
    seller: str
    """The Seller's name in keys; `""`: the Opportunity is not there at all."""
    id: str
    is_registered: bool
    booked: int
    before: int | None
    """Spaces booked before the first registration; None: an earlier release did not note it."""
    epoch: str
    wrong: list[Wrong]

    @classmethod
    def of_nothing(cls, name: Name) -> Self:
        """Return what is said of one that cannot be read."""
        return cls(
            at=0,
            holds=0,
            is_whole=True,
            totals={},
            seller="",
            id=name.rest,
            is_registered=False,
            booked=0,
            before=0,
            epoch="",
            wrong=[],
        )

    @property
    def is_held(self) -> bool:
        """Whether there are holds that can be anybody's."""
        return self.is_registered and self.holds > 0


class Auditor:
    """Every method raises `StoreError` when Redis does not answer."""

    def __init__(self, nodes: Nodes, *, key_prefix: str, partitions: int) -> None:
        """Judge what is kept on `nodes` under keys that begin with `key_prefix`."""
        self._calls = Calls(nodes, key_prefix=key_prefix, partitions=partitions)

    async def audit(
        self,
        name: Name,
        *,
        mend: bool = False,
        limit: int = HOLDS_LIMIT,
        bookings: Bookings | None = None,
    ) -> Audit:
        """Hold an Opportunity or a pool against its holds and the lists.

        Args:
            name: The Opportunity.
            mend: Whether to write what is right.
            limit: Holds that are added up at most; 0: all.
            bookings: What was found out about its bookings.

        """
        seen = bookings or Bookings(0, 0, None)
        reply = await self._calls.run(
            "audit",
            name.keys,
            ListKeys(name.keys.due, name.keys.feed),
            AuditArguments(
                limit,
                int(mend),
                seen.seen or "",
                seen.surplus,
                "" if seen.before is None else seen.before,
            ),
            {name.rest: ()},
        )
        _, at, holds, said, *wrong = reply
        texts = [text.decode() for text in said]
        fields = dict(zip(texts[::2], texts[1::2], strict=True))
        return Audit(
            int(at),
            holds,
            not 0 < limit < holds,
            {total: int(fields.get(total) or 0) for total in ("leased", "named", "proposed")},
            fields.get("seller", ""),
            fields.get("id", name.rest),
            "capacity" in fields,
            int(fields.get("booked", 0)),
            int(fields["before"]) if "before" in fields else None,
            fields.get("epoch", "0"),
            [Wrong(*(text.decode() for text in one)) for one in wrong],
        )

    async def reconcile(
        self, lease: Name, seen: Sequence[tuple[str, str]] = (), *, mend: bool = False
    ) -> list[Wrong]:
        """Hold a lease against the hold indices; return what is wrong, or was.

        Args:
            lease: The lease; it need not be there.
            seen: Opportunities, by what names them in keys, and members of their hold indices
                that are this Order's.
            mend: Whether to make the indices say what the lease says.

        """
        parts = [part for pair in seen for part in pair]
        _, *wrong = await self._calls.run(
            "reconcile",
            lease.keys,
            ReconcileKeys(lease.keys.lease(lease.rest), lease.keys.due, lease.keys.feed),
            (*ReconcileArguments(lease.rest, int(mend), len(seen)), *parts),
            {ref: () for ref, _ in seen},
        )
        return [
            Wrong(check.decode(), found.decode(), right.decode(), ref.decode())
            for check, ref, found, right in wrong
        ]

    async def recount(
        self, counts: Name, seen: int, surplus: int, surpluses: Mapping[int, int]
    ) -> None:
        """Mend the count of a Booking Partner's live leases.

        Args:
            counts: Whose: `<seller>|<partner>`.
            seen: When it was found wrong, in microseconds since 1970, by Redis's clock.
            surplus: How many leases its total is above the sum of all seconds.
            surpluses: How many leases it has too many, by the second at which they expire.

        """
        await self._calls.run(
            "recount",
            counts.keys,
            RecountKeys(f"{counts.keys.name}:leases:{counts.rest}"),
            (
                *RecountArguments(seen, surplus),
                *(part for pair in surpluses.items() for part in pair),
            ),
            {},
        )
