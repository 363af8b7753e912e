"""What a Customer does, from their arrival to the end: the calls of one Order UUID."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeVar
from uuid import uuid4

from msgspec import UNSET, DecodeError

from service.client import LeaseService, OrderName, Quoted
from service.errors import OpenBookingError
from service.simulate.clock import Clock, SentHomeError
from service.simulate.customers import Customer, End
from service.simulate.site import Site
from service.simulate.tape import Outcome, Result, Step, Tape

T = TypeVar("T")

PARTNER: Final = "simulate"

_FIRST_FAILURE: Final = 500
_UNREADABLE: Final = "an answer that cannot be read"
_NO_ANSWER: Final = "no answer"
_TAKEN: Final = "OrderAlreadyExistsError"


class Bookings:
    """What the service said to have booked."""

    def __init__(self) -> None:
        self.orders = 0
        self.spaces: Counter[str] = Counter()
        """By Opportunity."""
        self.unknown: list[tuple[OrderName, str, int]] = []
        """Orders whose B had no usable answer, with their Opportunity and spaces."""

    def add(self, opportunity: str, spaces: int) -> None:
        """Count an Order."""
        self.orders += 1
        self.spaces[opportunity] += spaces


class World(NamedTuple):
    """What every Customer has in common."""

    service: LeaseService
    """To be called without patience: what fails is to be seen."""
    site: Site
    clock: Clock
    places: asyncio.Semaphore
    """As many as there are connections."""
    tape: Tape
    bookings: Bookings


class Reply(NamedTuple):
    """How a call ended, in a word."""

    result: Result
    kind: str = ""
    """Of the refusal or the failure."""
    retry_after: int | None = None


class Visit:
    """One Customer in the world."""

    def __init__(self, world: World, customer: Customer) -> None:
        self._world = world
        self._customer = customer
        self._opportunity = world.site.ids[customer.opportunity]
        self._items = world.site.items(customer.opportunity, customer.spaces)
        self._order = OrderName(world.site.seller, PARTNER, str(uuid4()))
        self._due = customer.arrives

    async def run(self) -> None:
        """Come, do what there is to do, and go."""
        try:
            outcome = await self._outcome()
        except SentHomeError:
            outcome = Outcome.SENT_HOME
        self._world.tape.outcomes[outcome] += 1

    async def _outcome(self) -> Outcome:
        coming_back, before_c2, before_b = self._customer.thinks
        reply = await self._come()
        if reply.result is not Result.DONE:
            return _end_of(reply, Outcome.TURNED_AWAY)
        self._world.tape.leases += 1
        if self._customer.comes_back:
            await self._think(coming_back)
            reply = await self._quote(Step.C1)
            if reply.result is not Result.DONE:
                return _end_of(reply, Outcome.TOO_LATE)
        if self._customer.gives_name:
            await self._think(before_c2)
            reply = await self._quote(Step.C2)
            if reply.result is not Result.DONE:
                return _end_of(reply, Outcome.TOO_LATE)
        await self._think(before_b)
        match self._customer.end:
            case End.BOOK:
                return await self._book()
            case End.RELEASE:
                reply = await self._ask(Step.RELEASE, self._release)
                return _end_of(reply, Outcome.RELEASED)
            case End.LAPSE:
                return Outcome.SILENT

    async def _come(self) -> Reply:
        """Lease, or try again when the leases in the way may have lapsed."""
        reply = await self._quote(Step.C1)
        if reply.result is not Result.FAILED:
            self._world.tape.first_answered += 1
            self._world.tape.last_first_answer = self._due
        for _ in range(self._customer.insists):
            if reply.result is not Result.REFUSED or reply.retry_after is None:
                break
            # Not at the very second: those who were refused together do not come as a herd.
            await self._think(reply.retry_after + self._customer.thinks[0])
            reply = await self._quote(Step.C1)
        return reply

    async def _think(self, seconds: float) -> None:
        self._due += seconds
        await self._world.clock.reach(self._due)

    async def _quote(self, step: Step) -> Reply:
        service = self._world.service
        ask = service.quote_template if step is Step.C1 else service.quote
        return await self._ask(step, lambda: ask(self._order, self._items))

    def _release(self) -> Awaitable[int]:
        return self._world.service.release(self._order)

    async def _book(self) -> Outcome:
        bookings, spaces = self._world.bookings, self._customer.spaces
        reply = await self._ask(Step.B, lambda: self._world.service.book(self._order, self._items))
        if reply.result is Result.DONE:
            bookings.add(self._opportunity, spaces)
            return Outcome.BOOKED
        if reply.result is Result.FAILED:
            bookings.unknown.append((self._order, self._opportunity, spaces))
        return _end_of(reply, Outcome.TOO_LATE)

    async def _ask(self, step: Step, call: Callable[[], Awaitable[object]]) -> Reply:
        """Make a call, and write down what it was like, counted from when it was due."""
        world, due = self._world, self._due
        began = world.clock.now()
        world.tape.lags.append(max(0.0, began - due))
        has_to_queue = world.places.locked()
        await world.clock.queue(world.places)
        world.tape.queued += has_to_queue
        try:
            reply = await _reply(call)
        finally:
            world.places.release()
        self._due = world.clock.now()
        # Nobody is early: a timer's tick is no time that the service gained.
        world.tape.add(step, min(due, began), self._due, reply.result)
        if reply.result is Result.REFUSED:
            world.tape.refusals[step, reply.kind] += 1
        elif reply.result is Result.FAILED:
            world.tape.failures[step, reply.kind] += 1
        return reply


async def _reply(call: Callable[[], Awaitable[object]]) -> Reply:
    try:
        answer = await call()
    except OpenBookingError as error:
        return _refusal(error)
    return _quoted(answer) if isinstance(answer, Quoted) else Reply(Result.DONE)


def _quoted(answer: Quoted) -> Reply:
    for item in answer.quote.ordered_item:
        if item.error is not UNSET:
            return Reply(Result.REFUSED, item.error[0].type, answer.retry_after)
    return Reply(Result.DONE)


def _refusal(error: OpenBookingError) -> Reply:
    kind = type(error).__name__
    if isinstance(error.__cause__, DecodeError):
        return Reply(Result.FAILED, _UNREADABLE)
    if error.__cause__ is not None:
        return Reply(Result.FAILED, f"{_NO_ANSWER}: {type(error.__cause__).__name__}")
    if error.status_code >= _FIRST_FAILURE and kind != _TAKEN:
        return Reply(Result.FAILED, f"{error.status_code} {kind}")
    return Reply(Result.REFUSED, kind)


def _end_of(reply: Reply, otherwise: Outcome) -> Outcome:
    return Outcome.FAILED if reply.result is Result.FAILED else otherwise
