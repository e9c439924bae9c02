"""Changes that a photo may undergo and still show the same thing.

Written with torch's own ``grid_sample``. Weighed: torchvision, which from PyPI does not import beside a CPU build of
torch, and kornia; both draw from torch's generator, so that an image's numbers would depend on the rest of its batch.
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
    """Crop, mirror and recolour training photos at random, each in its own way; evaluation sees photos as they are.

    A crop is a square of a random side and place, resampled (bilinear) to the size of the photo. Brightness, contrast
    and saturation are multiplied by ``1 ± colour``.

    Args:
        crop: smallest side of a crop, as a share of the photo's; 1 crops nothing.
        flip: mirror every other photo, left for right; False for writing and other things that have a handedness.
        colour: how much brightness, contrast and saturation change at most; 0 keeps them.

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
        """Return ``n`` changed images ``(n, C, H, W)`` from 0 to 1; ``numbers`` ``(n, 7)`` decide how."""
        size, left, top, mirrored, *colours = numbers.T.to(x.dtype)
        if self.crop < 1:
            x = _cropped(x, 1 - (1 - self.crop) * size, left, top)
        if self.flip:
            x = torch.where(mirrored[:, None, None, None] < 0.5, x.flip(-1), x)
        if self.colour > 0:
            x = _recoloured(x, *(1 + self.colour * (2 * number - 1) for number in colours))
        return x


def _cropped(x: Tensor, side: Tensor, left: Tensor, top: Tensor) -> Tensor:
    """Crop squares: ``side`` ``(n,)`` as a share, ``left`` and ``top`` from 0 to 1 of the room that is left."""
    nothing = torch.zeros_like(side)
    rows = [side, nothing, (2 * left - 1) * (1 - side), nothing, side, (2 * top - 1) * (1 - side)]
    places = F.affine_grid(torch.stack(rows, 1).view(-1, 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, places, mode="bilinear", padding_mode="border", align_corners=False)


def _recoloured(x: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Multiply brightness, contrast about the mean grey, and saturation; each ``(n,)``."""
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
