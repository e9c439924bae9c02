"""The memory format of images and weights, which affects the speed of convolutions."""

from __future__ import annotations

from torch import Tensor

from lifelong.compute.vmap_fixes import is_batched


def channels_last(x: Tensor) -> Tensor:
    """Convert images ``(n, C, H, W)`` on a CPU to channels-last format, which convolutions preserve.

    This makes passes without second derivatives faster. Other tensors, and tensors under ``vmap``, are unchanged.

    Example:
        >>> import torch
        >>> channels_last(torch.zeros(2, 3, 4, 4)).stride(), channels_last(torch.zeros(2, 3)).stride()
        ((48, 1, 12, 3), (3, 1))
    """
    if x.dim() != 4 or x.device.type != "cpu" or not x.is_floating_point() or is_batched(x):
        return x
    # Not Tensor.contiguous: torch considers images of one channel to be channels-last already and keeps their strides.
    return (
        x.permute(0, 2, 3, 1).contiguous().as_strided(x.shape, (x[0].numel(), 1, x.shape[3] * x.shape[1], x.shape[1]))
    )
