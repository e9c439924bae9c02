"""The contract of a memory: a budget, a policy of what to keep, and new batches drawn from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.pool import Pool
from lifelong.data.position import Position, Visit
from lifelong.learners.base import Learner


class Memory(ABC):
    """Past units within a budget, and new batches drawn from them."""

    @abstractmethod
    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """An experience begins: refuse a budget that will be too small before any time is spent."""

    @abstractmethod
    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """An experience ends: keep a share of it."""

    @abstractmethod
    def watch(
        self,
        learner: Learner,
        batch: Episode,
        position: Position,
        extra: Mapping[str, Tensor] | None = None,
        *,
        runner: TaskRunner,
    ) -> None:
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


def example_bytes(pool: Pool) -> int:
    """Bytes of one example of a pool: its input, and its target if it has a real one."""
    targets = 0 if pool.targets is None else pool.targets[0].nbytes
    return int(pool.x[0].nbytes + targets)
