from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from service.ledger.auditor import Audit, Bookings
from service.ledger.keys import PartitionKeys
from service.ledger.scanner import Lease, Name, Order, Share
from service.status_line import StatusLine
from service.verify import Report
from service.verify.bookings import Accounts
from service.verify.counts import ROUNDS, Doubts, Tally, is_consistent
from service.verify.progress import LOG_SECONDS, Progress

KEYS = PartitionKeys("lease:{1}", "lease:{1}:due", "lease:{1}:feed")
CLASS = Name(KEYS, "class")
PARTNER = Name(KEYS, "seller|partner")
AT = 1_700_000_000_000_000
LATER = AT + 1_000_000


def audit(booked: int, before: int | None = 0) -> Audit:
    """Return what an Opportunity says of itself at the instant `AT`."""
    return Audit(
        at=AT,
        holds=0,
        is_whole=True,
        totals={},
        seller="seller",
        id="https://example.com/1",
        is_registered=True,
        booked=booked,
        before=before,
        epoch="1",
        wrong=[],
    )


def order(at: int, booked: int, ordered: int | None = None, state: str = "booked") -> Order:
    """Return an Order of the class that last changed at an instant."""
    share = Share("class", booked, booked if ordered is None else ordered)
    name = Name(KEYS, f"seller|partner|{at}")
    return Order(name, state, at, at, [share] if state != "deleted" else [])


def found(accounts: Accounts, *orders: Order, now: int = LATER) -> Bookings | None:
    """Return what is found out when these Orders are read."""
    accounts.enter(orders, now)
    return accounts.found("class")


def opened(booked: int, before: int | None = 0) -> Accounts:
    """Return the account of the class."""
    accounts = Accounts()
    accounts.open(CLASS, audit(booked, before))
    return accounts


@pytest.mark.parametrize(
    ("orders", "surplus"),
    [
        ([], 2),
        ([order(AT - 1, 2)], 0),
        ([order(AT - 9, 1), order(AT - 1, 1)], 0),
        ([order(AT - 1, 3)], -1),
        ([order(AT - 1, 2, 5)], 0),
        ([order(AT - 1, 2), order(AT + 1, 3)], 0),
        ([order(AT - 1, 2), order(AT - 1, 3, state="proposed")], 0),
        ([order(AT - 1, 2), order(AT - 1, 0, state="deleted")], 0),
    ],
    ids=[
        "nothing was ordered",
        "all of it was",
        "by two",
        "too little is booked",
        "something was cancelled before",
        "something was booked later",
        "something was proposed",
        "something was deleted before",
    ],
)
def test_what_orders_had_booked_at_an_instant_is_told(orders: list[Order], surplus: int) -> None:
    """What an Order books counts from the instant when it last changed, whenever it is read."""
    assert found(opened(2), *orders) == Bookings(AT, surplus, None)


@pytest.mark.parametrize(
    "orders",
    [
        [order(AT + 1, 1, 2)],
        [order(AT + 1, 0, state="deleted")],
        [order(AT, 1)],
        [order(LATER + 1, 1)],
        [order(AT + 1, 1)._replace(shares=[Share("class", 1, 1), Share("other", 0, 1)])],
        [order(AT + 1, 1)._replace(first=AT - 1)],
    ],
    ids=[
        "cancelled since",
        "deleted since",
        "at that very instant",
        "in the future",
        "cancelled elsewhere since",
        "an instant that is not exact",
    ],
)
def test_what_cannot_be_told_is_not_told(orders: list[Order]) -> None:
    """Of what was cancelled or deleted since, or is at odds with the clock, nothing is said."""
    assert found(opened(2), *orders) is None


def test_what_changed_since_does_not_matter_where_nothing_is_missing() -> None:
    """Where the Orders that are certain account for everything, the others have nothing of it."""
    accounts = opened(2)
    assert found(accounts, order(AT - 1, 2), order(AT + 1, 0, state="deleted")) == Bookings(
        AT, 0, None
    )


def test_what_was_booked_before_is_found_where_it_is_not_noted() -> None:
    """What an earlier release registered says not what was booked before: the rest was."""
    assert found(opened(5, None), order(AT - 1, 2)) == Bookings(AT, 0, 3)
    assert found(opened(1, None), order(AT - 1, 2)) == Bookings(AT, -1, 0)


def test_what_nobody_registered_is_a_stranger() -> None:
    """What an Order has booked of an Opportunity that was not seen is remembered."""
    accounts = Accounts()
    accounts.enter([order(AT, 1)], LATER)
    assert accounts.strangers == {"class": (CLASS, "seller")}


