"""Random augmentation of photos that preserves their class.

It uses torch's ``grid_sample``. Alternatives: torchvision, whose PyPI release cannot be imported with a CPU build of
torch, and kornia. Both draw from torch's generator, so the augmentation of an image would depend on the rest of its
batch.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.data.augmentation import Augmentation
from lifelong.data.images import LUMA
from lifelong.utilities.ranges import check_number


class PhotoAugmentation(Augmentation):
    """Crop, mirror and recolour each training photo at random; evaluation uses unchanged photos.

    A crop is a square of random size and position, resampled (bilinear) to the size of the photo. Brightness, contrast
    and saturation are multiplied by random factors between ``1 − colour`` and ``1 + colour``.

    Args:
        crop: smallest side of a crop, as a share of the photo's side. 1 disables cropping.
        flip: mirror half of the photos horizontally. Use False for writing and other classes that depend on
            orientation.
        colour: largest relative change of brightness, contrast and saturation. 0 disables it.

    Raises:
        ValueError: when a share is out of range.

    Example:
        >>> PhotoAugmentation()(torch.rand(4, 3, 8, 8), torch.rand(4, 7)).shape
        torch.Size([4, 3, 8, 8])
    """

    n_numbers: ClassVar[int] = 7

    def __init__(self, *, crop: float = 0.7, flip: bool = True, colour: float = 0.3) -> None:
        check_number("PhotoAugmentation's crop", crop, above=0, most=1, hint=", a share of the side")
        check_number("PhotoAugmentation's colour", colour, least=0, most=1)
        self.crop, self.flip, self.colour = crop, flip, colour

    def __call__(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Return ``n`` augmented images ``(n, C, H, W)`` from 0 to 1, given random ``numbers`` ``(n, 7)``."""
        size, left, top, mirrored, *colours = numbers.T.to(x.dtype)
        if self.crop < 1:
            x = _cropped(x, 1 - (1 - self.crop) * size, left, top)
        if self.flip:
            x = torch.where(mirrored[:, None, None, None] < 0.5, x.flip(-1), x)
        if self.colour > 0:
            x = _recoloured(x, *(1 + self.colour * (2 * number - 1) for number in colours))
        return x


def _cropped(x: Tensor, side: Tensor, left: Tensor, top: Tensor) -> Tensor:
    """Crop squares: ``side`` ``(n,)`` as a share, ``left`` and ``top`` as shares of the remaining margin."""
    nothing = torch.zeros_like(side)
    rows = [side, nothing, (2 * left - 1) * (1 - side), nothing, side, (2 * top - 1) * (1 - side)]
    places = F.affine_grid(torch.stack(rows, 1).view(-1, 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, places, mode="bilinear", padding_mode="border", align_corners=False)


def _recoloured(x: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Multiply brightness, contrast around the mean grey, and saturation by factors ``(n,)``."""
    brightness, contrast, saturation = (factor[:, None, None, None] for factor in (brightness, contrast, saturation))
    x = (x * brightness).clamp(0, 1)
    x = (mean := _grey(x).mean((-2, -1), keepdim=True)) + contrast * (x - mean)
    if x.shape[1] == 3:
        x = (grey := _grey(x)) + saturation * (x - grey)
    return x.clamp(0, 1)


def _grey(x: Tensor) -> Tensor:
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    return (x * torch.tensor(LUMA, device=x.device, dtype=x.dtype).view(1, 3, 1, 1)).sum(1, keepdim=True)
