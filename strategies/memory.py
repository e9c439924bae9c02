"""The contract of a memory: a budget, a policy of what to keep, and new batches drawn from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from lifelong.batch import Episode
from lifelong.learner import Learner
from lifelong.pool import Pool
from lifelong.strategy import Position, Visit

Policy = Literal["class_balanced", "herding", "reservoir"]
"""Which examples are kept: ``class_balanced`` equally many of each class, at random; ``herding`` those whose mean
embedding is nearest to that of their class (Rebuffi et al. 2017); ``reservoir`` every example of the stream with
the same probability (Vitter 1985), for which no boundaries are needed."""


@dataclass(frozen=True)
class Budget:
    """How much is kept: the smallest of the bounds that are given.

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
        bounds = {
            "budget_examples": self.examples,
            "budget_bytes": self.bytes,
            "budget_per_class": self.per_class,
        }
        if all(bound is None for bound in bounds.values()):
            raise ValueError(f"the memory has no budget: give one of {', '.join(bounds)}")
        for name, bound in bounds.items():
            if bound is not None and bound < 0:
                raise ValueError(f"{name} is {bound}: it must not be negative")

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is to be kept: a memory that is turned off, not one that is too small."""
        return 0 in (self.examples, self.bytes, self.per_class)

    def capacity(self, example_bytes: int) -> int | None:
        """Examples in all; None where only those of a class are bounded."""
        bounds = [] if self.examples is None else [self.examples]
        if self.bytes is not None:
            bounds.append(self.bytes // example_bytes)
        return min(bounds, default=None)


class Memory(ABC):
    """Past units within a budget, and new batches drawn from them."""

    @abstractmethod
    def begin(self, learner: Learner, visit: Visit) -> None:
        """An experience begins: refuse a budget that will be too small before any time is spent."""

    @abstractmethod
    def end(self, learner: Learner, visit: Visit) -> None:
        """An experience ends: keep a share of it."""

    @abstractmethod
    def watch(self, learner: Learner, batch: Episode, position: Position) -> None:
        """A step's batch goes by: an online policy keeps some of the stream's own units in it."""

    @abstractmethod
    def draw(self, n_units: int, position: Position, like: Episode, home: int | None = None) -> Episode:
        """This rank's share of ``n_units`` from memory, of the shape of ``like``; of one of its ``homes`` if given."""

    @abstractmethod
    def __len__(self) -> int:
        """Examples that it holds."""

    @property
    @abstractmethod
    def homes(self) -> list[int]:
        """The past experiences that it holds something of, as ``draw`` knows them."""

    @property
    @abstractmethod
    def n_past(self) -> int:
        """Past experiences that it holds something of."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of what is kept."""

    @abstractmethod
    def state(self) -> Any:
        """What is kept, for the checkpoint."""

    @abstractmethod
    def load(self, state: Any) -> None:
        """What was kept, from the checkpoint."""


def own_units(position: Position) -> int:
    """How many units of this rank's batch are the stream's own: the first ones, before any that strategies added."""
    return len(range(position.rank, position.n_tasks, position.world))


def example_bytes(pool: Pool) -> int:
    """Bytes of one example of a pool: its input, and its target if it has a real one."""
    targets = 0 if pool.targets is None else pool.targets[0].nbytes
    return int(pool.x[0].nbytes + targets)
