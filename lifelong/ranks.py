"""What processes that train together tell each other: sums, and rows in the order of one process alone."""

from __future__ import annotations

import lightning as L
import torch
from torch import Tensor


def sum_over_ranks(value: Tensor, trainer: L.Trainer | None) -> Tensor:
    """A tensor added up over all processes of a Trainer; as it is without one."""
    if trainer is None or trainer.world_size == 1:
        return value
    return trainer.strategy.reduce(value, reduce_op="sum")


def gather_over_ranks(rows: Tensor, trainer: L.Trainer | None) -> Tensor:
    """The rows ``(B, …)`` of all processes in the order that one process alone would have them in."""
    if trainer is None or trainer.world_size == 1:
        return rows
    gather = trainer.strategy.all_gather
    sizes = gather(torch.tensor([len(rows)], device=rows.device)).flatten().tolist()
    padding = rows.new_zeros(max(sizes) - len(rows), *rows.shape[1:])
    # Unit i of a step is row i // world of rank i % world, so ranks with one row less are the last ones.
    together = gather(torch.cat([rows, padding]))
    return together.transpose(0, 1).flatten(0, 1)[: sum(sizes)]
