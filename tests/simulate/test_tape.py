import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.simulate.findings import moments_of, simulator_of, steps_of
from service.simulate.tape import Result, Step, Tape, percentile


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
    tape = Tape()
    for number in range(1, 101):
        tape.add(Step.C1, 0, number / 1000, Result.REFUSED if number > 90 else Result.DONE)
    tape.add(Step.B, 1, 3, Result.FAILED)
    c1, b, whole = steps_of(tape)
    assert (c1.step, c1.calls, c1.done, c1.refused, c1.failed) == ("C1", 100, 90, 10, 0)
    assert (c1.milliseconds.p50, c1.milliseconds.p99, c1.milliseconds.longest) == (50, 99, 100)
    assert (b.step, b.calls, b.failed, b.milliseconds.p50) == ("B", 1, 1, 2000)
    assert (whole.step, whole.calls, whole.milliseconds.longest) == ("all", 101, 2000)


def test_the_time_is_cut_into_moments() -> None:
    """A call belongs to when it was due, and a while without calls is there too."""
    tape = Tape()
    tape.add(Step.C1, 0.1, 2.1, Result.DONE)
    tape.add(Step.C1, 1.2, 1.3, Result.REFUSED)
    first, second, third, *_ = moments_of(tape, 2.1)
    assert (first.at, first.done, first.p99) == (0.25, 2, 2000)
    assert (second.done, second.p50) == (0, None)
    assert (third.refused, third.p50) == (2, 100)


def test_a_simulator_that_was_late_says_so() -> None:
    """Lateness of its own, a full core and calls that queued each make a remark."""
    tape = Tape()
    tape.lags.extend([0.0] * 98)
    assert simulator_of(tape, cores=0.3).remarks == []
    tape.lags.extend([0.05] * 2)
    tape.queued = 7
    late, busy, queued = simulator_of(tape, cores=0.97).remarks
    assert "50 ms" in late
    assert "0.97" in busy
    assert "7 of" in queued
