"""The norm layers that the convolutional networks share: one option, and what each choice means for evaluation."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from lifelong.networks.batch_norm import batch_norm

Norm = Literal["batch", "running", "group", "layer", "instance", "none"]
"""``batch`` normalises with the statistics of the batch at hand and keeps no running ones, so queries see each other
(transductive); ``running`` evaluates with running statistics (inductive; not for learners that adapt by gradients);
``group`` (8 channels a group), ``layer`` and ``instance`` look at one image (inductive)."""


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """The norm layer of that name for maps ``(n, C, H, W)``.

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
    """Normalise each channel with the statistics of the batch at hand, then scale and shift: no running statistics.

    Args:
        channels: of the images.

    Example:
        >>> BatchNorm(3)(torch.randn(8, 3, 4, 4)).mean((0, 2, 3)).abs() < 1e-5
        tensor([True, True, True])
    """

    sees_other_examples: ClassVar[bool] = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """``(n, C, H, W)`` to the same shape."""
        return batch_norm(x, self.weight, self.bias)


def takes_means_away(norm: Norm) -> bool:
    """Whether what is added to a whole channel makes no difference after this norm: a bias before it is of no use.

    Example:
        >>> takes_means_away("batch"), takes_means_away("layer")
        (True, False)
    """
    return norm in ("batch", "running", "instance")
