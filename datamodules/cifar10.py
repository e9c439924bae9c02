"""CIFAR-10, from its binary archive or an archive of JPEG images.

Shapes: ``M`` images.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from rich.progress import track

from datamodules._archives import read_tar
from datamodules._download import Download, fetch
from datamodules._files import cached_bytes, check_counts, data_root
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.utilities.ranges import check_number
from lifelong.vision import ImageReader

BINARY = ("cifar-10", "cifar-10-binary.tar.gz")
JPEG = ("cifar10-jpeg", "cifar10-jpeg.tar.xz")
"""Folder and name of the JPEG archive."""
FILES = (*(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)), "cifar-10-batches-bin/test_batch.bin")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
OFFICIAL = "50000 images for training and 10000 for test"
SIDE, N_PIXELS = 32, 3 * 32 * 32
MOST_IN_FOLDER = 6000
"""Maximum number of images per class in either part of the JPEG archive; officially 5,000 and 1,000."""
LARGEST_PACKED, LARGEST = 1 << 28, 1 << 29
"""Limits in bytes of the download and of an unpacked archive; CIFAR-10 has 170 and 184 million."""
# SHA-256 of the archive with the author's MD5, c32a1d4ab5d03f1284b67883e8d87530; also listed in TensorFlow Datasets.
DOWNLOAD = Download(
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    LARGEST_PACKED,
)


class CIFAR10(Source):
    """Read colour images of 32×32 pixels: one domain of ten classes, with the official test part.

    The archive is decoded once and read from the cache folder afterwards.

    Args:
        root: folder with ``cifar-10/cifar-10-binary.tar.gz`` or ``cifar10-jpeg/cifar10-jpeg.tar.xz`` (images in
            ``{train,test}/<class>/NNNN.jpg``), or the archive itself. Default: ``$LIFELONG_DATA``, else ``data``. If
            there is no archive, the binary one is downloaded.
        max_per_class: maximum number of images per class in either part; the first ones are kept. Default: all.
        holdout: what few-shot streams hold out. ``examples`` tests the same classes on the official test part;
            ``classes`` tests held-out classes, on images of both parts.

    Raises:
        ValueError: when the archive is damaged, or cannot be downloaded.

    Reference:
        Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
        Difference: JPEG images are lossy, so their pixels are not those of the binary archive.

    Example:
        >>> CIFAR10(max_per_class=100).holdout
        'examples'
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        max_per_class: int | None = None,
        holdout: Literal["classes", "examples"] = "examples",
    ) -> None:
        check_number("CIFAR10's max_per_class", max_per_class, least=1, whole=True, hint=", or null for all")
        self.root, self.max_per_class, self.holdout = root, max_per_class, holdout

    def domains(self) -> list[Domain]:
        """Load one domain with the training images first."""
        archive = self._locate()
        read = _read_binary if archive.name == BINARY[1] else _read_jpeg
        packed = cached_bytes("CIFAR-10", (), [archive], lambda: _pack(*read(archive)))
        x, y, in_test = _unpack(packed)
        check_counts("CIFAR-10", f"{(~in_test).sum()} images for training and {in_test.sum()} for test", OFFICIAL)
        if self.max_per_class is not None:
            groups = [np.flatnonzero((y == c) & (in_test == part)) for part in (False, True) for c in np.unique(y)]
            kept = np.sort(np.concatenate([group[: self.max_per_class] for group in groups]))
            x, y, in_test = x[kept], y[kept], in_test[kept]
        fixed = in_test if self.holdout == "examples" else None
        return [Domain("CIFAR-10", torch.from_numpy(x), y, CLASSES, holdout=self.holdout, in_test=fixed)]

    def reader(self) -> ImageReader:
        """Return the reader that reads a colour image as in the data set."""
        return ImageReader(image_size=SIDE, channels=3)

    def _locate(self) -> Path:
        root = data_root(self.root)
        for folder, name in (BINARY, JPEG):
            for path in (root / folder / name, root / name):
                if path.is_file():
                    return path
        path = root / BINARY[0] / BINARY[1]
        fetch(DOWNLOAD, path)
        return path


def _pack(x: np.ndarray, y: np.ndarray, in_test: np.ndarray) -> np.ndarray:
    """Concatenate the bytes of images ``(M, 3, 32, 32)``, classes and parts ``(M,)``."""
    return np.concatenate([x.reshape(-1), y.astype(np.uint8), in_test.astype(np.uint8)])


def _unpack(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n_images = len(packed) // (N_PIXELS + 2)
    x, y, in_test = np.split(packed, [n_images * N_PIXELS, n_images * (N_PIXELS + 1)])
    return x.reshape(n_images, 3, SIDE, SIDE), y.astype(np.int64), in_test.astype(bool)


def _read_binary(archive: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    contents = read_tar(archive, FILES, LARGEST)
    if missing := [name for name in FILES if name not in contents]:
        raise ValueError(f"{archive} has no {missing[0]}: it is not the binary version of CIFAR-10; get it anew")
    parts = [np.frombuffer(contents[name], np.uint8) for name in FILES]
    for name, part in zip(FILES, parts, strict=True):
        if len(part) == 0 or len(part) % (N_PIXELS + 1) or part[:: N_PIXELS + 1].max() >= len(CLASSES):
            raise ValueError(f"{name} in {archive} is not as CIFAR-10 has it: get the archive anew")
    rows = np.concatenate(parts).reshape(-1, N_PIXELS + 1)
    in_test = np.arange(len(rows)) >= len(rows) - len(parts[-1]) // (N_PIXELS + 1)
    return rows[:, 1:], rows[:, 0], in_test


def _read_jpeg(archive: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    names = dict(_jpeg_names())
    contents = read_tar(archive, names, LARGEST)
    found = [name for name in names if name in contents]  # in this order, independent of the archive's
    if not found:
        raise ValueError(f"{archive} has no image such as {next(iter(names))}: it is not CIFAR-10; get it anew")
    pixels = np.empty((len(found), 3, SIDE, SIDE), np.uint8)
    quiet = len(found) < MOST_IN_FOLDER
    for number, name in enumerate(track(found, "decoding CIFAR-10", transient=True, disable=quiet)):
        pixels[number] = _decode(contents[name], f"{name} in {archive}")
    y, in_test = np.array([names[name] for name in found]).T
    return pixels, y, in_test


def _jpeg_names() -> Iterator[tuple[str, tuple[int, bool]]]:
    """Yield the names of images, with their class and whether they are for test."""
    for part in ("train", "test"):
        for number, name in enumerate(CLASSES):
            for i in range(MOST_IN_FOLDER):
                yield f"{part}/{name}/{i:04d}.jpg", (number, part == "test")


def _decode(content: bytes, what: str) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for broken files
        raise ValueError(f"{what} cannot be decoded ({error}): get the archive anew") from error
    if pixels.shape != (SIDE, SIDE, 3):
        raise ValueError(f"{what} has {pixels.shape[1]}×{pixels.shape[0]} pixels, {SIDE}×{SIDE} were expected")
    return pixels.transpose(2, 0, 1)
