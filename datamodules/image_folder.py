"""Photos in folders: ``root/<site>/<class>/<photo>``, one experience per first-level folder.

Shapes: ``M`` images, ``C`` channels, ``H`` and ``W`` pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from datamodules._files import cached_images, check_image_size
from datamodules._photo_folders import list_photos
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.utilities.ranges import check_number
from lifelong.vision import ImageReader
from lifelong.vision.decoding import decode_into

DECODING = 1
"""Version of the decoding, part of the cache key."""


class ImageFolder(Source):
    """Read your own photos: a folder per experience (a site), in it a folder per class, in it the photos.

    Photos of any size and mode are read (.jpg, .png, .webp, .bmp, .tif, .gif) and rotated by their EXIF orientation.

    Args:
        root: folder of the experiences, which are in alphabetical order; hidden files are ignored.
        image_size: height and width in pixels; photos are cropped to a centred square and resampled.
        channels: 1 for grey, 3 for colour.
        holdout: what few-shot streams hold out. ``examples`` tests the same classes on held-out images; ``classes``
            tests held-out classes.
        cache_bytes: maximum bytes of decoded images in memory; if an experience has more, they stay on disk and are
            read when drawn.

    Raises:
        ValueError: when the folders do not have this layout, or an image cannot be read.

    Example:
        >>> ImageFolder(root="photos", image_size=84).channels
        3
    """

    def __init__(
        self,
        *,
        root: str,
        image_size: int = 28,
        channels: Literal[1, 3] = 3,
        holdout: Literal["classes", "examples"] = "examples",
        cache_bytes: int = 1 << 30,
    ) -> None:
        check_image_size("ImageFolder", image_size)
        check_number("ImageFolder's cache_bytes", cache_bytes, least=0, whole=True)
        self.root = root
        self.image_size = image_size
        self.channels = channels
        self.holdout = holdout
        self.cache_bytes = cache_bytes

    def domains(self) -> list[Domain]:
        """Load one domain per experience folder, in alphabetical order."""
        photos = list_photos(Path(self.root).expanduser())  # fails before the first is decoded
        return [self._domain(experience, classes) for experience, classes in photos.items()]

    def reader(self) -> ImageReader:
        """Return the reader that reads a photo as those in the folders."""
        return ImageReader(image_size=self.image_size, channels=self.channels)

    def _domain(self, experience: Path, classes: dict[str, list[Path]]) -> Domain:
        files = [file for members in classes.values() for file in members]
        shape = (len(files), self.channels, self.image_size, self.image_size)
        settings = (self.image_size, self.channels, DECODING)
        x = cached_images(
            experience.name,
            settings,
            files,
            shape,
            lambda pixels: decode_into(pixels, files, f"decoding {experience.name}"),
            memory_map=int(np.prod(shape)) > self.cache_bytes,
        )
        y = np.repeat(np.arange(len(classes)), [len(members) for members in classes.values()])
        return Domain(experience.name, x, y, list(classes), holdout=self.holdout)
