"""A class-balanced memory: the same number of examples per class, selected at the end of each experience."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.pool import Pool
from lifelong.data.position import Position, Visit
from lifelong.data.sampling import generator
from lifelong.learners.base import Learner
from strategies.memory.budget import Budget
from strategies.memory.example_memory import ExampleMemory
from strategies.memory.herding import herd_members
from strategies.memory.rows import LABEL_BYTES, integers


class BalancedMemory(ExampleMemory):
    """Store equally many examples of every class; the shares of older classes shrink when new ones are added.

    Args:
        budget: size of the memory.
        policy: how the examples of a class are selected: ``class_balanced`` (at random) or ``herding``.

    Raises:
        ValueError: when the budget is smaller than the number of classes.
    """

    def __init__(self, budget: Budget, policy: Literal["class_balanced", "herding"] = "class_balanced") -> None:
        super().__init__(budget)
        self.policy = policy

    def check(self, visits: Sequence[Visit]) -> None:
        """Refuse a budget that is too small for the classes of all experiences."""
        self._check_classes(visits, n_kept=0)

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Store the ways of the experience; refuse a budget that is too small for its classes and the stored ones."""
        super().begin(learner, visit, runner=runner)
        self._check_classes([visit], n_kept=len(self.rows.of_class()))

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Shrink the stored classes and store the same number of examples of each new class."""
        rng = generator(visit.seed, "memory", visit.experience.index)
        old, pools = self.rows.of_class(), visit.experience.pools
        new = [(pool, label, members) for pool in pools for label, members in _members_by_class(pool).items()]
        quota = self._quota(len(old) + len(new), pools[0].x[0].nbytes + LABEL_BYTES)
        parts: list[dict[str, Any]] = [self.rows.take(rows[:quota]) for rows in old]
        for pool, label, members in new:
            chosen = self._choose(learner, pool, rng.permutation(members), quota)
            labels = {"label": integers(len(chosen), label), "experience": integers(len(chosen), self.current)}
            parts.append({"x": pool.x[torch.from_numpy(chosen)].to(learner.device), **labels})
        last = parts[-1]
        self.rows.put({name: torch.cat([part[name].to(last[name].device) for part in parts]) for name in last})

    def update(
        self,
        learner: Learner,
        batch: Episode,
        position: Position,
        extra: Mapping[str, Tensor] | None = None,
        *,
        runner: TaskRunner,
    ) -> None:
        """Store nothing, as examples are selected at the end of an experience."""

    @property
    def experiences(self) -> list[int]:
        """Return the past experiences that have stored examples."""
        return list(self.rows.of_experience())

    @property
    def n_past(self) -> int:
        """Return the number of past experiences that have stored examples."""
        return len(self.experiences)

    def _check_classes(self, visits: Sequence[Visit], n_kept: int) -> None:
        pools = [pool for visit in visits for pool in visit.experience.pools]
        needed = n_kept + sum(len(_members_by_class(pool)) for pool in pools)
        self._check_room(pools[0].x[0].nbytes + LABEL_BYTES, needed, visits[-1].experience.name)

    def _quota(self, n_classes: int, example_bytes: int) -> int:
        capacity = self.budget.capacity(example_bytes)
        bounds = [] if capacity is None else [capacity // n_classes]
        return min(bounds if self.budget.per_class is None else [*bounds, self.budget.per_class])

    def _choose(self, learner: Learner, pool: Pool, members: np.ndarray, n: int) -> np.ndarray:
        if self.policy == "class_balanced" or n == 0:
            return members[:n]
        return herd_members(learner, pool, members, n)


def _members_by_class(pool: Pool) -> dict[int, np.ndarray]:
    """Return the examples of each class that has any, with the variants of a class as one class."""
    members: dict[int, np.ndarray] = {}
    for label, numbers in zip(pool.numbers.tolist(), pool.members, strict=True):
        members[label] = np.concatenate([members.get(label, numbers[:0]), numbers])
    return {label: numbers for label, numbers in members.items() if len(numbers)}
