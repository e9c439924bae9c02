"""Replay: keep raw examples of past experiences and learn NEW tasks drawn from them.

Shapes: ``B`` tasks of the current batch, ``M`` rehearsed tasks.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch

from lifelong.batch import Episode
from lifelong.learner import Learner
from lifelong.pool import Pool, TaskShape
from lifelong.sampling import draw_task, gather, generator
from lifelong.strategy import Position, Strategy, Visit


class Replay(Strategy):
    """Raw examples by experience and class, within a budget, re-drawn into new tasks at every step.

    After ``t − 1`` experiences the loss is ``1/t · mean current + (1 − 1/t) · mean rehearsed``: each experience counts
    alike (``weighting: equal`` counts each task alike). A task never mixes experiences.

    Every experience keeps an equal share of the budget, in whole classes of at least ``n_shot + n_query`` examples;
    older shares shrink by whole classes when a new experience comes.

    Args:
        budget_examples: examples kept in all; None for no such bound.
        budget_bytes: bytes of examples kept in all; None for no such bound.
        n_replay: rehearsed tasks per step over all devices; as many as current ones where None.
        weighting: ``experience`` or ``equal``.

    Raises:
        ValueError: when the budget cannot hold one task per experience (the numbers are named).

    Reference:
        Chaudhry et al., "On Tiny Episodic Memories in Continual Learning", 2019. Differences: whole classes in place
        of a reservoir, which would break tasks apart; tasks are drawn anew.

    Example:
        >>> Replay(budget_examples=500).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True
    needs_support: ClassVar[bool] = True

    def __init__(
        self,
        *,
        budget_examples: int | None = 2000,
        budget_bytes: int | None = None,
        n_replay: int | None = None,
        weighting: Literal["experience", "equal"] = "experience",
    ) -> None:
        super().__init__()
        if budget_examples is None and budget_bytes is None:
            raise ValueError("Replay has no budget: give budget_examples or budget_bytes")
        self.budget_examples, self.budget_bytes = budget_examples, budget_bytes
        self.n_replay, self.weighting = n_replay, weighting
        self.pools: list[Pool] = []

    def begin(self, learner: Learner, visit: Visit) -> None:
        """Refuse a budget that will be too small before any time is spent."""
        shape = _shape(next(visit.batches("memory", _LOTS))[1])
        for pool in visit.experience.pools:
            capacity, needed = self._capacity(pool), shape.n_way * shape.per_class * pool.n_variants
            if 0 < capacity < needed * visit.n_experiences:
                raise ValueError(
                    f"Replay's budget of {capacity} examples leaves {capacity // visit.n_experiences} for each of "
                    f"{visit.n_experiences} experiences, but one task ({shape}) needs {needed}: raise the budget to at "
                    f"least {needed * visit.n_experiences} examples"
                )

    def end(self, learner: Learner, visit: Visit) -> None:
        """Shrink what is kept and keep a share of this experience."""
        shape = _shape(next(visit.batches("memory", _LOTS))[1])
        rng = generator(visit.seed, "memory", visit.experience.index)
        candidates = [*self.pools, *(_shuffle(pool, rng) for pool in visit.experience.pools)]
        shares = [self._capacity(pool) // len(candidates) for pool in candidates]
        needed = [shape.n_way * shape.per_class * pool.n_variants for pool in candidates]
        self.pools = [
            _prefix(pool, share, shape.per_class)
            for pool, share, need in zip(candidates, shares, needed, strict=True)
            if share >= need
        ]

    def rehearse(self, batch: Episode, position: Position) -> Episode:
        """The batch with this rank's share of the rehearsed tasks."""
        n_replay = position.n_tasks if self.n_replay is None else self.n_replay
        mine = range(position.rank, n_replay, position.world) if self.pools else range(0)
        if not mine:
            return batch
        shape = _shape(batch)
        draws = []
        for task in mine:
            index = position.step * n_replay + task
            rng = generator(position.seed, "rehearse", position.experience, index)
            draws.append(draw_task([self.pools[index % len(self.pools)]], shape, rng))
        old = gather(draws, shape, batch.weight.device)
        weight = len(self.pools) * position.n_tasks / n_replay if self.weighting == "experience" else 1.0
        return Episode.cat([batch, old.weighted(weight)])

    def memory_bytes(self) -> int:
        """Bytes of the examples that are kept."""
        return sum(len(pool) * _example_bytes(pool) for pool in self.pools)

    def get_extra_state(self) -> list[dict[str, Any]]:
        """What is kept, for the checkpoint."""
        return [
            {"x": p.x, "targets": p.targets, "names": p.names, "name": p.name, "sizes": [len(m) for m in p.members]}
            | {"n_variants": p.n_variants, "numbers": p.numbers.tolist()}
            for p in self.pools
        ]

    def set_extra_state(self, state: list[dict[str, Any]]) -> None:
        """What was kept, from the checkpoint."""
        self.pools = []
        for kept in state:
            members = np.split(np.arange(sum(kept["sizes"])), np.cumsum(kept["sizes"])[:-1])
            x, targets = (None if t is None else t.cpu() for t in (kept["x"], kept["targets"]))
            assert x is not None
            same = {key: kept[key] for key in ("n_variants", "name", "numbers")}
            self.pools.append(Pool(x, members, kept["names"], targets=targets, **same))

    def _capacity(self, pool: Pool) -> int:
        bounds = [self.budget_examples] if self.budget_examples is not None else []
        if self.budget_bytes is not None:
            bounds.append(self.budget_bytes // _example_bytes(pool))
        return min(bounds)


_LOTS = 1024
"""More tasks than there are ranks, so that each rank sees one and can read its shape."""


def _shape(batch: Episode) -> TaskShape:
    n_way = batch.n_way or 1
    return TaskShape(n_way, batch.support_x.shape[1] // n_way, batch.query_x.shape[1] // n_way)


def _example_bytes(pool: Pool) -> int:
    targets = 0 if pool.targets is None else pool.targets[0].nbytes
    return int(pool.x[0].nbytes + targets)


def _shuffle(pool: Pool, rng: np.random.Generator) -> Pool:
    # Classes and examples in random order: any prefix is then a fair sample, also after later shrinking. Variants of a
    # class stay side by side.
    families = rng.permutation(pool.n_classes)[:, None] * pool.n_variants + np.arange(pool.n_variants)
    shuffled = pool.take(families.ravel().tolist(), pool.name)
    shuffled.members = [rng.permutation(members) for members in shuffled.members]
    return shuffled


def _prefix(pool: Pool, share: int, per_class: int) -> Pool:
    """The first classes and examples that fit into a share, in memory of their own."""
    n_classes = min(pool.n_classes, share // (per_class * pool.n_variants)) * pool.n_variants
    kept = [members[: share // n_classes] for members in pool.members[:n_classes]]
    index = torch.from_numpy(np.concatenate(kept))
    members = np.split(np.arange(len(index)), np.cumsum([len(m) for m in kept])[:-1])
    targets = None if pool.targets is None else pool.targets[index]
    return Pool(
        pool.x[index],
        members,
        pool.names[:n_classes],
        targets=targets,
        n_variants=pool.n_variants,
        name=pool.name,
        numbers=pool.numbers[:n_classes],
    )
