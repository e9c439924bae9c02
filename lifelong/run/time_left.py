"""The estimated time for the rest of a stream, from its steps and evaluations so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from lifelong.utilities.amounts import clock

ENOUGH = 5
"""Number of steps after which an experience's own step time replaces that of the previous experience."""


class TimeLeft:
    """Estimate the remaining seconds: the current experience by its own steps, the rest by what came before.

    Args:
        steps: optimizer steps per experience.
        rows: number of evaluation units, such as tasks, after each experience. Its length is the number of experiences.
        unit: seconds per evaluation unit, as far as known before the first evaluation.
        now: returns seconds. Tests replace this clock.

    Example:
        >>> seconds = iter([0.0, 2.0, 4.0])
        >>> left = TimeLeft(3, rows=[8, 8], now=lambda: next(seconds))
        >>> left.begin(0)
        >>> left.step(1), left.step(2)
        (None, 8.0)
    """

    def __init__(
        self, steps: int, rows: Sequence[int], *, unit: float = 0.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.steps, self.rows, self._now = steps, rows, now
        self._of_a_unit, self._of_an_end = unit, 0.0
        self._evaluated = 0.0
        self._experience, self._began, self._last, self._seen = 0, 0.0, 0.0, 0
        self._of_a_step: float | None = None
        self._is_done = False

    def begin(self, experience: int) -> None:
        """Start an experience; the time since the last step counts as time between experiences.

        Args:
            experience: number of the experience, from 0.
        """
        now = self._now()
        if self._is_done:
            self._of_an_end = max(now - self._last - self._evaluated, 0.0)
        self._experience, self._began, self._last, self._seen, self._is_done = experience, now, now, 0, False
        self._evaluated = 0.0

    def evaluated(self, seconds: float) -> None:
        """Record the time of the evaluation after this experience, to estimate the following ones.

        Args:
            seconds: time of all its units.
        """
        self._evaluated = seconds
        if units := self.rows[self._experience]:
            self._of_a_unit = seconds / units

    def step(self, done: int) -> float | None:
        """Return the seconds that are left after a step. None if there is no estimate yet.

        Args:
            done: number of finished steps of this experience, from 1. A resumed run begins with a later one.
        """
        now = self._now()
        self._seen += 1
        if self._seen == 1:
            self._began = now  # the first step is a warm-up
        elif self._seen > ENOUGH or self._of_a_step is None or self._experience == 0:
            self._of_a_step = (now - self._began) / (self._seen - 1)
        self._last, self._is_done = now, done >= self.steps
        if self._of_a_step is None:
            return None
        rows = self.rows[self._experience :]
        steps = max(self.steps - done, 0) + (len(rows) - 1) * self.steps
        return steps * self._of_a_step + sum(rows) * self._of_a_unit + len(rows) * self._of_an_end


def shown_left(seconds: float | None) -> str:
    """Return the time left as text for a bar, or an empty text if there is no estimate.

    Example:
        >>> shown_left(250.2), shown_left(None)
        (', 4:10 left', '')
    """
    return "" if seconds is None else f", {clock(seconds)} left"
