"""Images in folders: ``root/<experience>/<class>/<image>``, one experience per first-level folder.

Shapes: ``M`` images, ``C`` channels, ``H`` and ``W`` pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from datamodules._files import cached_images, check_image_size
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.utilities.ranges import check_number
from lifelong.vision import ImageReader
from lifelong.vision.decoding import SUFFIXES, decode_into

DECODING = 1
"""Of how photos are decoded; those that were decoded otherwise are decoded anew."""


class ImageFolder(Source):
    """Read your own images: a folder per experience, in it a folder per class, in it the images.

    Args:
        root: the folder of the experiences, which follow each other in alphabetical order; hidden files are ignored.
        image_size: height and width in pixels; other images are cropped to a centred square and resampled.
        channels: 1 for grey, 3 for colour.
        holdout: in few-shot streams ``examples`` tests the same classes on images not trained on; ``classes`` tests
            classes not trained on.
        cache_bytes: size in bytes of an experience's decoded images above which they stay on disk and are read when
            they are drawn.

    Raises:
        ValueError: when the folders are not laid out as above, or an image cannot be read.

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
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise ValueError(
                f"the image folder {root} does not exist: set root to the folder that holds the experience folders"
            )
        if not (experiences := _folders(root)):
            raise ValueError(
                f"{root} has no experience folder: expected {root}/<experience>/<class>/<image>.png or .jpg"
            )
        classes = {experience: _classes(experience) for experience in experiences}  # fails before the first is decoded
        return [self._domain(experience, files) for experience, files in classes.items()]

    def reader(self) -> ImageReader:
        """Return what reads a photo as those of the folders."""
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


def _folders(parent: Path) -> list[Path]:
    return sorted(p for p in parent.iterdir() if p.is_dir() and not p.name.startswith("."))


def _classes(experience: Path) -> dict[str, list[Path]]:
    """Return the image files of each class."""
    if not (folders := _folders(experience)):
        raise ValueError(
            f"the experience {experience} has no class folder: expected {experience}/<class>/<image>.png or .jpg; "
            f"add its classes or remove the folder"
        )
    return {folder.name: _images(folder) for folder in folders}


def _images(folder: Path) -> list[Path]:
    images = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    if others := [p for p in images if not p.is_file()]:  # to read a pipe would wait for its writer
        raise ValueError(f"{others[0]} is named as an image and is no file: rename or remove it")
    if not images:
        raise ValueError(
            f"the class {folder} has no image: expected files that end in {', '.join(SUFFIXES)}; "
            f"add some or remove the folder"
        )
    return sorted(images)
