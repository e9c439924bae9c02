"""Conversion of images of different sources to one shape.

Shapes: ``M`` images of ``C`` channels, ``H`` rows and ``W`` columns.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.data.domain import Domain

log = logging.getLogger(__name__)

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey image (ITU-R BT.601)."""
CHUNK = 4096
"""Number of images converted at a time, so that the floating-point copy stays small."""


def same_shape(domains: Sequence[Domain]) -> list[Domain]:
    """Give all domains the input shape of the first; only images can change theirs.

    Raises:
        ValueError: when inputs that are not images differ in shape.
    """
    shapes = {tuple(domain.x.shape[1:]): domain.name for domain in domains}
    if len(shapes) <= 1:
        return list(domains)
    target = tuple(domains[0].x.shape[1:])
    if not all(len(shape) == 3 and shape[0] in (1, 3) for shape in shapes):
        listed = ", ".join(f"{name!r} has {shape}" for shape, name in shapes.items())
        raise ValueError(f"all experiences of a stream need inputs of one shape, but {listed}")
    log.warning(
        "images of different shapes: all are made %s (channels, rows, columns) as in %r", target, domains[0].name
    )
    return [d if tuple(d.x.shape[1:]) == target else replace(d, x=fit_images(d.x, target)) for d in domains]


def fit_images(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Resize (bilinear, antialiased) and convert images ``(M, C, H, W)`` to ``(M, *shape)``; uint8 stays uint8.

    Example:
        >>> fit_images(torch.full((2, 3, 8, 8), 255, dtype=torch.uint8), (1, 4, 4)).shape
        torch.Size([2, 1, 4, 4])
    """
    if x.is_floating_point():
        return torch.cat([fit_floats(chunk, shape) for chunk in torch.split(x, CHUNK)])
    return torch.cat(
        [fit_floats(chunk.float(), shape).round().clamp(0, 255).to(torch.uint8) for chunk in torch.split(x, CHUNK)]
    )


def fit_floats(x: Tensor, shape: tuple[int, ...], mode: Literal["bilinear", "bicubic"] = "bilinear") -> Tensor:
    """Resize (antialiased) and convert images ``(M, C, H, W)`` of floating point to ``(M, *shape)``, all at once."""
    channels, *size = shape
    if x.shape[1] == 3 and channels == 1:
        x = (x * torch.tensor(LUMA, device=x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)
    elif x.shape[1] == 1 and channels == 3:
        x = x.expand(-1, 3, -1, -1)
    return x if list(x.shape[-2:]) == size else F.interpolate(x, size, mode=mode, antialias=True)
