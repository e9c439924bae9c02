"""Counter-based sampling: every task is a pure function of its position, not of a generator's history.

Task ``i`` of experience ``e`` depends only on ``(seed, purpose, e, i)``, so any number of ranks draws the same tasks,
and a run resumed within an experience continues with exactly the next task.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lifelong.data.episode import Episode
from lifelong.data.pool import Pool, TaskShape

PURPOSES = (
    "train",
    "val",
    "test",
    "rehearse",
    "memory",
    "fisher",
    "labels",
    "signature",
    "split",
    "pixels",
    "centre",
    "clustering",
    "classes",
    "fade",
    "drive",
    "head",
    "augment",
)
"""Purposes of random numbers, each with an independent random stream; strategies may use further purposes."""


def generator(seed: int, purpose: str, experience: int, index: int = 0) -> np.random.Generator:
    """Return the random generator of one task: a Philox counter (Salmon et al. 2011) keyed by its position.

    Example:
        >>> a, b = generator(0, "train", 2, 7), generator(0, "train", 2, 7)
        >>> int(a.integers(1000)) == int(b.integers(1000))
        True
    """
    key = np.array(_key(seed, purpose, experience), np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, index]))


@functools.lru_cache(maxsize=256)  # shared by the tasks of an experience; hashing is as slow as drawing
def _key(seed: int, purpose: str, experience: int) -> tuple[int, int]:
    numbers = [seed, _number(purpose), experience]
    first, second = np.random.SeedSequence(numbers).generate_state(2, np.uint64)
    return int(first), int(second)


def _number(purpose: str) -> int:
    if purpose in PURPOSES:
        return PURPOSES.index(purpose)
    return len(PURPOSES) + int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")


@dataclass(frozen=True, eq=False)
class Draw:
    """Store the indices of one task in a pool, which a loader yields before examples are gathered.

    Args:
        pool: pool of the examples.
        support: ``(S,)`` indices; example ``s`` belongs to way ``s % n_way``.
        query: ``(Q,)`` indices in the same order.
        classes: ``(N,)`` stream-wide indices of the classes.
    """

    pool: Pool
    support: np.ndarray
    query: np.ndarray
    classes: np.ndarray


def draw_task(pools: Sequence[Pool], shape: TaskShape, rng: np.random.Generator) -> Draw:
    """Draw one task from one of the pools; ways, and examples of a way, do not repeat within a task.

    The examples of an ordered pool are consecutive, the support set before the query set. If a pool has separate
    examples for support sets, the support set is drawn from those.
    """
    pool = pools[int(rng.integers(len(pools)))] if len(pools) > 1 else pools[0]
    if pool.fixed_ways:
        classes = np.argsort(pool.numbers[:: pool.n_variants]) * pool.n_variants
    else:
        classes = rng.choice(pool.n_classes, shape.n_way, replace=False) * pool.n_variants
    if pool.n_variants > 1:
        classes = classes + rng.integers(pool.n_variants, size=shape.n_way)
    picked = np.stack([_pick(pool, int(c), shape, rng) for c in classes], axis=1)
    support, query = picked[: shape.n_shot].reshape(-1), picked[shape.n_shot :].reshape(-1)
    return Draw(pool, support, query, pool.numbers[classes])


def _pick(pool: Pool, number: int, shape: TaskShape, rng: np.random.Generator) -> np.ndarray:
    """Draw the examples of one class, the support examples first."""
    members, n = pool.members[number], shape.per_class
    if pool.support is not None:
        support = rng.choice(pool.support[number], shape.n_shot, replace=False)
        return np.concatenate([support, rng.choice(members, shape.n_query, replace=False)])
    if pool.ordered:
        start = int(rng.integers(len(members) - n + 1))
        return members[start : start + n]
    return rng.choice(members, n, replace=False)


def gather(draws: Sequence[Draw], shape: TaskShape, device: torch.device) -> Episode:
    """Gather drawn tasks as an ``Episode`` on the device, in the same order."""
    support_x, support_y = _collect(draws, [d.support for d in draws], shape, device)
    query_x, query_y = _collect(draws, [d.query for d in draws], shape, device)
    n_way = 0 if draws[0].pool.is_regression else shape.n_way
    classes = torch.from_numpy(np.stack([d.classes for d in draws])).to(device, non_blocking=True)
    return Episode(support_x, support_y, query_x, query_y, torch.ones(len(draws), device=device), n_way, classes)


def _collect(
    draws: Sequence[Draw], indices: Sequence[np.ndarray], shape: TaskShape, device: torch.device
) -> tuple[Tensor, Tensor]:
    rows: list[Tensor | None] = [None] * len(draws)
    targets: list[Tensor | None] = [None] * len(draws)
    for pool in {id(d.pool): d.pool for d in draws}.values():
        places = [i for i, d in enumerate(draws) if d.pool is pool]
        stacked = np.stack([indices[i] for i in places])
        x = pool.gather(stacked, device)
        if len(places) == len(draws):
            return x, pool.gather_targets(stacked, device) if pool.is_regression else _labels(stacked, shape, device)
        y = pool.gather_targets(stacked, device) if pool.is_regression else _labels(stacked, shape, device)
        for place, row, target in zip(places, x, y, strict=True):
            rows[place], targets[place] = row, target
    return _stack(rows), _stack(targets)


def _stack(rows: Iterable[Tensor | None]) -> Tensor:
    return torch.stack([row for row in rows if row is not None])


def _labels(indices: np.ndarray, shape: TaskShape, device: torch.device) -> Tensor:
    ways = torch.arange(shape.n_way, device=device)
    return ways.repeat(indices.shape[0], indices.shape[1] // shape.n_way)
