"""Limits how often a slow action is run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Sparingly:
    """Run an action only if it takes at most a share of the total time: with 5 %, 1 s of work waits for 20 s.

    Files about the state of a run grow with the square of its length, and drawing figures takes longer than a short
    experience; without this limit, they would take most of the time of a run.

    Args:
        share: share of the total time.
        clock: returns seconds.

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
        """Run the action if it is due, and return whether it was run."""
        began = self.clock()
        if began < self._due:
            return False
        action()
        self._due = began + (self.clock() - began) / self.share
        return True
