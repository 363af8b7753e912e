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


class CallFailedError(Exception):
    """A call had no usable answer, which ends a session."""


class CallResult(NamedTuple):
    """How a call ended, why, and the seconds after which to try again."""

    outcome: CallOutcome
    reason: str = ""
    retry_after: int | None = None

    @property
    def is_done(self) -> bool:
        """Whether the Customer got what they asked for."""
        return self.outcome is CallOutcome.DONE


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
        except CallFailedError:
            outcome = SessionOutcome.FAILED
        except RunOverError:
            outcome = SessionOutcome.CUT_OFF
        self._recorder.sessions[outcome] += 1

    async def _outcome(self) -> SessionOutcome:
        customer = self._customer
        before_return, before_c2, before_end = customer.thinks
        result = await self._first_lease()
        if not result.is_done:
            return SessionOutcome.TURNED_AWAY
        self._recorder.leases += 1
        if customer.comes_back:
            result = await self._quote(BookingStep.C1, before_return)
        if result.is_done and customer.gives_name:
            result = await self._quote(BookingStep.C2, before_c2)
        if not result.is_done:
            return SessionOutcome.TOO_LATE
        await self._think(before_end)
        match customer.end:
            case End.BOOK:
                return await self._book()
            case End.RELEASE:
                service = self._context.service
                await self._call(BookingStep.RELEASE, partial(service.release, self._order))
                return SessionOutcome.RELEASED
            case End.LAPSE:
                return SessionOutcome.SILENT

    async def _first_lease(self) -> CallResult:
        """Lease, or try again when the leases in the way may have lapsed."""
        customer = self._customer
        result = await self._quote(BookingStep.C1)
        self._recorder.first_answered += 1
        self._recorder.last_first_answer = self._due
        for _ in range(customer.insists):
            if result.is_done or result.retry_after is None:
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
        opportunity, spaces = self._opportunity, self._customer.spaces
        book = partial(self._context.service.book, self._order, self._items)
        try:
            result = await self._call(BookingStep.B, book)
        except CallFailedError:
            order = UnconfirmedOrder(self._order, opportunity, spaces)
            self._recorder.unconfirmed.append(order)
            raise
        if not result.is_done:
            return SessionOutcome.TOO_LATE
        self._recorder.orders += 1
        self._recorder.booked[opportunity] += spaces
        return SessionOutcome.BOOKED

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
        if result.outcome is CallOutcome.FAILED:
            raise CallFailedError
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
