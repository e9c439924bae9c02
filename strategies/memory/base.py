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
    """Keep past units within a budget and draw new batches from them."""

    @abstractmethod
    def check(self, visits: Sequence[Visit]) -> None:
        """Refuse a budget that is too small for some experiences, before any time is spent."""

    @abstractmethod
    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Begin an experience; a budget without room for it beside what is kept is refused here, too."""

    @abstractmethod
    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Keep a share of an experience that ends."""

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
        """Keep some of the stream's own units in a step's batch; neutral where experiences are kept at their end."""

    @abstractmethod
    def draw(self, n_units: int, position: Position, like: Episode, experience: int | None = None) -> Episode:
        """Return this rank's share of ``n_units`` shaped as ``like``; of one of :attr:`experiences` where given."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of examples."""

    @property
    @abstractmethod
    def experiences(self) -> list[int]:
        """Return the past experiences that it holds something of, as :meth:`draw` takes them."""

    @property
    @abstractmethod
    def n_past(self) -> int:
        """Return the number of past experiences that it holds something of."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Return the bytes of all that is stored."""

    @abstractmethod
    def state(self) -> Any:
        """Return all that is stored, for a checkpoint."""

    @abstractmethod
    def load(self, state: Any) -> None:
        """Take all that is stored from a checkpoint."""


def example_bytes(pool: Pool) -> int:
    """Return the bytes of one example of a pool: its input, and its target if it has a real one."""
    targets = 0 if pool.targets is None else pool.targets[0].nbytes
    return int(pool.x[0].nbytes + targets)
