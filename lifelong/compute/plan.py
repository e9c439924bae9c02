"""A plan: how the tasks of a batch are run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

WITHOUT_RULE = (nn.RNNBase, nn.RNNCellBase, nn.EmbeddingBag)
"""Modules that ``vmap`` cannot map, or maps by a loop with a warning (torch 2.13)."""


@dataclass(frozen=True)
class Plan:
    """Describe how the tasks of a batch are run: sequentially, or several at once.

    Args:
        mapping: ``vmap`` runs tasks at once; ``loop`` runs them sequentially.
        chunk: maximum number of tasks at once under ``vmap``. Default: all.
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


def mapping_by_rule(network: nn.Module, device: torch.device) -> Literal["vmap", "loop"]:
    """Choose a mapping from device and network only, so that the same config always runs in the same way.

    On a CPU, networks with convolutions run in a loop, because the maps of a whole batch exceed the cache
    (``python -m benchmarks throughput``). Everything else runs under ``vmap`` if it is supported.

    Example:
        >>> [mapping_by_rule(network, torch.device("cpu")) for network in (nn.Linear(2, 2), nn.Conv2d(1, 1, 1))]
        ['vmap', 'loop']
    """
    if not takes_vmap(network):
        return "loop"
    is_convolutional = any(isinstance(module, nn.modules.conv._ConvNd) for module in network.modules())
    return "loop" if is_convolutional and device.type == "cpu" else "vmap"


def takes_vmap(network: nn.Module) -> bool:
    """Return whether ``vmap`` supports a network: no running statistics are updated, and it can map every module.

    A module that ``vmap`` cannot map has an attribute ``takes_vmap = False``.
    """
    without = (isinstance(m, WITHOUT_RULE) or not getattr(m, "takes_vmap", True) for m in network.modules())
    return not has_running_statistics(network) and not any(without)


def has_running_statistics(network: nn.Module) -> bool:
    """Return whether a norm layer of the network keeps statistics of past batches.

    Example:
        >>> has_running_statistics(nn.BatchNorm1d(2)), has_running_statistics(nn.LayerNorm(2))
        (True, False)
    """
    return any(getattr(module, "running_mean", None) is not None for module in network.modules())
