"""The judge is judged: what it lets pass, what it finds, and what it holds histories against."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.model.contract import Seller
from tests.model.linear import NEVER, Event, Inconclusive, Violation, check, independent
from tests.model.sequential import (
    EXISTS,
    GONE,
    NOT_WITHIN,
    SECOND,
    UNKNOWN,
    Answer,
    Call,
    Ledger,
    State,
    play,
    ticks,
)
from tests.model.words import FULL, INSUFFICIENT, RESERVED, Item, Refused, Thing

OFFER = "https://example.com/offer"
DURATIONS = (1, 2)
BEGINNING = State(
    100 * SECOND + 1, DURATIONS, frozenset({Ledger("class", 2, 0), Ledger("court", 3, 0)})
)
STATUS = {EXISTS: 500, GONE: 410, NOT_WITHIN: 500, UNKNOWN: 404}

ORDERS = st.sampled_from(["1", "2", "3"])
OPPORTUNITIES = st.sampled_from(["class", "court"])
BASKETS = st.lists(OPPORTUNITIES, max_size=4).map(tuple)
CALLS = st.one_of(
    st.builds(Call, st.sampled_from(["C1", "C2"]), ORDERS, BASKETS, strict=st.booleans()),
    st.builds(Call, st.just("B"), ORDERS, BASKETS.filter(bool)),
    st.builds(Call, st.sampled_from(["release", "delete", "look", "look at order"]), ORDERS),
    st.builds(Call, st.just("cancel"), ORDERS, number=st.integers(0, 3)),
    st.builds(Call, st.just("inspect"), basket=st.tuples(OPPORTUNITIES)),
    st.builds(Call, st.just("resize"), basket=st.tuples(OPPORTUNITIES), number=st.integers(0, 4)),
    st.just(Call("tick")),
)
THOROUGH = settings(
    deadline=None, derandomize=True, max_examples=300, suppress_health_check=[*HealthCheck]
)


# What histories are held against


@THOROUGH
@given(st.lists(CALLS, max_size=25))
def test_it_says_what_the_model_of_the_contract_says(calls: list[Call]) -> None:
    """One call after the other, the checker expects of each what the model answers."""
    state = BEGINNING
    seller = Seller(lambda: state.clock, **_terms())
    for ledger in BEGINNING.ledgers:
        seller.register(ledger.opportunity, Thing("ScheduledSession", ledger.capacity, 0))
    for call in calls:
        state, answer = play(state, _timed(call, state))
        if call.verb != "tick":
            assert answer == _answer_of_the_model(seller, call)


def _terms() -> dict[str, int]:
    return {"anonymous": DURATIONS[0], "named": DURATIONS[1], "maximum_hold": 7200}


def _timed(call: Call, state: State) -> Call:
    """Return a call, of the clock the one that is next."""
    return call._replace(number=_next_tick(state.clock)) if call.verb == "tick" else call


def _next_tick(clock: int) -> int:
    return next(at for at in ticks(clock // SECOND, clock // SECOND + 1) if at > clock)


def _answer_of_the_model(seller: Seller, call: Call) -> Answer:
    key, step = ("default", call.order), 1 if call.verb == "C1" else 2
    basket = [Item(position, one, OFFER) for position, one in enumerate(call.basket)]
    try:
        match call.verb:
            case "C1" | "C2":
                quoted = seller.quote(key, step, basket, strict=call.strict)
                items = _judged(quoted.items)
                status = 409 if any(error for error, _ in items) else 200
                answer = Answer(status, "", items, quoted.expires, quoted.retry_after)
            case "B":
                booked = seller.book(key, basket, "", None)
                answer = Answer(201, "", _bare(booked.items), replayed=booked.replayed)
            case "look":
                found = seller.look_at_quote(key)
                held = sorted(item.opportunity for item in found.items)
                answer = Answer(200, "", tuple((one, None) for one in held), found.expires)
            case "look at order":
                answer = Answer(200, "", _bare(seller.look_at_order(key).items))
            case "release":
                answer = Answer(204, counts=(seller.release(key),))
            case "cancel":
                seller.cancel(key, [("position", call.number, "CustomerCancelled")])
                answer = Answer(204)
            case "delete":
                seller.delete(key)
                answer = Answer(204)
            case "inspect":
                answer = Answer(200, counts=seller.ledger(call.basket[0]) or ())
            case _:
                thing = Thing("ScheduledSession", call.number, 0)
                outcome = seller.register(call.basket[0], thing)
                answer = Answer(200, counts=(int(outcome == "updated"),))
    except Refused as refused:
        kind, items_refused, retry_after = refused.args
        status = STATUS.get(kind, 409)
        answer = Answer(status, kind, _judged(items_refused), retry_after=retry_after)
    return answer


def _judged(items: Sequence[Item]) -> tuple[tuple[str, int | None], ...]:
    return tuple((item.error, item.remaining) for item in items)


def _bare(items: Sequence[Item]) -> tuple[tuple[str, None], ...]:
    return tuple(("x" if "Cancelled" in item.status else "", None) for item in items)


# What it lets pass, and what not


@THOROUGH
@given(
    st.lists(CALLS, min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), st.booleans()), min_size=5),
)
@example(
    [
        Call("C1", "1", ("class", "class", "class")),
        Call("C1", "1", ("court",)),
        Call("C1", "1", ("class", "class", "class")),
        Call("inspect", basket=("court",)),
    ],
    [(0, 0, True), (1, 4, True), (1, 4, True), (6, 0, True), (0, 0, True)],
)
def test_it_finds_an_order_where_there_is_one_and_nowhere_else(
    calls: list[Call], times: list[tuple[int, int, bool]]
) -> None:
    """Of few calls at any times its verdict is that of trying every order there is."""
    state, events = BEGINNING, []
    for call, (begin, length, is_known) in zip(calls, times, strict=False):
        timed = _timed(call, state)
        state, answer = play(state, timed)
        is_answered = is_known or call.verb == "tick"
        end = begin + length if is_answered else NEVER
        events.append(Event(timed, answer if is_answered else None, begin, end))
    try:
        check(events, BEGINNING)
    except Violation:
        assert not _has_an_order(events)
    else:
        assert _has_an_order(events)


def _has_an_order(events: Sequence[Event]) -> bool:
    """Try every order of every choice among the calls of unknown outcome."""
    answered = [event for event in events if event.answer is not None]
    unknown = [event for event in events if event.answer is None]
    return any(
        _is_in_order(order)
        for count in range(len(unknown) + 1)
        for chosen in combinations(unknown, count)
        for order in permutations([*answered, *chosen])
    )


def _is_in_order(events: Sequence[Event]) -> bool:
    state, latest = BEGINNING, -NEVER
    for event in events:
        latest = max(latest, event.begin)
        state, answer = play(state, event.call)
        if event.end < latest or event.answer not in {None, answer}:
            return False
    return True


ASKS = Call("C1", "1", ("class", "class"))
BOOKS = Call("B", "1", ("class", "class"))
LOOKS = Call("inspect", basket=("class",))
LEASED = Answer(200, items=(("", 2), ("", 2)), expires=102)
BOOKED = Answer(201, items=(("", None), ("", None)))
EMPTY = Answer(200, counts=(2, 0, 0, 2))
FILLED = Answer(200, counts=(2, 2, 0, 0))
OTHER = Call("C1", "2", ("class",))
REFUSED = Answer(409, items=((RESERVED, 0),), retry_after=1)


def told(*said: tuple[Call, Answer | None]) -> list[Event]:
    """Return calls that came one after the other."""
    return [
        Event(call, answer, 2 * n, 2 * n + 1 if answer else NEVER)
        for n, (call, answer) in enumerate(said)
    ]


def clock(last: int) -> list[tuple[Call, Answer | None]]:
    """Return the clock as it goes on to this second, and beyond."""
    return [(Call("tick", number=at), Answer(200)) for at in ticks(101, last)]


HONEST = {
    "a double-sold space": (
        told(
            (Call("B", "1", ("class", "class")), BOOKED),
            (
                Call("B", "2", ("class",)),
                Answer(409, INSUFFICIENT, ((FULL, 0),)),
            ),
        ),
        1,
        Answer(201, items=(("", None),)),
    ),
    "a lost booking": (told((BOOKS, BOOKED), (LOOKS, FILLED)), 1, EMPTY),
    "a lost Order": (
        told((BOOKS, BOOKED), (Call("look at order", "1"), Answer(200, items=(("", None),) * 2))),
        1,
        Answer(404, UNKNOWN),
    ),
    "half a booking": (
        told(
            (Call("B", "1", ("class", "court")), BOOKED),
            (LOOKS, Answer(200, counts=(2, 1, 0, 1))),
            (Call("inspect", basket=("court",)), Answer(200, counts=(3, 1, 0, 2))),
        ),
        2,
        Answer(200, counts=(3, 0, 0, 3)),
    ),
    "a booking counted twice": (
        told((BOOKS, BOOKED), (BOOKS, BOOKED._replace(replayed=True)), (LOOKS, FILLED)),
        2,
        Answer(200, counts=(2, 4, 0, 0)),
    ),
    "a stale read": (
        told((LOOKS, EMPTY), (ASKS, LEASED), (LOOKS, Answer(200, counts=(2, 0, 2, 0)))),
        2,
        EMPTY,
    ),
    "a lease beyond capacity": (
        told((ASKS, LEASED), (OTHER, REFUSED._replace(retry_after=2))),
        1,
        Answer(200, items=(("", 1),), expires=102),
    ),
    "an expired lease that still holds": (
        told((ASKS, LEASED), *clock(102), (OTHER, Answer(200, items=(("", 2),), expires=104))),
        5,
        REFUSED,
    ),
    "a lease that ends early": (
        told((ASKS, LEASED), *clock(101), (OTHER, REFUSED)),
        3,
        Answer(200, items=(("", 2),), expires=103),
    ),
    "a lease that is too long": (told((ASKS, LEASED)), 0, LEASED._replace(expires=103)),
    "a wrong Retry-After": (
        told((ASKS, LEASED), *clock(101), (OTHER, REFUSED)),
        3,
        REFUSED._replace(retry_after=2),
    ),
    "spaces released twice": (
        told(
            (ASKS, LEASED),
            (Call("release", "1"), Answer(204, counts=(2,))),
            (Call("release", "1"), Answer(204, counts=(0,))),
        ),
        2,
        Answer(204, counts=(2,)),
    ),
    "a change that nobody made": (told((LOOKS, EMPTY), (LOOKS, EMPTY)), 1, FILLED),
}


@pytest.mark.parametrize("plant", HONEST)
def test_a_planted_violation_is_found(plant: str) -> None:
    """A history passes, and with one answer that breaks the contract it does not."""
    events, index, lie = HONEST[plant]
    check(events, BEGINNING)
    events = [*events]
    events[index] = events[index]._replace(answer=lie)
    with pytest.raises(Violation):
        check(events, BEGINNING)


def test_two_looks_never_go_back_in_time() -> None:
    """While B is under way a look may see it or not, but not first so and then otherwise."""
    booking = Event(BOOKS, BOOKED, 0, 9)
    early, late = Event(LOOKS, EMPTY, 1, 2), Event(LOOKS, FILLED, 3, 4)
    check([booking, early, late], BEGINNING)
    with pytest.raises(Violation, match="after 2 of 3 calls"):
        check([booking, early._replace(answer=FILLED), late._replace(answer=EMPTY)], BEGINNING)


@pytest.mark.parametrize("seen", [EMPTY, FILLED])
def test_a_call_without_an_answer_may_have_happened_or_not(seen: Answer) -> None:
    """B whose answer was lost explains both ledgers, at any time after it began."""
    events = told((LOOKS, EMPTY), (BOOKS, None), (LOOKS, EMPTY), (LOOKS, seen))
    check(events, BEGINNING)
    with pytest.raises(Violation):
        check([*events, Event(LOOKS, FILLED, -3, -2)], BEGINNING)


def test_a_search_that_takes_too_long_is_no_pass() -> None:
    """Where the bound is reached there is no verdict, and that fails."""
    crowd = [Event(Call("C1", str(n), ("court",)), None, 0, NEVER) for n in range(9)]
    looks = Call("inspect", basket=("court",))
    with pytest.raises(Inconclusive):
        check(
            [*crowd, Event(looks, Answer(200, counts=(3, 3, 0, 0)), 1, 2)],
            BEGINNING,
            most_states=10,
        )


def test_repeated_calls_without_an_answer_are_tried_once() -> None:
    """Of twelve copies of a call only the first is tried."""
    copies = [Event(BOOKS, None, 0, NEVER) for _ in range(12)]
    check([*copies, Event(LOOKS, FILLED, 1, 2)], BEGINNING, most_states=3)
    with pytest.raises(Violation):
        check(
            [*copies, Event(LOOKS, FILLED, 1, 2), Event(LOOKS, EMPTY, 3, 4)],
            BEGINNING,
            most_states=3,
        )


def test_more_unknown_outcomes_that_lead_to_the_same_are_not_tried() -> None:
    """Leasing and releasing, both unknown, and neither, are one state; a lie is still found."""
    court = ("court",)
    pairs = [
        Event(Call(verb, str(n), court if verb == "C1" else ()), None, 0, NEVER)
        for n in range(3)
        for verb in ("C1", "release")
    ]
    lie = Event(Call("inspect", basket=court), Answer(200, counts=(3, 3, 0, 0)), 1, 2)
    with pytest.raises(Violation):
        check([*pairs, lie], BEGINNING, most_states=15)


def test_what_no_order_connects_is_searched_apart() -> None:
    """Opportunities are searched together where a basket or an Order has both, else apart."""
    apart = told((LOOKS, EMPTY), (Call("C1", "1", ("court",)), None), *clock(101))
    assert [len(part) for part in independent(apart)] == [3, 3]
    joined = [*apart, Event(Call("B", "1", ("class",)), None, 8, NEVER)]
    assert [len(part) for part in independent(joined)] == [5]
