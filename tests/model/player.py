"""The real side of the game: the ledger over an embedded Valkey, on a clock that the test owns."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Coroutine, Sequence
from datetime import datetime
from typing import Any, TypedDict, TypeVar

from msgspec import UNSET, UnsetType

from service.errors import OpenBookingError
from service.ledger import Entry, Ledger
from service.ledger.auditor import Auditor
from service.ledger.keys import Keys
from service.ledger.scanner import Survey
from service.ledger.scripts import SIGNATURES, source_of
from service.ledger.store import Store
from service.ledger.sweep import DueList
from service.model import (
    Lease,
    Offer,
    OpportunityRegistration,
    Order,
    OrderItem,
    OrderProposal,
    OrderQuote,
    PriceSpecification,
)
from service.redis.batcher import Batcher, Script
from service.redis.connect import connection_factory
from service.settings import Settings
from service.sweeper import Sweeper
from service.verify import Report, Verifier
from tests.model.words import RESERVED, Answer, Item, Price, Refused
from tests.servers import RedisServer
from tests.wire import Wire

Result = TypeVar("Result")

_TIME = "call('TIME')"
_FAKE_TIME = "call('LRANGE', 'clock', 0, 1)"


@functools.cache
def on_fake_time() -> dict[str, Script]:
    """Return every script with its one clock replaced by a key that the test writes."""
    sources = {verb: source_of(verb) for verb in SIGNATURES}
    assert all(source.count(_TIME) <= 1 for source in sources.values())
    return {
        verb: Script.of(verb, source.replace(_TIME, _FAKE_TIME))
        for verb, source in sources.items()
    }


class _Places(TypedDict):
    """Where everything is kept."""

    key_prefix: str
    partitions: int


class FakeDueList(DueList):
    """The sweeper's list, on the test's clock."""

    async def now(self) -> float:
        """Return the test's clock in seconds."""
        seconds, microseconds = await self._nodes.of("clock").command("LRANGE", "clock", 0, 1)
        return int(seconds) + int(microseconds) / 1_000_000


class FakeSurvey(Survey):
    """What `verify` reads, on the test's clock."""

    async def clocks(self) -> list[int]:
        """Return the test's clock in microseconds."""
        seconds, microseconds = await self._nodes.of("clock").command("LRANGE", "clock", 0, 1)
        return [int(seconds) * 1_000_000 + int(microseconds)]


