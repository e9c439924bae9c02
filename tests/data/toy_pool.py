"""A pool whose inputs say which example they are."""

from __future__ import annotations

import numpy as np
import torch

from lifelong.data.pool import Pool, TaskShape

SHAPE = TaskShape(3, 2, 2)


def toy_pool(sizes: tuple[int, ...] = (4, 5, 6, 9, 4), n_variants: int = 1, offset: int = 0) -> Pool:
    """The input of an example is (its class, its index)."""
    index = np.arange(sum(sizes))
    members = np.split(index, np.cumsum(sizes)[:-1])
    owner = np.repeat(np.arange(len(sizes)), sizes) + offset
    x = torch.from_numpy(np.stack([owner, index], 1)).float()
    return Pool(x, members, [f"c{i}" for i in range(len(sizes))], n_variants=n_variants, name="toy")
