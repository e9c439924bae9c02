"""Readers of photos: as pixels, and as the features of a frozen network.

Shapes: ``M`` photos of ``C`` channels, ``H`` rows and ``W`` columns, ``D`` features.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from torch import Tensor

from lifelong.data.reader import Reader
from lifelong.vision.decoding import decode_images
from lifelong.vision.frozen_encoder import FrozenEncoder


class ImageReader(Reader):
    """Read image files by :func:`~lifelong.vision.decoding.decode_images`: upright squares of one size.

    Args:
        image_size: height and width in pixels.
        channels: 1 for grey, 3 for colour.
        inverted: invert grey values, so that white paper is 0 and black ink is 255, as in data sets of drawings.

    Example:
        >>> ImageReader(image_size=28, channels=1).kind
        'images'
    """

    kind = "images"

    def __init__(self, *, image_size: int, channels: Literal[1, 3], inverted: bool = False) -> None:
        self.image_size, self.channels, self.inverted = image_size, channels, inverted

    def read(self, items: Sequence[str]) -> Tensor:
        """Return the files as ``(M, C, H, W)``, uint8."""
        pixels = decode_images([Path(item) for item in items], self.image_size, self.channels)
        return 255 - pixels if self.inverted else pixels

    def steps(self) -> list[str]:
        """Describe the preprocessing of a photo in words."""
        return [
            "turn it as its camera was held (EXIF) and lay what is transparent on white",
            "make it grey of 8 bits (ITU-R 601)" if self.channels == 1 else "make it RGB of 8 bits",
            f"crop it to its centred square and resample it to {self.image_size} x {self.image_size} pixels (Lanczos)",
            *(["invert it: 255 - value"] if self.inverted else []),
            "divide by 255",
        ]


class EncodedReader(Reader):
    """Read image files as the features of a frozen network.

    Args:
        reader: reads the images.
        encoder: computes the features.

    Example:
        >>> from torch import nn
        >>> EncodedReader(ImageReader(image_size=8, channels=1), encoder=FrozenEncoder(network=nn.Flatten())).kind
        'images'
    """

    kind = "images"

    def __init__(self, reader: Reader, *, encoder: FrozenEncoder) -> None:
        self.reader, self.encoder = reader, encoder

    def read(self, items: Sequence[str]) -> Tensor:
        """Return the files as ``(M, D)``."""
        return self.encoder.encode(self.reader.read(items))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Return the shape ``(C, H, W)`` of the network's input images."""
        size, channels = getattr(self.reader, "image_size", 0), getattr(self.reader, "channels", 3)
        side = self.encoder.image_size or size
        own: tuple[int, int, int] = (channels, side, side)
        shape: tuple[int, int, int] = getattr(self.encoder.network, "input_shape", own)
        return shape

    def steps(self) -> list[str]:
        """Describe the preprocessing of a photo before the network in words."""
        channels, height, width = self.image_shape
        resized = f"resize it to {height} x {width} pixels (bicubic, antialiased) and clamp it to 0 … 1"
        is_resized = (height, width) != (getattr(self.reader, "image_size", None),) * 2
        is_converted = channels != getattr(self.reader, "channels", channels)
        return [
            *self.reader.steps(),
            *([resized] if is_resized else []),
            *([f"make it an image of {channels} channels"] if is_converted else []),
        ]
