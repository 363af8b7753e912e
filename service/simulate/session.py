"""The session of one Customer: the calls of one Order UUID."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple
from uuid import uuid4

from msgspec import UNSET, DecodeError

from service.client import LeaseService, OrderName, Quoted
from service.errors import OpenBookingError, OrderAlreadyExistsError
from service.simulate.clock import Clock, RunOverError
from service.simulate.customers import Customer, End
from service.simulate.inventory import Inventory
from service.simulate.recorder import (
    BookingStep,
    CallOutcome,
    Recorder,
    SessionOutcome,
    UnconfirmedOrder,
)

_PARTNER: Final = "simulate"
_FIRST_FAILURE: Final = 500


class RunContext(NamedTuple):
    """What all sessions of a run share."""

    service: LeaseService
    """Without repetition, so that every failure is seen."""
    inventory: Inventory
    clock: Clock
    connections: asyncio.Semaphore
    recorder: Recorder


class CallResult(NamedTuple):
    """How a call ended, and why."""

    outcome: CallOutcome
    reason: str = ""
    retry_after: int | None = None
    """Seconds."""

    @property
    def is_done(self) -> bool:
        """Whether the Customer got what they asked for."""
        return self.outcome is CallOutcome.DONE

    def ends(self, otherwise: SessionOutcome) -> SessionOutcome:
        """Return how the session ends after it."""
        return SessionOutcome.FAILED if self.outcome is CallOutcome.FAILED else otherwise


class Session:
    """One Customer of a run."""

    def __init__(self, context: RunContext, customer: Customer) -> None:
        self._context = context
        self._recorder = context.recorder
        self._customer = customer
        self._opportunity = context.inventory.ids[customer.opportunity]
        self._items = context.inventory.items(customer.opportunity, customer.spaces)
        self._order = OrderName(context.inventory.seller, _PARTNER, str(uuid4()))
        self._due = customer.arrives

    async def run(self) -> None:
        """Make the Customer's calls, and record how the session ended."""
        try:
            outcome = await self._outcome()
        except RunOverError:
            outcome = SessionOutcome.CUT_OFF
        self._recorder.sessions[outcome] += 1

    async def _outcome(self) -> SessionOutcome:
        customer = self._customer
        before_return, before_c2, before_end = customer.thinks
        result = await self._first_lease()
        if not result.is_done:
            return result.ends(SessionOutcome.TURNED_AWAY)
        self._recorder.leases += 1
        if customer.comes_back:
            result = await self._quote(BookingStep.C1, before_return)
        if result.is_done and customer.gives_name:
            result = await self._quote(BookingStep.C2, before_c2)
        if not result.is_done:
            return result.ends(SessionOutcome.TOO_LATE)
        await self._think(before_end)
        match customer.end:
            case End.BOOK:
                return await self._book()
            case End.RELEASE:
                service = self._context.service
                release = partial(service.release, self._order)
                result = await self._call(BookingStep.RELEASE, release)
                return result.ends(SessionOutcome.RELEASED)
            case End.LAPSE:
                return SessionOutcome.SILENT

    async def _first_lease(self) -> CallResult:
        """Lease, or try again when the leases in the way may have lapsed."""
        customer = self._customer
        result = await self._quote(BookingStep.C1)
        if result.outcome is not CallOutcome.FAILED:
            self._recorder.first_answered += 1
            self._recorder.last_first_answer = self._due
        for _ in range(customer.insists):
            if result.outcome is not CallOutcome.REFUSED or result.retry_after is None:
                break
            # Thinking on top of it keeps those who were refused together from coming as a herd.
            wait = result.retry_after + customer.thinks[0]
            result = await self._quote(BookingStep.C1, wait)
        return result

    async def _think(self, seconds: float) -> None:
        self._due += seconds
        await self._context.clock.sleep_until(self._due)

    async def _quote(self, step: BookingStep, think_seconds: float = 0) -> CallResult:
        await self._think(think_seconds)
        service = self._context.service
        quote = service.quote_template if step is BookingStep.C1 else service.quote
        return await self._call(step, partial(quote, self._order, self._items))

    async def _book(self) -> SessionOutcome:
        spaces = self._customer.spaces
        book = partial(self._context.service.book, self._order, self._items)
        result = await self._call(BookingStep.B, book)
        if result.is_done:
            self._recorder.orders += 1
            self._recorder.booked[self._opportunity] += spaces
            return SessionOutcome.BOOKED
        if result.outcome is CallOutcome.FAILED:
            order = UnconfirmedOrder(self._order, self._opportunity, spaces)
            self._recorder.unconfirmed.append(order)
        return result.ends(SessionOutcome.TOO_LATE)

    async def _call(self, step: BookingStep, call: Callable[[], Awaitable[object]]) -> CallResult:
        """Make a call over a free connection, and record it from the instant when it was due."""
        clock, connections, due = self._context.clock, self._context.connections, self._due
        began = clock.now()
        self._recorder.lateness.append(max(0.0, began - due))
        must_queue = connections.locked()
        await clock.acquire(connections)
        self._recorder.queued += must_queue
        try:
            result = await _result(call)
        finally:
            connections.release()
        self._due = clock.now()
        # A timer that fired a tick early is no time that the service gained.
        self._recorder.add_call(step, min(due, began), self._due, result.outcome, result.reason)
        return result


def lost_on_the_way(error: OpenBookingError) -> str:
    """Say why the client has no answer of the service; nothing if it has.

    Args:
        error: Raised by the client, which gives it a cause only then.

    """
    if isinstance(error.__cause__, DecodeError):
        return "an answer that cannot be read"
    return f"no answer: {type(error.__cause__).__name__}" if error.__cause__ else ""


async def _result(call: Callable[[], Awaitable[object]]) -> CallResult:
    try:
        answer = await call()
    except OpenBookingError as error:
        if lost := lost_on_the_way(error):
            return CallResult(CallOutcome.FAILED, lost)
        name = type(error).__name__
        # The standard has this refusal as a 500.
        is_refusal = isinstance(error, OrderAlreadyExistsError)
        if error.status_code >= _FIRST_FAILURE and not is_refusal:
            return CallResult(CallOutcome.FAILED, f"{error.status_code} {name}")
        return CallResult(CallOutcome.REFUSED, name)
    if isinstance(answer, Quoted):
        for item in answer.quote.ordered_item:
            if item.error is not UNSET:
                return CallResult(CallOutcome.REFUSED, item.error[0].type, answer.retry_after)
    return CallResult(CallOutcome.DONE)
