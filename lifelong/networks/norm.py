"""The norm layers of the convolutional networks, and what each choice means for evaluation."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.vmap_fixes import active_transforms

Norm = Literal["batch", "running", "group", "layer", "instance", "none"]
"""``batch`` uses the statistics of the current batch and no running ones, so a prediction depends on other queries
(transductive); ``running`` uses running statistics in evaluation (inductive; not for learners that adapt by gradients);
``group`` (8 channels per group), ``layer`` and ``instance`` normalise each image separately (inductive)."""
EPSILON = 1e-5
"""Added to the variance, as in torch's norm layers."""


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """Return the norm layer called ``norm`` for maps ``(n, C, H, W)``.

    Args:
        norm: one of :data:`Norm`.
        channels: ``C``.

    Raises:
        ValueError: when the name is unknown.

    Example:
        >>> norm_layer("group", 64).num_groups
        8
    """
    match norm:
        case "batch":
            return BatchNorm(channels)
        case "running":
            return nn.BatchNorm2d(channels)
        case "group":
            n_groups = max(channels // 8, 1)
            if channels % n_groups:
                raise ValueError(
                    f"norm 'group' has 8 channels a group, which {channels} channels cannot be shared into: choose a "
                    "multiple of 8, or another norm"
                )
            return nn.GroupNorm(n_groups, channels)
        case "layer":
            return nn.GroupNorm(1, channels)
        case "instance":
            return nn.GroupNorm(channels, channels)
        case "none":
            return nn.Identity()
    raise ValueError(f"norm {norm!r} is unknown: use batch, running, group, layer, instance or none")


class BatchNorm(nn.Module):
    """Normalise each channel with the statistics of the current batch, then scale and shift: no running statistics.

    Args:
        channels: number of channels.

    Example:
        >>> BatchNorm(3)(torch.randn(8, 3, 4, 4)).mean((0, 2, 3)).abs() < 1e-5
        tensor([True, True, True])
    """

    sees_other_examples: ClassVar[bool] = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, C, H, W)`` to the same shape."""
        return batch_norm(x, self.weight, self.bias)


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Compute ``(x − mean) / √(variance + 10⁻⁵) · weight + bias`` with the statistics of each channel of the batch.

    Under ``vmap`` it is computed from elementary operations, because the second derivative of torch's ``batch_norm`` is
    wrong there (torch 2.13; see :mod:`lifelong.compute.vmap_fixes`), which affects second-order MAML.

    Args:
        x: ``(n, C, H, W)``.
        weight: ``(C,)``.
        bias: ``(C,)``.

    Example:
        >>> x = torch.randn(8, 3, 4, 4)
        >>> batch_norm(x, torch.ones(3), torch.zeros(3)).mean((0, 2, 3)).abs() < 1e-5
        tensor([True, True, True])
    """
    if "Vmap" in active_transforms():
        x = x.to(weight.dtype)  # half precision is too coarse for the statistics
        variance, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
        scale = (variance + EPSILON).rsqrt() * weight[:, None, None]
        return torch.addcmul(bias[:, None, None], x - mean, scale)
    return F.batch_norm(x, None, None, weight, bias, training=True)


def takes_means_away(norm: Norm) -> bool:
    """Return whether this norm cancels constants added to a channel, which makes a preceding bias useless.

    Example:
        >>> takes_means_away("batch"), takes_means_away("layer")
        (True, False)
    """
    return norm in ("batch", "running", "instance")
