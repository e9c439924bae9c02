"""Batch norm with optional pooling, fast on a CPU: the ``fused`` layers of the networks.

The result equals that of ``torch.nn.functional.batch_norm``. On a CPU a norm is limited by memory bandwidth, so these
layers reduce how often the maps are read and written:

- Max pooling and normalisation commute if the scale is positive. Pooling first scales and shifts a quarter of the
  numbers, and the others are never written.
- torch's second derivative of a norm consists of many operations that each read and write the maps. If gradients are
  differentiated again, mean and variance are computed by one operation with its own derivatives, and the rest follows
  from them.

Shapes: ``n`` images, ``C`` channels, ``H × W`` pixels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.second_order import is_second_order, second_order
from lifelong.compute.vmap_fixes import active_transforms
from lifelong.networks.norm import EPSILON, BatchNorm, Norm, batch_norm, norm_layer

WORTH_IT = 1 << 15
"""For fewer numbers than this, Python's overhead exceeds the savings."""


class FusedBatchNorm(BatchNorm):
    """Normalise like :class:`~lifelong.networks.norm.BatchNorm`, with a faster second derivative on a CPU.

    Args:
        channels: number of channels.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, C, H, W)`` to the same shape."""
        return fused_batch_norm(x, self.weight, self.bias)


def fused_norm_layer(norm: Norm, channels: int) -> nn.Module:
    """Return the norm layer called ``norm`` for maps ``(n, C, H, W)``; batch norm is fused."""
    return FusedBatchNorm(channels) if norm == "batch" else norm_layer(norm, channels)


def fused_batch_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Compute ``batch_norm(x, weight, bias)``, with a second derivative that reads the maps less often.

    Args:
        x: ``(n, C, H, W)``.
        weight: ``(C,)``.
        bias: ``(C,)``.

    Example:
        >>> x, weight, bias = torch.randn(8, 64, 28, 28), torch.rand(64), torch.rand(64)
        >>> torch.allclose(fused_batch_norm(x, weight, bias), batch_norm(x, weight, bias), atol=1e-5)
        True
    """
    if is_second_order() and active_transforms() <= {"Grad"} and _is_worth_it(x, weight):
        mean, variance = _Statistics.apply(x, False)  # type: ignore[no-untyped-call]
        return _scaled(x, mean, variance, weight, bias)
    return batch_norm(x, weight, bias)


def pooled_batch_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Compute ``max_pool2d(batch_norm(x, weight, bias), 2)``.

    Args:
        x: ``(n, C, H, W)``.
        weight: ``(C,)``.
        bias: ``(C,)``.

    Returns:
        ``(n, C, H // 2, W // 2)``.

    Example:
        >>> x, weight, bias = torch.randn(8, 64, 28, 28), torch.rand(64), torch.rand(64)
        >>> expected = F.max_pool2d(batch_norm(x, weight, bias), 2)
        >>> torch.allclose(pooled_batch_norm(x, weight, bias), expected, atol=1e-5)
        True
    """
    transforms = active_transforms()
    can_pool_first = transforms <= {"Grad"} and _is_worth_it(x, weight) and bool((weight > 0).all())
    if can_pool_first and is_second_order():
        mean, variance, pooled, _ = _Statistics.apply(x, True)  # type: ignore[no-untyped-call]
        return _scaled(pooled, mean, variance, weight, bias)
    if can_pool_first and not transforms:
        return _PooledBatchNorm.apply(x, weight, bias)  # type: ignore[no-any-return, no-untyped-call]
    return F.max_pool2d(fused_batch_norm(x, weight, bias), 2)


def _is_worth_it(x: Tensor, weight: Tensor) -> bool:
    return x.device.type == "cpu" and x.numel() >= WORTH_IT and x.dtype == weight.dtype


def _scaled(x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    scale = weight * (variance + EPSILON).rsqrt()
    return torch.addcmul((bias - mean * scale)[:, None, None], x, scale[:, None, None])


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance of each channel."""
    return torch.ops.aten.batch_norm_update_stats(x, None, None, 0.0)  # type: ignore[no-any-return]


def _back(x: Tensor, mean: Tensor, for_mean: Tensor, for_variance: Tensor, *pooled: Tensor) -> Tensor:
    """Return the gradient of ``x``, given those of its mean, variance and pooled pixels, and the pixels' indices."""
    n_each = x.numel() // x.shape[1]
    slope = for_variance * (2 / n_each)
    shift = (for_mean / n_each - slope * mean)[:, None, None]
    if not pooled:
        return torch.addcmul(shift, x, slope[:, None, None])
    for_pooled, places = pooled
    at_places = torch.ops.aten.max_pool2d_with_indices_backward
    gradient: Tensor = at_places(for_pooled, x, [2, 2], [2, 2], [0, 0], [1, 1], False, places)
    return gradient.addcmul_(x, slope[:, None, None]).add_(shift)


class _Statistics(torch.autograd.Function):
    """Compute mean and variance of each channel; optionally also the maximum of every 2 × 2 pixels and its index."""

    @staticmethod
    def forward(x: Tensor, pool: bool) -> tuple[Tensor, ...]:
        return (*_statistics(x), *(F.max_pool2d(x, 2, return_indices=True) if pool else ()))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        mean, _, *pooled = output
        ctx.mark_non_differentiable(*pooled[1:])
        ctx.save_for_backward(inputs[0], mean, *pooled[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        x, mean, *places = ctx.saved_tensors
        return _back(x, mean, *gradients[:3], *places), None


class _PooledBatchNorm(torch.autograd.Function):
    """Pool and normalise in one operation; for second derivatives, the differentiable layers run again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        mean, variance = _statistics(x)
        pooled, places = F.max_pool2d(x, 2, return_indices=True)
        ctx.save_for_backward(x, weight, bias, mean, variance, pooled, places)
        return torch.native_batch_norm(pooled, weight, bias, mean, variance, False, 0.0, EPSILON)[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        x, weight, bias, mean, variance, pooled, places = ctx.saved_tensors
        if torch.is_grad_enabled():
            with second_order():
                again = pooled_batch_norm(x, weight, bias)
            return torch.autograd.grad(again, (x, weight, bias), gradient, create_graph=True)
        back = torch.ops.aten.native_batch_norm_backward
        settings = (weight, mean, variance, None, None, False, EPSILON, [True, True, True])
        for_pooled, for_weight, for_bias = back(gradient, pooled, *settings)
        scale = (variance + EPSILON).rsqrt()
        for_mean, for_variance = -weight * scale * for_bias, -weight * scale.square() * for_weight / 2
        return _back(x, mean, for_mean, for_variance, for_pooled, places), for_weight, for_bias
