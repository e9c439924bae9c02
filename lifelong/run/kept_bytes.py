"""What strategies will have kept by the end of a stream, as far as two experiences of a few steps can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifelong.utilities.amounts import bytes_text

NAMES = ("the first experience", "the second")
"""Of the experiences that are measured."""


@dataclass(frozen=True)
class KeptBytes:
    """Hold what one strategy kept while a few steps were measured.

    Args:
        name: of the strategy.
        ends: bytes after the first experience, and after the second where there is one.
        by_step: bytes that a step of the last of them added, as a reservoir does.
        most: a bound that the strategy tells; None where there is none.

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
        """Estimate the bytes in the end: each further experience, or each step, adds what the last one measured has.

        Args:
            n_experiences: that are learnt.
            steps: optimizer steps of each.
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
            n_experiences: that are learnt.
            steps: optimizer steps of each.

        Example:
            >>> KeptBytes("AdapterBank", (3000, 4000)).text(n_experiences=5, steps=100)
            'AdapterBank 3.0 kB after the first experience, 4.0 kB after the second, about 7.0 kB in the end'
        """
        # Where every step adds something, those few say nothing of a whole experience.
        measured = () if self.by_step > 0 else zip(self.ends[:n_experiences], NAMES, strict=False)
        parts = [f"{bytes_text(n)} after {name}" for n, name in measured]
        if self.by_step > 0 or n_experiences > len(self.ends):
            parts.append(f"about {bytes_text(self.at_end(n_experiences, steps))} in the end")
        return f"{self.name} {', '.join(parts)}"
