"""Doing what takes time only as often as it is worth."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Sparingly:
    """Do a thing unless it would take more than a share of all time: what took a second waits for twenty.

    Files that show how a run stands grow with the square of its length, and pictures take longer than a small
    experience: writing them each time would be most of the run.

    Args:
        share: of the time that goes by.
        clock: seconds.

    Example:
        >>> times = iter([0.0, 1.0, 5.0, 21.0, 22.0])
        >>> sparingly = Sparingly(0.05, clock=lambda: next(times))
        >>> [sparingly(lambda: None) for _ in range(3)]  # from 0 to 1; not at 5; from 21 to 22
        [True, False, True]
    """

    def __init__(self, share: float = 0.05, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.share, self.clock = share, clock
        self._due = -math.inf

    def __call__(self, action: Callable[[], None]) -> bool:
        """Do it where it is due, and return whether it was."""
        began = self.clock()
        if began < self._due:
            return False
        action()
        self._due = began + (self.clock() - began) / self.share
        return True
