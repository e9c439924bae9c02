"""Running a pure function of one task over the tasks of a batch: with ``vmap``, in chunks, or in a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
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
        with norms_that_scale_apart():
            return torch.func.vmap(function, randomness="different", chunk_size=chunk)(*batched)
    leaves, nesting = pytree.tree_flatten(batched)
    results = [function(*pytree.tree_unflatten(task, nesting)) for task in zip(*leaves, strict=True)]
    flat, structure = zip(*(pytree.tree_flatten(result) for result in results), strict=True)
    return pytree.tree_unflatten([torch.stack(column) for column in zip(*flat, strict=True)], structure[0])


FUSED: dict[str, Callable[..., Tensor]] = {
    "layer_norm": F.layer_norm,
    "batch_norm": F.batch_norm,
    "instance_norm": F.instance_norm,
}
"""Norms whose second derivative ``vmap`` gets wrong, silently, where they also scale and shift (torch 2.13)."""


@contextmanager
def norms_that_scale_apart() -> Iterator[None]:
    """Norms scale and shift in operations of their own, as second derivatives under ``vmap`` need it."""
    # Not a TorchFunctionMode, which would stand in the way of every operation of a small network.
    apart = {
        "layer_norm": _layer_norm,
        "batch_norm": partial(_channel_norm, FUSED["batch_norm"]),
        "instance_norm": partial(_channel_norm, FUSED["instance_norm"]),
    }
    before = {name: getattr(F, name) for name in FUSED}
    try:
        for name, norm in apart.items():
            setattr(F, name, norm)
        yield
    finally:
        for name, norm in before.items():
            setattr(F, name, norm)


def norms_are_apart() -> bool:
    """Whether norms scale and shift in operations of their own at this moment."""
    return F.layer_norm is _layer_norm


def _layer_norm(
    x: Tensor, shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    return _scaled(FUSED["layer_norm"](x, shape, eps=eps), weight, bias)


def _channel_norm(
    fused: Callable[..., Tensor],
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *more: Any,
    **settings: Any,
) -> Tensor:
    shape = (-1, *(1 for _ in x.shape[2:]))
    weight, bias = (None if part is None else part.view(shape) for part in (weight, bias))
    return _scaled(fused(x, running_mean, running_var, None, None, *more, **settings), weight, bias)


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


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
