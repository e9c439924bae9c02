"""Running a pure function of one task over the tasks of a batch: with ``vmap``, in chunks, or in a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn
from torch.utils import _pytree as pytree

Mapping = Literal["auto", "vmap", "loop"]
WITHOUT_RULE = (nn.RNNBase, nn.RNNCellBase, nn.EmbeddingBag)
"""Modules that ``vmap`` cannot map, or falls back to a loop for with a warning (torch 2.13)."""


def over_tasks(
    function: Callable[..., Any], *batched: Any, mapping: Literal["vmap", "loop"], chunk: int | None = None
) -> Any:
    """Apply ``function`` to every task of nested tensors ``(B, …)``; results are stacked along a new first axis.

    Args:
        function: pure; takes one task's part of each argument and returns tensors in any nesting.
        batched: tensors ``(B, …)`` in any nesting.
        mapping: ``vmap`` runs all tasks as one; ``loop`` runs them in turn.
        chunk: at most so many tasks at once under ``vmap``; None runs all together.

    Example:
        >>> over_tasks(lambda a, b: a @ b, torch.ones(3, 2), torch.ones(3, 2), mapping="loop")
        tensor([2., 2., 2.])
    """
    if mapping == "vmap":
        return torch.func.vmap(function, randomness="different", chunk_size=chunk)(*batched)
    leaves, nesting = pytree.tree_flatten(batched)
    results = [function(*pytree.tree_unflatten(task, nesting)) for task in zip(*leaves, strict=True)]
    flat, structure = zip(*(pytree.tree_flatten(result) for result in results), strict=True)
    return pytree.tree_unflatten([torch.stack(column) for column in zip(*flat, strict=True)], structure[0])


def choose_mapping(network: nn.Module, device: torch.device) -> Literal["vmap", "loop"]:
    """By rule: on a CPU convolutions go task by task, as whole batches leave the cache; all else under ``vmap``.

    Running statistics are updated in place, which ``vmap`` cannot do, and for some modules it has no rule: networks
    with either go task by task everywhere.
    """
    if has_running_statistics(network) or any(isinstance(module, WITHOUT_RULE) for module in network.modules()):
        return "loop"
    convolutional = any(isinstance(module, nn.modules.conv._ConvNd) for module in network.modules())
    return "loop" if convolutional and device.type == "cpu" else "vmap"


def has_running_statistics(network: nn.Module) -> bool:
    """Whether a norm layer of the network keeps statistics of past batches."""
    return any(getattr(module, "running_mean", None) is not None for module in network.modules())
