"""The budget of a memory, and the policies by which it is spent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lifelong.utilities.ranges import check_number

Policy = Literal["class_balanced", "herding", "reservoir"]
"""Which examples are kept: ``class_balanced`` equally many of each class, at random; ``herding`` those whose mean
embedding is nearest to that of their class (Rebuffi et al. 2017); ``reservoir`` every example of the stream with
the same probability (Vitter 1985), for which no boundaries are needed."""


@dataclass(frozen=True)
class Budget:
    """Limit the size of a memory; where several limits are given, the smallest one decides.

    Args:
        examples: in all.
        bytes: in all, of all that is kept for an example.
        per_class: of each class, so that the memory grows with the number of classes.

    Raises:
        ValueError: when there is no bound, or a negative one.

    Example:
        >>> Budget(examples=10, bytes=80).capacity(example_bytes=16)
        5
    """

    examples: int | None = None
    bytes: int | None = None
    per_class: int | None = None

    def __post_init__(self) -> None:
        bounds = {"examples": self.examples, "bytes": self.bytes, "per_class": self.per_class}
        if all(bound is None for bound in bounds.values()):
            raise ValueError(f"the memory has no budget: give one of {', '.join(f'budget.{name}' for name in bounds)}")
        for name, bound in bounds.items():
            check_number(f"budget.{name}", bound, least=0, whole=True)

    @property
    def is_nothing(self) -> bool:
        """Tell whether nothing is to be stored: a memory that is turned off, not one that is too small."""
        return 0 in (self.examples, self.bytes, self.per_class)

    def capacity(self, example_bytes: int) -> int | None:
        """Return how many examples fit in all; None where only those of a class are bounded."""
        bounds = [] if self.examples is None else [self.examples]
        if self.bytes is not None:
            bounds.append(self.bytes // example_bytes)
        return min(bounds, default=None)
