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


def evaluate(left: TimeLeft, clock: Clock, seconds: float, *, end: float = 0.0) -> None:
    """What strategies do at the end of an experience, and its evaluation."""
    clock.seconds += end + seconds
    left.evaluated(seconds)


def test_steps_and_evaluations_are_added_up() -> None:
    left = TimeLeft(10, [5, 5, 5], now=(clock := Clock()))
    left.begin(0)
    assert take(left, clock, range(1, 2), 5.0) is None, "the first step warms up"
    assert take(left, clock, range(2, 11), 1.0) == pytest.approx(20)
    evaluate(left, clock, 7, end=2)
    left.begin(1)
    assert take(left, clock, range(1, 5), 1.0) == pytest.approx(6 + 10 + 2 * (7 + 2))


def test_a_slower_experience_counts_once_it_is_known() -> None:
    left = TimeLeft(20, [5, 5], now=(clock := Clock()))
    left.begin(0)
    take(left, clock, range(1, 21), 1.0)
    left.begin(1)
    assert take(left, clock, range(1, ENOUGH + 1), 3.0) == pytest.approx(20 - ENOUGH), "by the one before"
    assert take(left, clock, range(ENOUGH + 1, ENOUGH + 2), 3.0) == pytest.approx(3 * (20 - ENOUGH - 1))


def test_the_untrained_evaluation_stands_for_the_first() -> None:
    left = TimeLeft(3, [8, 8], unit=0.5, now=(clock := Clock()))
    left.begin(0)
    assert take(left, clock, range(1, 3), 1.0) == pytest.approx(1 + 3 + 2 * 4)


def test_evaluations_of_a_few_domains_count_as_what_they_are() -> None:
    left = TimeLeft(2, [20, 20, 200, 20, 200], now=(clock := Clock()))
    told = []
    for number, units in enumerate(left.rows):
        left.begin(number)
        told.append(take(left, clock, range(1, 3), 1.0))
        evaluate(left, clock, units / 10, end=3)
    # All experiences take as long; what is left shrinks by their own time alone: 2 steps, 3 and the evaluation before.
    assert told[1:] == pytest.approx([6 + 4 * 3 + 44, 4 + 3 * 3 + 42, 2 + 2 * 3 + 22, 3 + 20])


def test_nothing_is_left_at_the_end_but_the_last_evaluation() -> None:
    left = TimeLeft(3, [4], unit=0.5, now=(clock := Clock()))
    left.begin(0)
    assert take(left, clock, range(1, 4), 1.0) == pytest.approx(2.0)


def test_a_run_that_goes_on_counts_the_steps_that_it_takes() -> None:
    left = TimeLeft(100, [5], now=(clock := Clock()))
    left.begin(0)
    assert take(left, clock, range(61, 66), 2.0) == pytest.approx(2.0 * (100 - 65))
