"""Functions for learners that compare features or compute a head in closed form.

Shapes: ``S`` support examples, ``N`` ways, ``*F`` features of one input.
"""

from __future__ import annotations

import torch
from torch import Tensor


def precise(x: Tensor) -> Tensor:
    """Return ``x`` in single precision or better: linear systems are unsupported and unstable in half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def full_precision(x: Tensor) -> torch.autocast:
    """Run the block without autocast, because half precision is too coarse for sums, similarities and solves."""
    return torch.autocast(x.device.type, enabled=False)


def class_means(features: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of each class ``(N, *F)`` from features ``(S, *F)`` and one-hot labels ``(S, N)``.

    Example:
        >>> class_means(torch.tensor([[0.0], [2.0], [9.0]]), torch.eye(2)[[0, 0, 1]]).tolist()
        [[1.0], [9.0]]
    """
    with full_precision(features):
        sums: Tensor = torch.tensordot(labels.T, features, dims=1)
        return sums / labels.sum(0).reshape(-1, *[1] * (sums.dim() - 1))
