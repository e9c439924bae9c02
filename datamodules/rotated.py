"""Any image source rotated by fixed angles: domains that share classes and differ by a chosen amount.

Shapes: ``M`` images of ``C`` channels, ``H`` rows and ``W`` columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules._files import check_image_size
from lifelong.data.domain import Domain
from lifelong.data.images import CHUNK, fit_images
from lifelong.data.reader import Reader
from lifelong.data.source import Source, SourceWrapper
from lifelong.utilities.ranges import check_number


class Rotated(SourceWrapper):
    """Turn the images of every domain of another source about their centre, once for each angle.

    Multiples of 90° are exact; other angles are interpolated bilinearly, and pixels from outside the image are black
    (0). The rotated copies of an image share a split, so that no test image is trained on at another angle.

    Args:
        source: any source of square images; it is loaded once, and its splits, variants and classes are kept.
        angles: angles in degrees, counterclockwise, in the order of the stream.
        image_size: height and width in pixels to which images are resized BEFORE rotation. Set it if images are not
            square, or if the first source of the stream has another size. Default: no resizing.

    Raises:
        ValueError: when there is no angle, or the source's inputs are not square images ``(M, C, H, H)``.

    Reference:
        Lopez-Paz & Ranzato, "Gradient Episodic Memory for Continual Learning", NeurIPS 2017 (MNIST rotations).
        Difference: the angles are arguments instead of being drawn.

    Example:
        >>> from datamodules import Glyphs
        >>> source = Glyphs(styles=["strokes"], n_classes=3, n_examples=2)
        >>> [domain.name for domain in Rotated(source, angles=[0, 22.5]).domains()]
        ['strokes rotated 0°', 'strokes rotated 22.5°']
    """

    def __init__(self, source: Source, *, angles: Sequence[float], image_size: int | None = None) -> None:
        if not angles:
            raise ValueError("Rotated has no angles: give at least one, such as angles [0, 15, 30]")
        for angle in angles:
            check_number("Rotated's angles", angle, hint=" of degrees")
        check_image_size("Rotated", image_size)
        super().__init__(source)
        self.angles, self.image_size = list(angles), image_size

    def domains(self) -> list[Domain]:
        """Load all domains of the source at the first angle, then at the next ones."""
        upright = [self._squared(domain) for domain in self.source.domains()]
        return [_turned(domain, angle) for angle in self.angles for domain in upright]

    def reader(self) -> Reader | None:
        """Return the reader of the source if upright images are among the domains, else None."""
        return self.source.reader() if any(angle % 360 == 0 for angle in self.angles) else None

    def _squared(self, domain: Domain) -> Domain:
        shape = tuple(domain.x.shape[1:])
        if len(shape) == 3 and self.image_size is not None:
            domain = replace(domain, x=fit_images(domain.x, (shape[0], self.image_size, self.image_size)))
        elif len(shape) != 3 or shape[1] != shape[2]:
            way_out = ": set image_size to make them square" if len(shape) == 3 else ""
            raise ValueError(
                f"{domain.name} cannot be rotated: its inputs have shape {shape}, square images (channels, height, "
                f"width) were expected{way_out}"
            )
        return domain


def _turned(domain: Domain, angle: float) -> Domain:
    name = f"{domain.name} rotated {angle:g}°"
    return replace(domain, name=name, x=rotate(domain.x, angle), origin=domain.origin or domain.name)


def rotate(x: Tensor, angle: float) -> Tensor:
    """Rotate square images ``(M, C, H, H)`` counterclockwise by degrees; uint8 stays uint8.

    Returns:
        ``(M, C, H, H)``; ``x`` itself for multiples of 360°.

    Example:
        >>> rotate(torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.uint8), 90).tolist()
        [[[[2, 4], [1, 3]]]]
    """
    quarters, rest = divmod(angle, 90)
    if rest == 0:
        return x if quarters % 4 == 0 else torch.rot90(x, int(quarters), (-2, -1))
    turned = torch.empty_like(x)
    for source, target in zip(torch.split(x, CHUNK), torch.split(turned, CHUNK), strict=True):
        pixels = _interpolate(source if x.is_floating_point() else source.float(), angle)
        target.copy_(pixels if x.is_floating_point() else pixels.round().clamp(0, 255))
    return turned


def _interpolate(x: Tensor, angle: float) -> Tensor:
    # The grid maps each output pixel to its source, which is the inverse rotation, with rows counted downwards.
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turn = torch.tensor([[[cos, -sin, 0.0], [sin, cos, 0.0]]], dtype=x.dtype).expand(len(x), 2, 3)
    grid = F.affine_grid(turn, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
