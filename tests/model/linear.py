"""Whether the answers to concurrent calls are those of some order of the calls, one by one.

That is linearizability: each call seems to happen at one instant between its beginning and its
end. The search is that of Wing and Gong, with Lowe's memo of what was tried: take any call that
nothing unanswered has to precede, ask the contract what it answers now, and go on where that is
what was answered. Five things keep it short.

- It goes on where it has come furthest in time, and there with as few calls as it takes: a call is
  placed when it has to be, so that a wrong place shows soon. Each call of unknown outcome counts
  as a step back in time, since few of them are needed.
- Opportunities that no basket and no Order has in common are independent, and searched apart.
- A call that changes nothing now and could not later, and whose answer fits, is taken at once: no
  other place is better. A refused C1 is no such call where its Order may get a lease meanwhile,
  which it would then have given back.
- A call of unknown outcome, whose caller saw no answer, may happen at any later time or never,
  and is tried only where it changes something; of several that ask for the same, the first.
- What was reached with some calls of unknown outcome is not tried with these and more: whatever
  could follow could have followed before.

A search that visits too many states ends without a verdict, and that is not a pass.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from tests.model.sequential import Answer, Call, State, play

NEVER = float("inf")
MOST_STATES = 50_000
UNKNOWN_COSTS = 200_000
"""Microseconds. Without it the longest searches visited three times as many states."""
LOOKS = frozenset({"look", "look at order", "inspect"})
"""The verbs that never change anything."""

LEASES = frozenset({"C1", "C2", "release"})
"""The verbs that change what an Order holds, and after which it may hold something again."""


class Event(NamedTuple):
    """One call as its caller saw it."""

    call: Call
    answer: Answer | None
    """None: the outcome is unknown."""
    begin: float
    end: float
    """When the answer was there; NEVER where none came."""


class Violation(AssertionError):  # noqa: N818 - it is what a history has, not what went wrong here
    """No order of the calls gives these answers."""


class Inconclusive(AssertionError):  # noqa: N818 - as above
    """The search was given up, so nobody knows."""


class _Search:
    """The search for an order of one history."""

    def __init__(self, events: Sequence[Event], most_states: int) -> None:
        self._events = sorted(events, key=lambda event: event.begin)
        self._most_states = most_states
        self._answered = sum(
            1 << index for index, event in enumerate(self._events) if event.answer is not None
        )
        self._idle = [self._is_idle(event) for event in self._events]
        self._same = self._find_same()
        self._seen = dict[tuple[int, State], list[int]]()
        self._states = 0
        self._furthest: tuple[int, State]

    def run(self, state: State) -> None:
        """Return when there is an order.

        Raises:
            Violation: There is none.
            Inconclusive: It is not known.

        """
        self._furthest = 0, state
        number = itertools.count()
        heap = [(0.0, 0, next(number), 0, state)]
        while heap:
            *_, done, state = heapq.heappop(heap)
            done, branches = self._visit(done, state)
            if done & self._answered == self._answered:
                return
            for index, after in branches:
                place = done | 1 << index, after
                if self._is_new(*place):
                    self._states += 1
                    if self._states > self._most_states:
                        raise Inconclusive(f"no verdict after {self._most_states:,} states")
                    urgency = self._urgency(place[0]), place[0].bit_count(), next(number)
                    heapq.heappush(heap, (*urgency, *place))
        raise Violation(self._explain())

    def _is_new(self, done: int, state: State) -> bool:
        """Tell whether no search that could do all that this one can went on from here."""
        unanswered = done & ~self._answered
        seen = self._seen.setdefault((done & self._answered, state), [])
        if any(fewer & unanswered == fewer for fewer in seen):
            return False
        seen.append(unanswered)
        return True

    def _find_same(self) -> list[int]:
        """Return for each call of unknown outcome the earlier ones that ask for the same."""
        same = dict[Call, int]()
        found = []
        for index, event in enumerate(self._events):
            found.append(same.get(event.call, 0) if event.answer is None else 0)
            if event.answer is None:
                same[event.call] = same.get(event.call, 0) | 1 << index
        return found

    def _urgency(self, done: int) -> float:
        """Return how late it is where these calls are done: the least is looked at first."""
        due = min((self._events[index].end for index in self._minimal(done)), default=NEVER)
        return (done & ~self._answered).bit_count() * UNKNOWN_COSTS - due

    def _is_idle(self, event: Event) -> bool:
        """Tell whether a call that changes nothing at one place changes nothing at a later one.

        Its answer says so, or nobody may change the lease of the same Order at the same time.
        """
        return changes_nothing(event) or not any(
            other.call.order == event.call.order
            and other.call.verb in LEASES
            and not changes_nothing(other)
            and other.begin <= event.end
            and other.end >= event.begin
            for other in self._events
            if other is not event
        )

    def _visit(self, done: int, state: State) -> tuple[int, list[tuple[int, State]]]:
        """Take all that changes nothing, and find what may come next and what it makes."""
        played: dict[int, tuple[State, Answer]] = {}
        was = -1
        while was != done:
            was = done
            for index in self._minimal(done):
                if index not in played:
                    played[index] = play(state, self._events[index].call)
                after, answer = played[index]
                fits = answer == self._events[index].answer
                if fits and after is state and self._idle[index]:
                    done |= 1 << index
        if done.bit_count() > self._furthest[0].bit_count():
            self._furthest = done, state
        return done, [
            (index, played[index][0])
            for index in self._minimal(done)
            if self._events[index].answer == played[index][1]
            or (
                self._events[index].answer is None
                and played[index][0] is not state
                and self._same[index] & ~done == 0
            )
        ]

    def _minimal(self, done: int) -> Iterator[int]:
        """Yield the calls that no call which ended before they began has yet to precede."""
        first_end = NEVER
        remaining = ~done
        # The lowest bit that is set: calls are numbered in the order of their beginnings.
        while (bit := remaining & -remaining) < 1 << len(self._events):
            index = bit.bit_length() - 1
            event = self._events[index]
            if event.begin > first_end:
                return
            first_end = min(first_end, event.end)
            yield index
            remaining &= remaining - 1

    def _explain(self) -> str:
        """Say how far the best order went, and why each call that might be next does not fit."""
        done, state = self._furthest
        lines = [
            f"after {done.bit_count()} of {len(self._events)} calls nothing fits:",
            str(state),
        ]
        for index in self._minimal(done):
            event = self._events[index]
            lines += [
                f"{event.call}",
                f"    answered {event.answer}",
                f"    expected {play(state, event.call)[1]}",
            ]
        return "\n".join(lines)


def changes_nothing(event: Event) -> bool:
    """Tell whether an answer says that its call has changed nothing."""
    call, answer = event.call, event.answer
    if answer is None or call.verb in LOOKS:
        return answer is not None
    match call.verb:
        case "C1" | "C2":
            return answer.status == HTTPStatus.INTERNAL_SERVER_ERROR
        case "release" | "resize":
            return answer.counts == (0,)
        case _:
            return answer.status >= HTTPStatus.BAD_REQUEST or answer.replayed


def check(events: Sequence[Event], state: State, *, most_states: int = MOST_STATES) -> None:
    """Return if some order of the calls, from this state on, gives their answers.

    Args:
        events: The calls; `tick` among them as often as the clock passed a second.
        state: Before the first.
        most_states: How many to visit, for each part of the history.

    Raises:
        Violation: There is no such order.
        Inconclusive: The search was given up.

    """
    for part in independent(events):
        _Search(part, most_states).run(state)


def independent(events: Sequence[Event]) -> list[list[Event]]:
    """Part a history into calls that no Order and no Opportunity connects; each has the ticks."""
    parent: dict[Any, Any] = {}

    def root(name: Any) -> Any:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    def names(call: Call) -> list[Any]:
        orders = [("order", call.order)] if call.order else []
        return [*orders, *(("opportunity", one) for one in call.basket)]

    for event in events:
        for name in names(event.call):
            parent[root(name)] = root(names(event.call)[0])
    clock = [event for event in events if event.call.verb == "tick"]
    parts: dict[Any, list[Event]] = {}
    for event in events:
        if event.call.verb != "tick":
            parts.setdefault(root(names(event.call)[0]), [*clock]).append(event)
    return [*parts.values()] or [clock]
