"""The twelve-layer residual network of the few-shot literature."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.networks.fused_batch_norm import fused_norm_layer
from lifelong.networks.norm import Norm, norm_layer
from lifelong.networks.shapes import check_images, check_sizes, count_features
from lifelong.utilities.recorded import Recorded

SLOPE = 0.1
"""Slope of the leaky ReLU for negative inputs."""


class ResNet12(Recorded, nn.Module):
    """Four residual blocks of three 3×3 convolutions, each halving the size; the mean over places; a linear head.

    Args:
        in_channels: number of channels of the images.
        widths: number of channels of each block. Four blocks have twelve convolutions.
        norm: kind of norm layer. ``batch`` uses the statistics of the current batch and no running ones, so a
            prediction depends on other queries (transductive); ``running`` uses running statistics in evaluation
            (inductive; not for learners that adapt by gradients); ``group`` (8 channels per group), ``layer`` and
            ``instance`` normalise each image separately (inductive).
        image_size: height and width of the images in pixels, at least 16 with four blocks.
        n_outputs: outputs of a linear head. If None, the network returns the features.
        fused: use a batch norm whose second derivative is faster on a CPU. The function and its parameters are the
            same.

    Raises:
        ValueError: when the norm is unknown or the images are too small.

    Reference:
        Lee et al., "Meta-Learning with Differentiable Convex Optimization" (MetaOptNet), CVPR 2019 (widths); Oreshkin
        et al., TADAM, NeurIPS 2018 (mean over places). Left out: dropout and DropBlock, whose masks come from a global
        generator, so that a resumed run would differ from an uninterrupted one; TADAM's task conditioning.

    Example:
        >>> import torch
        >>> ResNet12(in_channels=1, widths=[8, 8, 8, 16], image_size=16)(torch.zeros(2, 1, 16, 16)).shape
        torch.Size([2, 16])
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        widths: Sequence[int] = (64, 160, 320, 640),
        norm: Norm = "batch",
        image_size: int = 84,
        n_outputs: int | None = None,
        fused: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(in_channels=in_channels, image_size=image_size, n_outputs=n_outputs)
        for width in widths:
            check_sizes(widths=width)
        self.input_shape = (in_channels, image_size, image_size)
        channels = [in_channels, *widths]
        make_norm = fused_norm_layer if fused else norm_layer
        blocks = (_Block(*widths, partial(make_norm, norm), norm == "none") for widths in itertools.pairwise(channels))
        self.blocks = nn.Sequential(*blocks)
        self.n_features = count_features(self, self.features, self.input_shape)
        self.head = nn.Identity() if n_outputs is None else nn.Linear(self.n_features, n_outputs)

    def features(self, x: Tensor) -> Tensor:
        """Map ``(n, C, H, W)`` to ``(n, widths[-1])``."""
        check_images(x, self.input_shape, "ResNet12")
        return self.blocks(x).mean((-2, -1))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, C, H, W)`` to ``(n, widths[-1])`` or ``(n, n_outputs)``."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


class _Block(nn.Module):
    def __init__(self, n_in: int, n_out: int, norm: Callable[[int], nn.Module], bias: bool) -> None:
        super().__init__()
        self.path = nn.Sequential(
            *(_convolution(n_in, n_out, 3, bias), norm(n_out), nn.LeakyReLU(SLOPE)),
            *(_convolution(n_out, n_out, 3, bias), norm(n_out), nn.LeakyReLU(SLOPE)),
            *(_convolution(n_out, n_out, 3, bias), norm(n_out)),
        )
        self.shortcut = nn.Sequential(_convolution(n_in, n_out, 1, bias), norm(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(F.max_pool2d(self.path(x) + self.shortcut(x), 2), SLOPE)


def _convolution(n_in: int, n_out: int, size: int, bias: bool) -> nn.Conv2d:
    # The convolution needs a bias only without a norm, which has its own shift.
    layer = nn.Conv2d(n_in, n_out, size, padding=size // 2, bias=bias)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="leaky_relu")
    return layer
