"""Estimate of what strategies have stored at the end of a stream, from a few steps of two experiences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifelong.utilities.amounts import bytes_text

NAMES = ("the first experience", "the second")
"""Names of the measured experiences."""


@dataclass(frozen=True)
class KeptBytes:
    """Hold how many bytes one strategy stored while a few steps were measured.

    Args:
        name: name of the strategy.
        ends: bytes after the first experience and, if measured, after the second.
        by_step: bytes that each step of the last measured experience added, as in reservoir sampling.
        most: upper bound in bytes that the strategy states. None if it states none.

    Example:
        >>> KeptBytes("AdapterBank", (3000, 4000)).at_end(n_experiences=5, steps=100)
        7000
        >>> KeptBytes("Replay", (3000, 4000), most=5000).at_end(n_experiences=5, steps=100)
        5000
        >>> KeptBytes("Replay", (30, 60), by_step=10, most=9000).at_end(n_experiences=5, steps=100)
        5000
    """

    name: str
    ends: Sequence[int]
    by_step: float = 0.0
    most: int | None = None

    def at_end(self, n_experiences: int, steps: int) -> int:
        """Estimate the bytes at the end of the stream, with constant growth per experience or per step.

        Args:
            n_experiences: number of experiences.
            steps: optimizer steps per experience.
        """
        first, last = self.ends[0], self.ends[-1]
        if self.by_step > 0:
            estimate = round(n_experiences * steps * self.by_step)
        elif len(self.ends) == 1 or n_experiences == 1:
            estimate = first
        else:
            estimate = first + (n_experiences - 1) * max(last - first, 0)
        return estimate if self.most is None else min(estimate, self.most)

    def text(self, n_experiences: int, steps: int) -> str:
        """Write what was measured and what is estimated.

        Args:
            n_experiences: number of experiences.
            steps: optimizer steps per experience.

        Example:
            >>> KeptBytes("AdapterBank", (3000, 4000)).text(n_experiences=5, steps=100)
            'AdapterBank 3.0 kB after the first experience, 4.0 kB after the second, about 7.0 kB in the end'
        """
        # If every step adds something, a few steps do not show the size after a whole experience.
        measured = () if self.by_step > 0 else zip(self.ends[:n_experiences], NAMES, strict=False)
        parts = [f"{bytes_text(n)} after {name}" for n, name in measured]
        if self.by_step > 0 or n_experiences > len(self.ends):
            parts.append(f"about {bytes_text(self.at_end(n_experiences, steps))} in the end")
        return f"{self.name} {', '.join(parts)}"
