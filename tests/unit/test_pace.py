from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.http.pace import Pace


def test_a_second_of_calls_may_come_at_once() -> None:
    """After a pause a second's worth of calls passes, and the next one waits its share."""
    pace = Pace(4)
    assert [pace.take(100.0) for _ in range(4)] == [0.0] * 4
    assert pace.take(100.0) == pytest.approx(0.25)
    assert pace.take(100.2) == pytest.approx(0.05)
    assert pace.take(100.25) == 0.0
    assert pace.take(100.25) == pytest.approx(0.25)


def test_less_than_one_call_a_second() -> None:
    """A rate below one lets one call pass, and says how long the next one is to wait."""
    pace = Pace(0.1)
    assert pace.take(0.0) == 0.0
    assert pace.take(1.0) == pytest.approx(9.0)
    assert pace.take(10.0) == 0.0


@given(
    rate=st.floats(0.01, 1000.0),
    steps=st.lists(st.floats(0.0, 5.0), max_size=200),
)
def test_no_window_has_more_than_its_share(rate: float, steps: list[float]) -> None:
    """However calls come, no stretch of time has more than its share and one second's burst."""
    pace, now, passed = Pace(rate), 0.0, list[float]()
    for step in steps:
        now += step
        seconds = pace.take(now)
        if seconds:
            assert pace.take(now + seconds * 1.001) == 0.0
            now += seconds * 1.001
        passed.append(now)
    burst = max(1.0, rate)
    for index, start in enumerate(passed):
        for count, end in enumerate(passed[index:], 1):
            assert count <= burst + (end - start) * rate * 1.001 + 1e-3
