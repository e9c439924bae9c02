"""The budget of a memory, and the policies that select what is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lifelong.utilities.ranges import check_number

Policy = Literal["class_balanced", "herding", "reservoir"]
"""How examples are selected: ``class_balanced`` stores equally many random examples per class; ``herding`` those whose
mean embedding is nearest to that of their class (Rebuffi et al. 2017); ``reservoir`` every example of the stream with
the same probability (Vitter 1985), without boundaries."""


@dataclass(frozen=True)
class Budget:
    """Limit the size of a memory; if several limits are given, the strictest one applies.

    Args:
        examples: total number of examples.
        bytes: total size in bytes of everything that is stored per example.
        per_class: examples per class; the memory then grows with the number of classes.

    Raises:
        ValueError: when no limit is given, or one is negative.

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
        """Return whether a limit is zero, which turns the memory off."""
        return 0 in (self.examples, self.bytes, self.per_class)

    def capacity(self, example_bytes: int) -> int | None:
        """Return the total number of examples that fit; None if only the examples per class are limited."""
        bounds = [] if self.examples is None else [self.examples]
        if self.bytes is not None:
            bounds.append(self.bytes // example_bytes)
        return min(bounds, default=None)
