"""How images and weights lie in memory where that makes convolutions faster."""

from __future__ import annotations

from torch import Tensor

from lifelong.compute.vmap_fixes import is_batched


def channels_last(x: Tensor) -> Tensor:
    """Lay images ``(n, C, H, W)`` on a CPU out with their channels last, and so all that convolutions make of them.

    Passes without second derivatives are faster so. Anything else, and what ``vmap`` runs, stays as it is.

    Example:
        >>> import torch
        >>> channels_last(torch.zeros(2, 3, 4, 4)).stride(), channels_last(torch.zeros(2, 3)).stride()
        ((48, 1, 12, 3), (3, 1))
    """
    if x.dim() != 4 or x.device.type != "cpu" or not x.is_floating_point() or is_batched(x):
        return x
    # Written out, because torch takes images of one channel for laid out so already, and leaves their strides alone.
    return (
        x.permute(0, 2, 3, 1).contiguous().as_strided(x.shape, (x[0].numel(), 1, x.shape[3] * x.shape[1], x.shape[1]))
    )
