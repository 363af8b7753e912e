import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.simulate.recorder import BookingStep, CallOutcome, Recorder, percentile
from service.simulate.result import intervals_of, simulator_of, steps_of


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.9, 90), (0.99, 99), (0.999, 100), (1, 100), (0.001, 1)]
)
def test_percentiles_of_a_hundred(share: float, expected: int) -> None:
    """Of 1 to 100 a percentile is the number itself."""
    assert percentile(range(1, 101), share) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.001, 1))
def test_a_percentile_is_what_so_many_are_within(values: list[float], share: float) -> None:
    """At least that share is at or below it, and less than that share below it."""
    found = percentile(sorted(values), share)
    needed = math.ceil(share * len(values))
    assert sum(value <= found for value in values) >= needed
    assert sum(value < found for value in values) < needed


def test_nothing_has_no_percentile() -> None:
    """A step that nobody made shows 0."""
    assert percentile([], 0.99) == 0


def test_a_step_is_counted_by_how_its_calls_ended() -> None:
    """Each step has its calls, how they ended and its latencies; all steps together come last."""
    recorder = Recorder()
    for number in range(1, 101):
        outcome = CallOutcome.REFUSED if number > 90 else CallOutcome.DONE
        recorder.add_call(BookingStep.C1, 0, number / 1000, outcome, "OpportunityIsFullError")
    recorder.add_call(BookingStep.B, 1, 3, CallOutcome.FAILED, "503 OpenBookingError")
    c1, b, whole = steps_of(recorder)
    assert (c1.step, c1.calls, c1.done, c1.refused, c1.failed) == ("C1", 100, 90, 10, 0)
    assert c1.milliseconds == {"p50": 50, "p90": 90, "p99": 99, "p99.9": 100, "most": 100}
    assert (b.step, b.calls, b.failed, b.milliseconds["p50"]) == ("B", 1, 1, 2000)
    assert (whole.step, whole.calls, whole.milliseconds["most"]) == ("all", 101, 2000)
    assert recorder.refusals == {"C1: OpportunityIsFullError": 10}
    assert recorder.failures == {"B: 503 OpenBookingError": 1}


def test_a_run_is_divided_into_intervals() -> None:
    """A call belongs to when it was due, and an interval without calls is there too."""
    recorder = Recorder()
    recorder.add_call(BookingStep.C1, 0.1, 2.1, CallOutcome.DONE)
    recorder.add_call(BookingStep.C1, 1.2, 1.3, CallOutcome.REFUSED)
    first, second, third, *_ = intervals_of(recorder, 2.1)
    assert (first.at, first.done, first.p99) == (0.25, 2, 2000)
    assert (second.done, second.p50) == (0, None)
    assert (third.refused, third.p50) == (2, 100)


def test_a_simulator_that_was_late_says_so() -> None:
    """Lateness of its own, a full core and calls that queued each make a remark."""
    recorder = Recorder()
    recorder.lateness.extend([0.0] * 98)
    assert simulator_of(recorder, cores=0.3).remarks == []
    recorder.lateness.extend([0.05] * 2)
    recorder.queued = 7
    late, busy, queued = simulator_of(recorder, cores=0.97).remarks
    assert "50 ms" in late
    assert "0.97" in busy
    assert "7 of" in queued
