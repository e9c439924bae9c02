"""Communication between the processes of a training run: sums, and rows in the order of a single process.

Without a process group the functions return their input, so the same code works for one or several processes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as dist


def world_size() -> int:
    """Return the number of processes of the training run.

    Example:
        >>> world_size()
        1
    """
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the index of this process, from 0.

    Example:
        >>> rank()
        0
    """
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def sum_over_ranks(value: Tensor) -> Tensor:
    """Sum a tensor over all processes.

    Example:
        >>> sum_over_ranks(torch.tensor(2.0))
        tensor(2.)
    """
    if world_size() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def gather_over_ranks(rows: Tensor) -> Tensor:
    """Gather the rows ``(B, …)`` of all processes in the order that a single process would have.

    Unit ``i`` of a step is row ``i // world`` of rank ``i % world``.

    Example:
        >>> gather_over_ranks(torch.arange(3))
        tensor([0, 1, 2])
    """
    if world_size() == 1:
        return rows
    sizes = [int(size) for size in _all(torch.tensor([len(rows)], device=rows.device))]
    padding = rows.new_zeros(max(sizes) - len(rows), *rows.shape[1:])
    together = torch.stack(_all(torch.cat([rows, padding])))
    # Only the last ranks have one row less, so all padding is at the end.
    return together.transpose(0, 1).flatten(0, 1)[: sum(sizes)]


def _all(tensor: Tensor) -> list[Tensor]:
    parts = [torch.empty_like(tensor) for _ in range(world_size())]
    dist.all_gather(parts, tensor.contiguous())
    return parts
