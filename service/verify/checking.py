"""The checks of `verify`, beside a live service.

What one Opportunity, one lease or one hold says of itself is judged in one atomic step inside
Redis. What many keys add up to is judged by `bookings` and `counts`, in rounds: only what is
wrong in the same way again is a difference.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Container, Iterable, Iterator, Mapping, Sequence
from typing import Final

from service.ledger.auditor import HOLDS_LIMIT, Audit, Auditor, Bookings, Wrong
from service.ledger.replies import UNREADABLE
from service.ledger.scanner import PORTION, Lease, Name, Survey
from service.verify import counts as counting
from service.verify.bookings import Accounts, is_doubtful
from service.verify.counts import Doubts, Surpluses, Tally
from service.verify.progress import Progress
from service.verify.report import CHANGING, UNREADABLE_ORDER, Report

OPPORTUNITIES_AT_ONCE: Final = 200_000
"""Where there are more, one partition is looked at after the other: their totals are in memory."""

_AT_ONCE: Final = 20
"""Opportunities whose holds are read at the same time, a portion of each."""

_LOOKS: Final = 3
"""How often many holds are added up from outside before Redis does it in one step."""

_MOST_ROUNDS: Final = 8
_PAUSE_SECONDS: Final = 1.0
_KINDS: Final = {"n": "named", "p": "proposed"}


class Verifier:
    """Looks at everything once. It raises `StoreError` when Redis does not answer."""

    def __init__(
        self,
        survey: Survey,
        auditor: Auditor,
        report: Report,
        progress: Progress | None = None,
        *,
        opportunities_at_once: int = OPPORTUNITIES_AT_ONCE,
        holds_limit: int = HOLDS_LIMIT,
    ) -> None:
        """Check what `survey` reads.

        Args:
            survey: Reads what is stored.
            auditor: Judges it inside Redis, and mends it.
            report: Is told what is found, and says whether to mend it.
            progress: Is told how far it is.
            opportunities_at_once: The most whose totals are kept in memory, unless one partition
                alone has more.
            holds_limit: The most holds of one Opportunity that Redis adds up in one step, unless
                they seem wrong from outside.

        """
        self._survey = survey
        self._auditor = auditor
        self._report = report
        self._progress = progress or Progress()
        self._opportunities_at_once = opportunities_at_once
        self._holds_limit = holds_limit
        self._size = 0
        self._epochs: dict[str, str] = {}
        self._said = set[tuple[Name, Wrong]]()

    async def run(self) -> None:
        """Check everything, and mend what the report says is to be mended."""
        self._size = await self._survey.size()
        await self._survey.read_feed_order()
        for part in await self._survey.parts(self._opportunities_at_once):
            accounts = Accounts()
            self._epochs.clear()
            await self._check_sellers(part)
            await self._check_opportunities(part, accounts)
            await self._check_lists(part)
            await self._check_leases(part)
            await self._check_bookings(part, accounts)

    # Sellers, Opportunities and pools, and who holds them

    async def _check_sellers(self, part: int | None) -> None:
        async for names in self._names("Sellers", "seller", part):
            await self._survey.read_sellers(names)
            self._report.checked["read"] += len(names)

    async def _check_opportunities(self, part: int | None, accounts: Accounts) -> None:
        async for names in self._names("Opportunities", "opp", part):
            new = [name for name in dict.fromkeys(names) if name.rest not in self._epochs]
            await self._survey.read_opportunities(new)
            audits = await asyncio.gather(*(self._audit(name) for name in new))
            for name, audit in zip(new, audits, strict=True):
                self._report.checked.update(("read", "booked", "leased", "due", "feed", "allowed"))
                accounts.open(name, audit)
                self._epochs[name.rest] = audit.epoch if audit.is_registered else ""
            held = [pair for pair in zip(new, audits, strict=True) if pair[1].is_held]
            for first in range(0, len(held), _AT_ONCE):
                await asyncio.gather(
                    *(self._check_holds(*pair) for pair in held[first : first + _AT_ONCE])
                )

    async def _audit(self, name: Name, *, limit: int | None = None) -> Audit:
        """Judge an Opportunity in one step; report what is wrong, and mend it."""
        limit = self._holds_limit if limit is None else limit
        audit = Audit.of_nothing(name)
        with self._reading(name.keys.opportunity(name.rest)):
            audit = await self._auditor.audit(name, limit=limit)
            if audit.wrong:
                mends = [wrong.check for wrong in audit.wrong if wrong.check != "allowed"]
                if self._report.repair and mends:
                    await self._auditor.audit(name, mend=True, limit=limit)
                self._say(audit.id, audit.wrong)
        return audit

    async def _check_holds(self, name: Name, audit: Audit) -> None:
        """Check that each live hold of an Opportunity has its lease, and what all add up to."""
        self._report.checked["hold"] += audit.holds
        total = await self._check_each_hold(name, audit)
        for _ in range(_LOOKS):
            if audit.is_whole or total == audit.totals:
                return
            audit = await self._audit(name)
            total = await self._check_each_hold(name, audit)
        # Damaged, or busy all the time: Redis adds up all of them, while calls wait.
        await self._audit(name, limit=0)

    async def _check_each_hold(self, name: Name, audit: Audit) -> Counter[str]:
        total = Counter[str](leased=0, named=0, proposed=0)
        now = await self._survey.last_second()
        async for holds in self._survey.holds(name):
            live = [hold for hold in holds if hold.expires > now]
            names = [Name(name.keys, hold.holder) for hold in live]
            leases = {lease.name: lease for lease in await self._survey.leases(names)}
            for lease_name, hold in zip(names, live, strict=True):
                lease = leases.get(lease_name)
                expected = (audit.epoch, hold.member, hold.expires)
                if not lease or (*lease.members.get(name.rest, ()), lease.expires) != expected:
                    await self._reconcile(lease_name, [(name.rest, hold.member)])
            for hold in holds:
                total["leased"] += hold.spaces
                total[_KINDS.get(hold.kind, "")] += hold.spaces
        return total

    async def _check_lists(self, part: int | None) -> None:
        """Look for holds and entries of the feed of what is not there."""
        async for names in self._names("Hold indices", "holds", part):
            await self._audit_strangers(names)
        async for names in self._survey.told(part):
            await self._audit_strangers(names)

    async def _audit_strangers(self, names: Iterable[Name]) -> None:
        for name in names:
            if name.rest not in self._epochs:
                self._epochs[name.rest] = ""
                await self._audit(name)

    # Leases

    async def _check_leases(self, part: int | None) -> None:
        tally = await self._begin_tally(part)
        async for names in self._names("Leases", "lease", part):
            leases = await self._survey.leases(names)
            now = await self._survey.last_second()
            tally.enter(leases, now)
            self._report.checked.update(read=len(names), expiry=len(leases))
            removals = await self._survey.removals([lease.name for lease in leases])
            for lease, removed in zip(leases, removals, strict=True):
                if removed != lease.expires:
                    await self._reconcile(lease.name)
            await self._check_each_lease([lease for lease in leases if lease.expires > now])
        await self._check_counts(tally, part)

    async def _begin_tally(self, part: int | None) -> Tally:
        """Read what is counted of leases before they are, and hold each count against itself."""
        tally = Tally()
        async for names in self._survey.names("leases", part):
            counts = await self._survey.counts(names)
            tally.begin(counts)
            self._report.checked["counts"] += len(counts)
            for name, count in counts.items():
                if not counting.is_consistent(count):
                    await self._recount(name, {})
        return tally

    async def _check_each_lease(self, leases: Sequence[Lease]) -> None:
        """Check that what leases hold is in the hold indices."""
        held = [
            (lease, ref, member)
            for lease in leases
            for ref, (epoch, member) in lease.members.items()
            if epoch == self._epochs.get(ref)
        ]
        are_held = await self._survey.are_held(
            (Name(lease.name.keys, ref), member, lease.expires) for lease, ref, member in held
        )
        pairs = zip(held, are_held, strict=True)
        for name in {lease.name for (lease, _, _), is_held in pairs if not is_held}:
            await self._reconcile(name)

    async def _reconcile(self, lease: Name, seen: Sequence[tuple[str, str]] = ()) -> None:
        """Judge a lease in one step; report what is wrong, and mend it."""
        wrong: list[Wrong] = []
        with self._reading(lease.keys.lease(lease.rest)):
            wrong = await self._auditor.reconcile(lease, seen)
            if wrong and self._report.repair:
                await self._auditor.reconcile(lease, seen, mend=True)
        # A hold that is not its lease's is found from either side.
        new = [one for one in wrong if (lease, one) not in self._said]
        self._said.update((lease, one) for one in new)
        for one in new:
            where = f"Order {await self._survey.owner(lease)}"
            if one.ref:
                where += f" on {await self._survey.id(Name(lease.keys, one.ref))}"
            self._say(where, [one])

    # The counts of Booking Partners' leases

    async def _check_counts(self, tally: Tally, part: int | None) -> None:
        """Count the leases of those whose count seems wrong again, until it is clear."""
        doubts = Doubts(await self._surpluses(tally))
        for _ in range(counting.MOST_ROUNDS):
            if not doubts:
                return
            # What the leases of one second are off must be the same in another second.
            await asyncio.sleep(_PAUSE_SECONDS)
            doubts.look_again(await self._surpluses(await self._tally(doubts.partners(), part)))
            for name, surpluses in doubts.confirmed().items():
                await self._recount(name, surpluses)
        for name in doubts.partners():
            self._report.leaves_open(f"counts of Booking Partner {name.partner}", CHANGING)

    async def _tally(self, partners: Sequence[Name], part: int | None) -> Tally:
        tally = Tally()
        tally.begin(await self._survey.counts(partners))
        async for names in self._names("Leases again", "lease", part):
            leases = await self._survey.leases(names)
            chosen = [lease for lease in leases if lease.partner in partners]
            tally.enter(chosen, await self._survey.last_second())
        return tally

    async def _surpluses(self, tally: Tally) -> dict[Name, Surpluses]:
        counts = await self._survey.counts(tally.partners())
        return tally.surpluses(counts, await self._survey.last_second())

    async def _recount(self, name: Name, surpluses: Mapping[int, int]) -> None:
        count = (await self._survey.counts([name])).get(name)
        if count is None:
            return
        total = count.get("total", 0)
        by_second = sum(n for second, n in count.items() if second.isdigit())
        is_mended = False
        if self._report.repair:
            # Both change in one step, and their difference stays.
            surplus = total - by_second
            with self._reading(f"{name.keys.name}:leases:{name.rest}"):
                await self._auditor.recount(name, await self._survey.now(), surplus, surpluses)
                is_mended = True
        self._report.differs(
            "counts",
            f"Booking Partner {name.partner}",
            f"{total} leases",
            str(by_second - sum(surpluses.values())),
            mended=is_mended,
        )

    # Orders

    async def _check_bookings(self, part: int | None, accounts: Accounts) -> None:
        """Hold what is booked against the Orders; count again what seems wrong."""
        await self._enter_orders(accounts, part)
        doubts = {
            ref: accounts.found(ref)
            for ref, _, _ in accounts
            if is_doubtful(accounts.found(ref), notes=self._report.repair)
        }
        places = {ref: (name, seller) for ref, name, seller in accounts if ref in doubts}
        places |= accounts.strangers
        doubts |= dict.fromkeys(accounts.strangers)
        for _ in range(_MOST_ROUNDS):
            if not doubts:
                return
            again = await self._count_again([places[ref] for ref in doubts], part)
            found = {ref: again.found(ref) for ref in doubts}
            for ref in [*doubts]:
                before, now = doubts[ref], found[ref]
                if not is_doubtful(now, notes=self._report.repair):
                    del doubts[ref]
                elif before and now and before[1:] == now[1:]:
                    await self._settle(places[ref][0], now)
                    del doubts[ref]
                else:
                    doubts[ref] = now
        for ref in doubts:
            name, seller = places[ref]
            why = UNREADABLE_ORDER if accounts.cannot_tell(seller) else CHANGING
            self._report.leaves_open(f"booked of {await self._survey.id(name)}", why)

    async def _count_again(self, places: Sequence[tuple[Name, str]], part: int | None) -> Accounts:
        accounts = Accounts()
        for first in range(0, len(places), PORTION):
            portion = places[first : first + PORTION]
            audits = await asyncio.gather(*(self._audit_again(name) for name, _ in portion))
            for (name, seller), audit in zip(portion, audits, strict=True):
                accounts.open(name, audit, seller)
        await self._enter_orders(accounts, part, {seller for _, _, seller in accounts})
        return accounts

    async def _audit_again(self, name: Name) -> Audit:
        with self._reading(name.keys.opportunity(name.rest)):
            return await self._auditor.audit(name)
        return Audit.of_nothing(name)

    async def _enter_orders(
        self, accounts: Accounts, part: int | None, sellers: Container[str] | None = None
    ) -> None:
        """Read Orders, all of them or those of some Sellers; of these each counts once."""
        seen = set[Name]()
        stage = "Orders" if sellers is None else "Orders again"
        async for names in self._names(stage, "order", part):
            chosen = names if sellers is None else [n for n in names if n.seller in sellers]
            self._report.checked["read"] += len(names) if sellers is None else 0
            orders = await self._survey.orders(chosen)
            if sellers is not None:
                # A SCAN may find a key twice.
                orders = [order for order in orders if order.name not in seen]
                seen.update(order.name for order in orders if accounts.has_any_of(order))
            accounts.enter(orders, await self._survey.now())

    async def _settle(self, name: Name, found: Bookings) -> None:
        """Report what is wrong with what is booked, and mend it."""
        with self._reading(name.keys.opportunity(name.rest)):
            audit = await self._auditor.audit(name, mend=self._report.repair, bookings=found)
            self._say(audit.id, [wrong for wrong in audit.wrong if wrong.check == "booked"])
            if self._report.repair and found.before is not None:
                self._report.notes(audit.id, found.before)

    # What all checks need

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        """Report a key that cannot be read, and go on."""
        try:
            yield
        except UNREADABLE:
            self._report.cannot_read(key)

    def _say(self, where: str, wrong: Iterable[Wrong]) -> None:
        for check, found, right, _ in wrong:
            is_mended = self._report.repair and check != "allowed"
            self._report.differs(check, where, found, right, mended=is_mended)

    async def _names(self, stage: str, kind: str, part: int | None) -> AsyncIterator[list[Name]]:
        title = stage if part is None else f"Partition {part}: {stage}"
        self._progress.begin(title, self._size)
        async for names in self._survey.names(kind, part):
            self._progress.step(PORTION)
            yield names
