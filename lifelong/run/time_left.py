"""How long the rest of a stream takes, by what its steps and evaluations have taken so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from lifelong.utilities.amounts import clock

ENOUGH = 5
"""Steps of an experience after which its own time of a step counts, and no longer that of the one before."""


class TimeLeft:
    """Estimate the seconds that are left: of steps by those of this experience, of the rest by what came before.

    Args:
        steps: optimizer steps of each experience.
        rows: the evaluation units, such as tasks, after each experience; as many numbers as experiences are learnt.
        unit: seconds of one of them, as far as that is known before the first.
        now: returns seconds; another clock for tests.

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
        """Note that an experience begins; what has passed since the last step was between two experiences.

        Args:
            experience: its number, from 0.
        """
        now = self._now()
        if self._is_done:
            self._of_an_end = max(now - self._last - self._evaluated, 0.0)
        self._experience, self._began, self._last, self._seen, self._is_done = experience, now, now, 0, False
        self._evaluated = 0.0

    def evaluated(self, seconds: float) -> None:
        """Note what the evaluation after this experience has taken, by which those that follow are estimated.

        Args:
            seconds: of all its units.
        """
        self._evaluated = seconds
        if units := self.rows[self._experience]:
            self._of_a_unit = seconds / units

    def step(self, done: int) -> float | None:
        """Return the seconds that are left after a step; None where nothing can be told yet.

        Args:
            done: steps of this experience that are done, from 1; a run that goes on begins with a later one.
        """
        now = self._now()
        self._seen += 1
        if self._seen == 1:
            self._began = now  # the first one warms up
        elif self._seen > ENOUGH or self._of_a_step is None or self._experience == 0:
            self._of_a_step = (now - self._began) / (self._seen - 1)
        self._last, self._is_done = now, done >= self.steps
        if self._of_a_step is None:
            return None
        rows = self.rows[self._experience :]
        steps = max(self.steps - done, 0) + (len(rows) - 1) * self.steps
        return steps * self._of_a_step + sum(rows) * self._of_a_unit + len(rows) * self._of_an_end


def shown_left(seconds: float | None) -> str:
    """Return the time left for a bar; nothing where none can be told.

    Example:
        >>> shown_left(250.2), shown_left(None)
        (', 4:10 left', '')
    """
    return "" if seconds is None else f", {clock(seconds)} left"
