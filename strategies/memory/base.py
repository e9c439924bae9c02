"""The contract of a memory: past units within a budget, and new batches drawn from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.pool import Pool
from lifelong.data.position import Position, Visit
from lifelong.learners.base import Learner


class Memory(ABC):
    """Store past units within a budget and draw new batches from them."""

    @abstractmethod
    def check(self, visits: Sequence[Visit]) -> None:
        """Refuse a budget that is too small for some experiences, before training starts."""

    @abstractmethod
    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Begin an experience; refuse a budget that is too small for it and the stored units."""

    @abstractmethod
    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Store units of an experience at its end."""

    @abstractmethod
    def update(
        self,
        learner: Learner,
        batch: Episode,
        position: Position,
        extra: Mapping[str, Tensor] | None = None,
        *,
        runner: TaskRunner,
    ) -> None:
        """Store some of the stream's own units of a step's batch; no effect if units are stored at the end."""

    @abstractmethod
    def draw(self, n_units: int, position: Position, like: Episode, experience: int | None = None) -> Episode:
        """Return this rank's share of ``n_units`` in the shape of ``like``, optionally of one past experience."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of examples."""

    @property
    @abstractmethod
    def experiences(self) -> list[int]:
        """Return the past experiences with stored units, as accepted by :meth:`draw`."""

    @property
    @abstractmethod
    def n_past(self) -> int:
        """Return the number of past experiences with stored units."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Return the bytes of all that is stored."""

    @abstractmethod
    def state(self) -> Any:
        """Return all that is stored, for a checkpoint."""

    @abstractmethod
    def load(self, state: Any) -> None:
        """Restore all that is stored from a checkpoint."""


def example_bytes(pool: Pool) -> int:
    """Return the bytes of one example of a pool: its input, and its target if that is not just a class."""
    targets = 0 if pool.targets is None else pool.targets[0].nbytes
    return int(pool.x[0].nbytes + targets)
