"""A memory for few-shot tasks: whole classes per experience, from which new tasks are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.pool import Pool, TaskShape
from lifelong.data.position import Position, Visit
from lifelong.data.sampling import draw_task, gather, generator
from lifelong.learners.base import Learner
from strategies.memory.base import Memory, example_bytes
from strategies.memory.budget import Budget


class TaskMemory(Memory):
    """Store examples by experience and class, in whole classes of at least ``n_shot + n_query`` examples.

    Every experience has an equal share of the budget. Older shares shrink by whole classes when a new experience is
    added. A drawn task never mixes experiences.

    Args:
        budget: size of the memory.

    Raises:
        ValueError: when the budget is too small for one task per experience (the message gives the numbers).
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.pools: list[Pool] = []

    def check(self, visits: Sequence[Visit]) -> None:
        """Refuse a budget that is too small for one task of every experience."""
        shape = _shape(next(visits[0].batches("memory", _MANY_TASKS))[1])
        n = visits[0].n_experiences
        for pool in (pool for visit in visits for pool in visit.experience.pools):
            capacity, needed = self._capacity(pool), shape.n_way * shape.per_class * pool.n_variants
            if 0 < capacity < needed * n:
                raise ValueError(
                    f"the memory's budget of {capacity} examples leaves {capacity // n} for each of {n} experiences, "
                    f"but one task ({shape}) needs {needed}: raise the budget to at least {needed * n} examples"
                )

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Refuse a budget that is too small, in case :meth:`check` was not called."""
        self.check([visit])

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Shrink the shares of older experiences and store a share of this one."""
        shape = _shape(next(visit.batches("memory", _MANY_TASKS))[1])
        rng = generator(visit.seed, "memory", visit.experience.index)
        candidates = [*self.pools, *(_shuffle(pool, rng) for pool in visit.experience.pools)]
        shares = [self._capacity(pool) // len(candidates) for pool in candidates]
        needed = [shape.n_way * shape.per_class * pool.n_variants for pool in candidates]
        self.pools = [
            _prefix(pool, share, shape.per_class)
            for pool, share, need in zip(candidates, shares, needed, strict=True)
            if share >= need
        ]

    def update(
        self,
        learner: Learner,
        batch: Episode,
        position: Position,
        extra: Mapping[str, Tensor] | None = None,
        *,
        runner: TaskRunner,
    ) -> None:
        """Store nothing, as whole classes are selected at the end of an experience."""

    def draw(self, n_units: int, position: Position, like: Episode, experience: int | None = None) -> Episode:
        """Return new tasks; task ``i`` of a step depends only on the seed, the step and ``i``."""
        shape, draws = _shape(like), []
        for task in range(position.rank, n_units, position.world):
            index = position.step * n_units + task
            rng = generator(position.seed, "rehearse", position.experience, index)
            pool = self.pools[index % len(self.pools) if experience is None else experience]
            draws.append(draw_task([pool], shape, rng))
        return gather(draws, shape, like.weight.device)

    def __len__(self) -> int:
        return sum(len(pool) for pool in self.pools)

    @property
    def experiences(self) -> list[int]:
        """Return the indices of its pools, one for each past experience that has stored classes."""
        return list(range(len(self.pools)))

    @property
    def n_past(self) -> int:
        """Return the number of past experiences that have stored classes."""
        return len(self.pools)

    @property
    def nbytes(self) -> int:
        """Return the bytes of the examples."""
        return sum(len(pool) * example_bytes(pool) for pool in self.pools)

    def state(self) -> list[dict[str, Any]]:
        """Return all that is stored, for a checkpoint."""
        return [
            {"x": p.x, "targets": p.targets, "names": p.names, "name": p.name, "sizes": [len(m) for m in p.members]}
            | {"n_variants": p.n_variants, "numbers": p.numbers.tolist(), "fixed_ways": p.fixed_ways}
            | {"ordered": p.ordered}
            for p in self.pools
        ]

    def load(self, state: list[dict[str, Any]]) -> None:
        """Restore all that is stored from a checkpoint."""
        self.pools = []
        for saved in state:
            members = np.split(np.arange(sum(saved["sizes"])), np.cumsum(saved["sizes"])[:-1])
            x, targets = (None if t is None else t.cpu() for t in (saved["x"], saved["targets"]))
            assert x is not None
            settings = {key: saved[key] for key in ("n_variants", "name", "numbers", "fixed_ways", "ordered")}
            self.pools.append(Pool(x, members, saved["names"], targets=targets, **settings))

    def _capacity(self, pool: Pool) -> int:
        capacity = self.budget.capacity(example_bytes(pool))
        assert capacity is not None
        return capacity


_MANY_TASKS = 1024
"""More tasks than ranks, so that each rank receives one and can read its shape."""


def _shape(batch: Episode) -> TaskShape:
    n_way = batch.n_way or 1
    return TaskShape(n_way, batch.support_x.shape[1] // n_way, batch.query_x.shape[1] // n_way)


def _shuffle(pool: Pool, rng: np.random.Generator) -> Pool:
    # Classes and examples are shuffled, so that any prefix is a random sample, also after shrinking. Variants of a
    # class stay adjacent, and examples of a time series keep their order.
    families = rng.permutation(pool.n_classes)[:, None] * pool.n_variants + np.arange(pool.n_variants)
    shuffled = pool.take(families.ravel().tolist(), pool.name)
    if not pool.ordered:
        shuffled.members = [rng.permutation(members) for members in shuffled.members]
    return shuffled


def _prefix(pool: Pool, share: int, per_class: int) -> Pool:
    """Return a copy of the first classes and examples that fit into a share."""
    n_classes = min(pool.n_classes, share // (per_class * pool.n_variants)) * pool.n_variants
    in_share = [members[: share // n_classes] for members in pool.members[:n_classes]]
    index = torch.from_numpy(np.concatenate(in_share))
    members = np.split(np.arange(len(index)), np.cumsum([len(m) for m in in_share])[:-1])
    targets = None if pool.targets is None else pool.targets[index]
    return Pool(
        pool.x[index],
        members,
        pool.names[:n_classes],
        targets=targets,
        n_variants=pool.n_variants,
        name=pool.name,
        numbers=pool.numbers[:n_classes],
        fixed_ways=pool.fixed_ways,
        ordered=pool.ordered,
    )
