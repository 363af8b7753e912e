"""Records what many callers ask at once over HTTP, what they are answered, and when.

Beginnings and ends are microseconds of this process's monotonic clock. Leases end by Redis's
clock, which is another: Redis is asked for the time before and after a history, and that bounds
how far its clock is ahead. So a second of Redis's clock is an event with a beginning and an end
like any other, and no clock has to be right.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import aiohttp

from service.redis.batcher import Batcher
from tests.model.linear import LOOKS, MOST_STATES, NEVER, Event, check
from tests.model.sequential import SECOND, Answer, Call, Ledger, State, ticks

OPENACTIVE: Final = "https://openactive.io/"
OFFER: Final = "https://example.com/events/452#/offers/878"
PATIENCE_SECONDS: Final = 30.0
"""How long whoever looks on may wait for Redis; the machine may be busy."""

_SAMPLES: Final = 5
_PATHS: Final = {
    "C1": ("PUT", "order-quote-templates"),
    "C2": ("PUT", "order-quotes"),
    "B": ("PUT", "orders"),
    "release": ("DELETE", "order-quotes"),
    "cancel": ("PATCH", "orders"),
    "delete": ("DELETE", "orders"),
    "look": ("GET", "order-quotes"),
    "look at order": ("GET", "orders"),
    "inspect": ("GET", "opportunities"),
    "resize": ("PUT", "opportunities"),
}


def monotonic() -> int:
    """Return microseconds that only ever rise."""
    return time.monotonic_ns() // 1000


class RedisClock:
    """How far Redis's clock is ahead of this process's monotonic one, as far as we know."""

    def __init__(self, batcher: Batcher) -> None:
        """Ask through `batcher`, which should be patient."""
        self._batcher = batcher
        self.least, self.most = NEVER, -NEVER

    async def look(self) -> None:
        """Ask a few times; what the best answer leaves open is as far as it may be."""
        samples = [await self._sample() for _ in range(_SAMPLES)]
        least, most = min(samples, key=lambda sample: sample[1] - sample[0])
        self.least, self.most = min(self.least, least), max(self.most, most)

    async def _sample(self) -> tuple[int, int]:
        before = monotonic()
        seconds, microseconds = await self._batcher.command("TIME")
        now = int(seconds) * SECOND + int(microseconds)
        return now - monotonic(), now - before

    def events(self, begin: float, end: float) -> list[Event]:
        """Return the ticks from a beginning to an end."""
        first, last = int(begin + self.least) // SECOND, int(end + self.most) // SECOND
        return [
            Event(Call("tick", number=at), Answer(200), at - self.most, at - self.least)
            for at in ticks(first, last)
        ]


class History:
    """What happens to one Seller's Opportunities, each call as its caller saw it."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        slots: asyncio.Semaphore,
        clock: RedisClock,
        seller: str,
    ) -> None:
        """Begin with nothing.

        Args:
            session: The way to the service.
            slots: As many as it has connections: a call begins when it is sent, not when it is
                queued here, or all calls would seem to be concurrent.
            clock: Of the Redis behind it.
            seller: Nobody else's.

        """
        # aiohttp would send a call again when a connection ends that it kept open.
        session._retry_connection = False
        self._session = session
        self._slots = slots
        self.clock = clock
        self._seller = seller
        self._ledgers: list[Ledger] = []
        self.events: list[Event] = []
        self.unchanged = 0
        """How many calls were answered that nothing was changed, because Redis is away."""

    async def begin(self, capacities: dict[str, int]) -> None:
        """Register Opportunities with so many spaces, and look at the clock."""
        await self.clock.look()
        for opportunity, capacity in capacities.items():
            await self._send(Call("resize", "", (opportunity,), capacity))
            self._ledgers.append(Ledger(opportunity, capacity, 0))

    async def call(self, call: Call, *, patience_seconds: float | None = None) -> Answer | None:
        """Make a call and record it.

        Args:
            call: What to ask.
            patience_seconds: When to hang up; None: never.

        Returns:
            The answer; None: the outcome is unknown, or nothing was changed because the service
            or its Redis is away.

        """
        async with self._slots:
            begin = monotonic()
            try:
                async with asyncio.timeout(patience_seconds):
                    status, body, headers = await self._send(call)
            except aiohttp.ClientConnectorError:
                return None
            except (aiohttp.ClientError, TimeoutError, OSError):
                self.events.append(Event(call, None, begin, NEVER))
                return None
            end = monotonic()
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            if "nothing was changed" in body["description"]:
                self.unchanged += 1
            else:
                self.events.append(Event(call, None, begin, NEVER))
            return None
        answer = read_answer(call, status, body, headers)
        self.events.append(Event(call, answer, begin, end))
        return answer

    def doubt(self, begin: int, end: int) -> None:
        """Reckon with calls that the service sent twice, since their connection broke.

        Each call that was under way meanwhile may have happened once more than it was answered,
        at any later time: what is on its way to Redis cannot be called back.

        Args:
            begin: Of the trouble, in `monotonic` microseconds.
            end: Of the trouble.

        """
        self.events += [
            Event(event.call, None, event.begin, NEVER)
            for event in self.events
            if event.begin <= end and event.end >= begin and event.call.verb not in LOOKS
        ]

    async def end(self) -> None:
        """Look at all that there is now, and at the clock."""
        looks = [Call("inspect", basket=(ledger.opportunity,)) for ledger in self._ledgers]
        booked = {event.call.order for event in self.events if event.call.verb == "B"}
        looks += [Call("look at order", order) for order in sorted(booked)]
        await asyncio.gather(*map(self.call, looks))
        await self.clock.look()

    def check(self, durations: tuple[int, int], *, most_states: int = MOST_STATES) -> None:
        """Hold it against the contract.

        Args:
            durations: How long C1 and C2 lease, in seconds.
            most_states: As for `linear.check`.

        Raises:
            Violation: It is not linearizable.
            Inconclusive: Nobody knows.

        """
        begin = min(event.begin for event in self.events)
        end = max(event.end for event in self.events if event.end != NEVER)
        clock = self.clock.events(begin, end)
        before = clock[0].call.number - SECOND + 1
        state = State(before, durations, frozenset(self._ledgers))
        check([*self.events, *clock], state, most_states=most_states)

    async def _send(self, call: Call) -> tuple[int, Any, Any]:
        method, kind = _PATHS[call.verb]
        path = f"/{kind}/{UUID(int=int(call.order))}" if call.order else f"/{kind}"
        query = {"seller": self._seller}
        if call.verb == "inspect":
            query["id"] = call.basket[0]
        headers = {"Prefer": "handling=strict"} if call.strict else {}
        async with self._session.request(
            method, path, params=query, json=_body(call), headers=headers
        ) as response:
            content = await response.read()
            body = await response.json(content_type=None) if content else {}
            return response.status, body, response.headers