class Player:
    """Plays the contract's calls, and says what is answered as the model does."""

    def __init__(self, runner: asyncio.Runner, server: RedisServer, settings: Settings) -> None:
        """Begin on an empty server."""
        self._runner = runner
        self._url = server.url
        self._wire = Wire(server.socket)
        self._settings = settings
        self._keys = Keys(settings.key_prefix, settings.partitions)
        self._scripts = on_fake_time()
        self._open()
        self.command("FLUSHALL")

    def close(self) -> None:
        """End without a trace in memory, as a replica does that stops."""
        self.run(self._batcher.close())
        self._wire.close()

    def restart(self, *, forgets_scripts: bool) -> None:
        """Go on as another replica, maybe on a server that forgot its scripts."""
        if forgets_scripts:
            self.command("SCRIPT", "FLUSH")
        self.run(self._batcher.close())
        self._open()

    def _open(self) -> None:
        places = self._places()
        self._batcher = Batcher(connection_factory(self._url))
        store = Store(self._batcher, **places)
        store.orders._calls._scripts = self._scripts
        self.ledger = Ledger(store, self._settings)
        self._due = FakeDueList(self._batcher, **places)
        self._due._script = self._scripts["sweep"]

    def _places(self) -> _Places:
        return _Places(key_prefix=self._settings.key_prefix, partitions=self._settings.partitions)

    def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Run a call of the ledger to its end."""
        try:
            return self._runner.run(call)
        except OpenBookingError as error:
            items = [
                _item(item) for item in error.ordered_item or () if isinstance(item, OrderItem)
            ]
            raise Refused(type(error).__name__, items, error.retry_after) from error

    def command(self, *words: str | int) -> Any:
        """Send Redis a command."""
        return self.commands([words])[0]

    def commands(self, commands: Sequence[tuple[str | int, ...]]) -> list[Any]:
        """Send Redis commands, all at once."""
        return self._wire.commands(commands)

    # Calls whose answers are no OrderItems

    def register(self, seller: str, entry: OpportunityRegistration) -> str:
        """Register one entry; return how it is counted."""

        async def entries() -> AsyncIterator[Entry]:
            yield 0, entry

        counts = self.run(self.ledger.register(entries(), seller=seller))
        outcomes = ("registered", "updated", "unchanged", "failed")
        [outcome] = [name for name in outcomes if getattr(counts, name)]
        return outcome

    def inspect(self, seller: str, ids: Sequence[str]) -> dict[str, tuple[int, int, int, int]]:
        """Return capacity, booked, leased and free of what is registered."""
        found = self.run(self.ledger.inspect(seller, ids))
        return {
            one.id: (
                _known(one.maximum_uses, one.maximum_attendee_capacity),
                one.booked,
                one.leased,
                _known(one.remaining_uses, one.remaining_attendee_capacity),
            )
            for one in found
        }

    # Time

    def set_clock(self, microseconds: int) -> None:
        """Make it so late for every script."""
        seconds, rest = divmod(microseconds, 1_000_000)
        self.commands([("DEL", "clock"), ("RPUSH", "clock", seconds, rest)])

    def remove_expired(self, now: int) -> None:
        """Remove what Redis would remove by itself, were it as late as for the scripts."""
        keys = [key.decode() for key in self.command("KEYS", "*")]
        expiries = self.commands([("EXPIRETIME", key) for key in keys])
        over = [key for key, at in zip(keys, expiries, strict=True) if 0 < at <= now]
        self.commands([("DEL", key) for key in over])

    def sweep(self) -> None:
        """Let a sweeper do all that is due."""
        self.run(Sweeper(self._due).sweep())

    # The state behind the answers

    def verify(self) -> list[str]:
        """Return what `verify` finds wrong with all that is stored."""
        places = self._places()
        auditor = Auditor(self._batcher, **places)
        auditor._calls._scripts = self._scripts
        found: list[str] = []
        report = Report(found.append, repair=False)
        survey = FakeSurvey(self._batcher, **places, unreadable=report.cannot_read)
        self.run(Verifier(survey, auditor, report).run())
        return found

    def look_inside(
        self, seller: str, ids: Sequence[str], now: int
    ) -> list[tuple[int, int, int] | None]:
        """Return capacity, booked and leased of each, without a script that would tidy up first.

        What is leased is the sum over the live holds; the total that is kept beside them has to
        be the sum over all.
        """
        partition = self._keys.seller(seller).partition
        refs = [self._keys.ref(seller, id_) for id_ in ids]
        fields = ("capacity", "booked", "leased")
        replies = self.commands(
            [
                *(("HMGET", partition.opportunity(ref), *fields) for ref in refs),
                *(("ZRANGE", partition.holds(ref), 0, -1, "WITHSCORES") for ref in refs),
            ]
        )
        hashes, holds = replies[: len(refs)], replies[len(refs) :]
        found: list[tuple[int, int, int] | None] = []
        for (capacity, booked, leased), flat in zip(hashes, holds, strict=True):
            spaces = [_first_number(member.decode()) for member in flat[::2]]
            live = [n for n, at in zip(spaces, flat[1::2], strict=True) if int(at) > now]
            assert sum(spaces) == int(leased or 0), "the total is not the sum of the holds"
            found.append((int(capacity), int(booked), sum(live)) if capacity else None)
        return found

    def places_in_feed(self, seller: str, ids: Sequence[str]) -> list[int]:
        """Return where each Opportunity is in the feed; 0: it is not there."""
        feed = self._keys.seller(seller).partition.feed
        refs = [self._keys.ref(seller, id_) for id_ in ids]
        return [int(score or 0) for score in self.command("ZMSCORE", feed, *refs)]


def answer_of(
    body: OrderQuote | OrderProposal | Order,
    *,
    replayed: bool = False,
    retry_after: int | None = None,
) -> Answer:
    """Return what a body says, as the model says it."""
    lease = UNSET if isinstance(body, Order) else body.lease
    status = body.order_proposal_status if isinstance(body, OrderProposal) else ""
    return Answer(
        [_item(item) for item in body.ordered_item],
        _price(body.total_payment_due),
        instant_of(lease),
        _short(status),
        replayed,
        retry_after,
    )


def instant_of(lease: Lease | UnsetType) -> int:
    """Return when a lease expires, in seconds since 1970; 0: there is none."""
    return int(datetime.fromisoformat(lease.lease_expires).timestamp()) if lease else 0


def _item(item: OrderItem) -> Item:
    opportunity, offer = item.ordered_item, item.accepted_offer
    error = item.error[0] if item.error else None
    uses, attendees = (
        (opportunity.remaining_uses, opportunity.remaining_attendee_capacity)
        if opportunity
        else (UNSET, UNSET)
    )
    remaining = uses if attendees is UNSET else attendees
    is_reserved = error and error.type == RESERVED
    return Item(
        item.position,
        opportunity.id if opportunity else "",
        offer.id if offer else "",
        item.id or "",
        (opportunity.type or "") if opportunity else "",
        _price(offer),
        None if remaining is UNSET else remaining,
        _short(item.order_item_status or ""),
        error.type if error else "",
        _first_number(error.description) if error and is_reserved else None,
    )


def _price(priced: Offer | PriceSpecification | UnsetType) -> Price:
    if not priced or priced.price is UNSET:
        return None
    return priced.price, priced.price_currency or ""


def _short(status: str) -> str:
    return status.removeprefix("https://openactive.io/")


def _known(uses: int | UnsetType, attendees: int | UnsetType) -> int:
    """Return what is counted in one of the two ways."""
    number = attendees if uses is UNSET else uses
    assert number is not UNSET
    return number


def _first_number(text: str) -> int:
    [number] = re.findall(r"\d+", text)[:1]
    return int(number)
