"""An estimate with its 95 % confidence interval, and the formatting of numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over tasks with its 95 % confidence interval, ``value ± half_width``.

    Args:
        value: the mean; NaN if it is not available.
        half_width: half the length of the interval; NaN if there is a single task.
        reason: why the value is not available; empty if it is available.

    Example:
        >>> print(Estimate(0.873, 0.006).scaled(100))
        87.3 ± 0.6
    """

    value: float
    half_width: float
    reason: str = ""

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate in another unit, such as percent for ``factor=100``."""
        return Estimate(self.value * factor, self.half_width * abs(factor), self.reason)

    def __str__(self) -> str:
        return self.text(decimals([self.value, self.half_width]))

    def text(self, places: int) -> str:
        """Return the estimate with this many decimal places."""
        if math.isnan(self.value):
            return "n/a"
        return f"{number(self.value, places)} ± {number(self.half_width, places)}"


def decimals(values: Array | list[float]) -> int:
    """Choose the number of decimal places that shows three significant digits of the largest value.

    Example:
        >>> decimals([0.873, 0.006]), decimals([87.3, 0.6]), decimals([0.00123]), decimals([1234.5])
        (3, 1, 5, 0)
    """
    sizes = np.abs(np.asarray(values, dtype=float))
    largest = sizes[np.isfinite(sizes)].max(initial=0.0)
    return max(3 - math.ceil(math.log10(largest)), 0) if largest > 0 else 3


def number(value: float, places: int) -> str:
    """Format a number with fixed decimal places, NaN as ``n/a``, and a zero without minus sign.

    Example:
        >>> number(0.8731, 3), number(-0.0001, 1), number(float("nan"), 1)
        ('0.873', '0.0', 'n/a')
    """
    return "n/a" if math.isnan(value) else f"{round(value, places) + 0.0:.{places}f}"