def _body(call: Call) -> object:
    if call.verb in {"C1", "C2", "B"}:
        items = [{"orderedItem": one, "acceptedOffer": OFFER} for one in call.basket]
        return {"orderedItem": items}
    if call.verb == "cancel":
        status = f"{OPENACTIVE}CustomerCancelled"
        return {"orderedItem": [{"position": call.number, "orderItemStatus": status}]}
    if call.verb == "resize":
        kind, [opportunity] = "ScheduledSession", call.basket
        return [{"@type": kind, "@id": opportunity, "maximumAttendeeCapacity": call.number}]
    return None


def read_answer(call: Call, status: int, body: Any, headers: Any) -> Answer:
    """Return what matters of an answer."""
    if call.verb == "inspect" and status == 200:
        [one] = body
        names = ("maximumAttendeeCapacity", "booked", "leased", "remainingAttendeeCapacity")
        return Answer(status, counts=tuple(one[name] for name in names))
    if call.verb == "resize" and status == 200:
        return Answer(status, counts=(body["updated"],))
    if call.verb == "release" and status == 204:
        return Answer(status, counts=(int(headers["Lease-Released"]),))
    kind = body.get("@type", "")
    lease = body.get("lease", {}).get("leaseExpires")
    wait = headers.get("Retry-After")
    return Answer(
        status,
        kind if kind.endswith("Error") else "",
        tuple(_item(call, item) for item in _in_order(call, body.get("orderedItem", []))),
        int(datetime.fromisoformat(lease).timestamp()) if lease else 0,
        int(wait) if wait else None,
        headers.get("Idempotency-Replayed") == "true",
    )


def _in_order(call: Call, items: list[Any]) -> list[Any]:
    """Return OrderItems by position, but those of a lease by Opportunity."""
    return sorted(items, key=lambda item: item["orderedItem"]["@id"] if call.verb == "look" else 0)


def _item(call: Call, item: Any) -> tuple[str, int | None]:
    """Return what `sequential.Answer` says of an OrderItem."""
    if call.verb == "look":
        return item["orderedItem"]["@id"], None
    is_cancelled = item.get("orderItemStatus", "").endswith("Cancelled")
    errors = [error["@type"] for error in item.get("error", [])]
    said = "x" if is_cancelled else "".join(errors)
    return said, item["orderedItem"].get("remainingAttendeeCapacity")
