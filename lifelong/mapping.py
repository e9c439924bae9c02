"""Running a pure function of one task over the tasks of a batch: with ``vmap``, in chunks, or in a loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.utils import _pytree as pytree

from lifelong.under_vmap import written_out

Mapping = Literal["auto", "vmap", "loop"]
WITHOUT_RULE = (nn.RNNBase, nn.RNNCellBase, nn.EmbeddingBag)
"""Modules that ``vmap`` cannot map, or falls back to a loop for with a warning (torch 2.13)."""


@dataclass(frozen=True)
class Plan:
    """How the tasks of a batch are run: in turn, or so many at once.

    Args:
        mapping: ``vmap`` runs tasks as one; ``loop`` runs them in turn.
        chunk: at most so many tasks at once under ``vmap``; None runs all together.
        graph: training steps replay a captured CUDA graph.

    Example:
        >>> print(Plan("loop"), Plan("vmap"), Plan("vmap", 16), sep="; ")
        one after the other; all at once; 16 at once
    """

    mapping: Literal["vmap", "loop"]
    chunk: int | None = None
    graph: bool = False

    def __str__(self) -> str:
        at_once = "all" if self.chunk is None else self.chunk
        way = "one after the other" if self.mapping == "loop" else f"{at_once} at once"
        return f"{way}, by a captured graph" if self.graph else way


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
        with written_out():
            return torch.func.vmap(function, randomness="different", chunk_size=chunk)(*batched)
    leaves, nesting = pytree.tree_flatten(batched)
    results = [function(*pytree.tree_unflatten(task, nesting)) for task in zip(*leaves, strict=True)]
    flat, structure = zip(*(pytree.tree_flatten(result) for result in results), strict=True)
    return pytree.tree_unflatten([torch.stack(column) for column in zip(*flat, strict=True)], structure[0])


def choose_mapping(network: nn.Module, device: torch.device) -> Literal["vmap", "loop"]:
    """By rule, where nothing is measured: on a CPU convolutions go task by task, as whole batches leave the cache; all
    else under ``vmap``.

    """
    if not takes_vmap(network):
        return "loop"
    convolutional = any(isinstance(module, nn.modules.conv._ConvNd) for module in network.modules())
    return "loop" if convolutional and device.type == "cpu" else "vmap"


def takes_vmap(network: nn.Module) -> bool:
    """Whether ``vmap`` can run a network: not where running statistics are updated in place or a rule is missing."""
    return not has_running_statistics(network) and not any(isinstance(m, WITHOUT_RULE) for m in network.modules())


def has_running_statistics(network: nn.Module) -> bool:
    """Whether a norm layer of the network keeps statistics of past batches."""
    return any(getattr(module, "running_mean", None) is not None for module in network.modules())
