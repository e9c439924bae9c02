"""A convolution as one matrix product, for tasks with separate kernels on a GPU.

Its speed has not been measured yet. :mod:`lifelong.compute.vmap_fixes` determines when it is used.

Shapes: ``n`` images, ``C`` channels, ``H × W`` pixels, ``O`` output channels of ``h × w`` pixels, ``k × l`` a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int] = (1, 1), padding: tuple[int, int] = (0, 0)
) -> Tensor:
    """Convolve by one matrix product: kernels ``(O, C k l)`` times all patches ``(C k l, n h w)``.

    If every task has separate kernels, ``vmap`` turns this into one batched product. It turns torch's convolution into
    one with as many groups as tasks, for which cuDNN has no fast algorithm.

    Args:
        x: images ``(n, C, H, W)``.
        weight: kernels ``(O, C, k, l)``.
        bias: ``(O,)``.
        stride: vertical and horizontal stride.
        padding: vertical and horizontal zero padding.

    Returns:
        ``(n, O, h, w)``.

    Example:
        >>> x, weight = torch.randn(2, 3, 5, 5), torch.randn(4, 3, 3, 3)
        >>> torch.allclose(convolve(x, weight, None, (2, 2), (1, 1)), F.conv2d(x, weight, None, 2, 1), atol=1e-5)
        True
    """
    x = F.pad(x, (padding[1], padding[1], padding[0], padding[0])).transpose(0, 1)
    patches: Tensor = Patches.apply(x, weight.shape[2:], stride)  # type: ignore[no-untyped-call]
    n_channels, k, across, n, height, width = patches.shape[-6:]
    product = weight.reshape(weight.shape[0], -1) @ patches.reshape(n_channels * k * across, n * height * width)
    if bias is not None:
        product = product + bias[:, None]
    return product.reshape(-1, n, height, width).transpose(0, 1)


class Patches(torch.autograd.Function):
    """Copy the patches ``(…, k, l, n, h, w)`` of images ``(…, n, H, W)`` under a kernel of ``k × l``.

    Its derivative is the sum of overlapping patches (:class:`Overlaid`), whose derivative copies patches again, so
    derivatives of all orders exist.
    """

    @staticmethod
    def forward(x: Tensor, kernel: Sequence[int], stride: tuple[int, int]) -> Tensor:
        """Copy the patches."""
        windows = x.unfold(-2, kernel[0], stride[0]).unfold(-2, kernel[1], stride[1])
        return torch.movedim(windows, (-2, -1), (-5, -4)).contiguous()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the shapes."""
        x, kernel, stride = inputs
        ctx.shapes = (tuple(x.shape[-2:]), kernel, stride)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Sum the patches of the gradient."""
        size, _, stride = ctx.shapes
        return Overlaid.apply(gradient, size, stride), None, None  # type: ignore[no-untyped-call]

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, kernel: Sequence[int], stride: tuple[int, int]) -> Any:
        """Run over the tasks as over any leading dimension."""
        return Patches.apply(x.movedim(in_dims[0], 0), kernel, stride), 0  # type: ignore[no-untyped-call]


class Overlaid(torch.autograd.Function):
    """Sum overlapping patches ``(…, k, l, n, h, w)`` to images ``(…, n, H, W)``."""

    @staticmethod
    def forward(patches: Tensor, size: tuple[int, int], stride: tuple[int, int]) -> Tensor:
        """Sum over the positions of the kernel."""
        *leading, k, across, n, height, width = patches.shape
        images = patches.new_zeros(*leading, n, *size)
        for down in range(k):
            rows = slice(down, down + stride[0] * (height - 1) + 1, stride[0])
            for right in range(across):
                columns = slice(right, right + stride[1] * (width - 1) + 1, stride[1])
                images[..., rows, columns] += patches[..., down, right, :, :, :]
        return images

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the shapes."""
        patches, _, stride = inputs
        ctx.shapes = (tuple(patches.shape[-5:-3]), stride)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Copy the patches of the gradient."""
        return Patches.apply(gradient, *ctx.shapes), None, None  # type: ignore[no-untyped-call]

    @staticmethod
    def vmap(info: Any, in_dims: Any, patches: Tensor, size: tuple[int, int], stride: tuple[int, int]) -> Any:
        """Run over the tasks as over any leading dimension."""
        return Overlaid.apply(patches.movedim(in_dims[0], 0), size, stride), 0  # type: ignore[no-untyped-call]
