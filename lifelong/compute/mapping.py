"""Mapping a pure function of one task over the tasks of a batch: with ``vmap``, in chunks, or in a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch.utils import _pytree as pytree

from lifelong.compute.vmap_fixes import written_out


def over_tasks(
    function: Callable[..., Any], *batched: Any, mapping: Literal["vmap", "loop"], chunk: int | None = None
) -> Any:
    """Apply ``function`` to every task of nested tensors ``(B, …)``; results are stacked along a new first axis.

    Args:
        function: a pure function that receives one task's part of each argument and returns tensors in any nesting.
        batched: tensors ``(B, …)`` in any nesting.
        mapping: ``vmap`` runs all tasks at once; ``loop`` runs them sequentially.
        chunk: maximum number of tasks at once under ``vmap``. Default: all.

    Example:
        >>> over_tasks(lambda a, b: a @ b, torch.ones(3, 2), torch.ones(3, 2), mapping="loop")
        tensor([2., 2., 2.])
    """
    if mapping == "vmap":
        with written_out():
            return torch.func.vmap(function, randomness="different", chunk_size=chunk)(*batched)
    leaves, nesting = pytree.tree_flatten(batched)
    results = [function(*pytree.tree_unflatten(task, nesting)) for task in zip(*leaves, strict=True)]
    flat, structure = zip(*(pytree.tree_flatten(result) for result in results), strict=True)
    return pytree.tree_unflatten([torch.stack(column) for column in zip(*flat, strict=True)], structure[0])