def tally(counted: dict[str, int], *expires: int) -> Tally:
    """Return the leases of one Booking Partner, and what was counted before they were read."""
    leases = Tally()
    leases.begin({PARTNER: counted})
    owner = f"{PARTNER.partner}|uuid"
    leases.enter(
        (Lease(Name(KEYS, f"{at}"), owner, at, {}, PARTNER.seller) for at in expires), 100
    )
    return leases


def test_counts_are_held_against_leases_second_by_second() -> None:
    """A second with too many or too few is found, one that changed meanwhile tells nothing."""
    counted = {"total": 6, "next": 90, "95": 1, "200": 2, "300": 1, "400": 2}
    leases = tally(counted, 99, 200, 300, 300, 400, 500)
    after = counted | {"400": 1}
    assert leases.surpluses({PARTNER: after}, 100) == {
        PARTNER: {200: 1, 300: -1, 400: None, 500: -1}
    }
    assert leases.surpluses({PARTNER: counted}, 600) == {}


def test_counts_are_left_alone_where_a_lease_may_be_any_sellers() -> None:
    """A lease whose Opportunity is lost does not say among whose leases it was counted."""
    counted = {"total": 1, "200": 1}
    leases = tally(counted)
    assert leases.surpluses({PARTNER: counted}, 100) == {PARTNER: {200: 1}}
    leases.enter([Lease(Name(KEYS, "lost"), f"{PARTNER.partner}|uuid", 200, {})], 100)
    assert leases.surpluses({PARTNER: counted}, 100) == {}


def test_a_count_agrees_with_itself() -> None:
    """Its total is the sum of its seconds."""
    assert is_consistent({})
    assert is_consistent({"total": 3, "next": 100, "100": 1, "200": 2, "mended": 7})
    assert not is_consistent({"total": 4, "next": 100, "100": 1, "200": 2})


def test_a_difference_of_counts_is_one_in_every_round() -> None:
    """Only what is the same in so many rounds one after the other is confirmed."""
    doubts = Doubts({PARTNER: {200: 1, 300: 1, 400: None, 500: 2}})
    for number in range(1, ROUNDS):
        assert doubts.confirmed() == {}
        doubts.look_again({PARTNER: {200: 1, 400: None, 500: 2 + number}})
    assert doubts.confirmed() == {PARTNER: {200: 1}}
    assert doubts.partners() == [PARTNER]
    doubts.look_again({})
    assert not doubts


@pytest.fixture
def lines() -> list[str]:
    """Give where lines go."""
    return []


def test_the_table_says_what_was_checked_and_found(lines: list[str]) -> None:
    """Every difference is a line, and the table counts it under its check."""
    report = Report(lines.append, repair=True)
    report.checked["leased"] = 1204
    report.differs("named", "https://example.com/1", "", "2", mended=True)
    report.differs("allowed", "https://example.com/1", "9", "at most 8", mended=False)
    report.leaves_open("booked of https://example.com/2", "changed all the time, not judged")
    assert lines == [
        "named of https://example.com/1: nothing, should be 2; mended\n",
        "allowed of https://example.com/1: 9, should be at most 8\n",
        "booked of https://example.com/2: changed all the time, not judged\n",
    ]
    rows = {tuple(line.rsplit(maxsplit=3)) for line in report.table().splitlines() if line}
    assert ("leased is the sum of the holds", "1,204", "1", "1") in rows
    assert ("no more is taken than was ever allowed", "0", "1", "0") in rows
    assert report.table().endswith(
        "2 differences, 1 not mended. 1 could not be judged: run it again.\n"
    )


class Terminal(io.StringIO):
    """A stream that says that a person looks at it."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def progress_on(stream: io.StringIO) -> Progress:
    """Return a progress by a clock of the test's own."""
    seconds: Iterator[float] = iter([0.0, 0.0, 4.9, 5.1, 5.2])
    return Progress(StatusLine(stream, LOG_SECONDS, clock=lambda: next(seconds)))


def test_progress_is_a_line_now_and_then_in_a_log() -> None:
    """Where nobody watches, a line says what begins, and every five seconds how far it is."""
    stream = io.StringIO()
    shown = progress_on(stream)
    shown.begin("Orders", 3500)
    for _ in range(3):
        shown.step(1000)
    assert stream.getvalue() == "Orders …\nOrders: 2,000 of about 3,500 keys\n"


def test_progress_is_one_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal each line takes the last one's place, and never more than its width."""
    monkeypatch.setenv("COLUMNS", "12")
    stream = Terminal()
    shown = progress_on(stream)
    shown.begin("Orders", 3500)
    shown.step(1000)
    assert stream.getvalue() == "\r\x1b[KOrders …\r\x1b[KOrders: 1,0"
