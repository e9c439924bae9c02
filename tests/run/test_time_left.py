"""The time left of a stream, by a clock that is turned by hand."""

from __future__ import annotations

import pytest

from lifelong.run.time_left import ENOUGH, TimeLeft


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def take(left: TimeLeft, clock: Clock, steps: range, seconds: float) -> float | None:
    answer = None
    for step in steps:
        clock.seconds += seconds
        answer = left.step(step)
    return answer


def test_steps_and_evaluations_are_added_up() -> None:
    left = TimeLeft(3, 10, now=(clock := Clock()))
    left.begin(0)
    assert take(left, clock, range(1, 2), 5.0) is None, "the first step warms up"
    assert take(left, clock, range(2, 11), 1.0) == pytest.approx(20)
    clock.seconds += 7  # the evaluation
    left.begin(1)
    assert take(left, clock, range(1, 5), 1.0) == pytest.approx(6 + 10 + 2 * 7)


def test_a_slower_experience_counts_once_it_is_known() -> None:
    left = TimeLeft(2, 20, now=(clock := Clock()))
    left.begin(0)
    take(left, clock, range(1, 21), 1.0)
    left.begin(1)
    assert take(left, clock, range(1, ENOUGH + 1), 3.0) == pytest.approx(20 - ENOUGH), "by the one before"
    assert take(left, clock, range(ENOUGH + 1, ENOUGH + 2), 3.0) == pytest.approx(3 * (20 - ENOUGH - 1))


def test_the_untrained_evaluation_stands_for_the_first() -> None:
    left = TimeLeft(2, 3, between=4.0, now=(clock := Clock()))
    left.begin(0)
    assert take(left, clock, range(1, 3), 1.0) == pytest.approx(1 + 3 + 2 * 4)


def test_nothing_is_left_at_the_end_but_the_last_evaluation() -> None:
    left = TimeLeft(1, 3, between=2.0, now=(clock := Clock()))
    left.begin(0)
    assert take(left, clock, range(1, 4), 1.0) == pytest.approx(2.0)


def test_a_run_that_goes_on_counts_the_steps_that_it_takes() -> None:
    left = TimeLeft(1, 100, now=(clock := Clock()))
    left.begin(0)
    assert take(left, clock, range(61, 66), 2.0) == pytest.approx(2.0 * (100 - 65))
