"""MNIST and Fashion-MNIST, from files in the idx format, with or without gzip compression.

Shapes: ``M`` images, ``H`` and ``W`` pixels.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, ClassVar

import numpy as np
import torch

from datamodules._archives import opened, read_up_to
from datamodules._download import Download, fetch
from datamodules._files import check_counts, check_image_size, data_root
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.utilities.ranges import check_number
from lifelong.vision import ImageReader
from lifelong.vision.decoding import resized

HALVES = ("train", "t10k")
COUNTS = {"train": 60_000, "t10k": 10_000}
"""Number of images per part, in both data sets."""
LARGEST = 1 << 30
"""Limit in bytes of the data read from an idx file, whatever its header claims; MNIST has 47 million."""
LARGEST_PACKED = 1 << 25
"""Limit in bytes of a downloaded file; the images of Fashion-MNIST have 26 million."""
MOST_DIMENSIONS = 3
UNSIGNED_BYTE = 8
"""The idx code of the only element type that image files use."""


class _IdxSource(Source):
    """Read 28×28 grey images of ten classes into one domain: the base of both data sets."""

    NAME: ClassVar[str]
    FOLDER: ClassVar[str]
    MIRRORS: ClassVar[Sequence[str]]
    HASHES: ClassVar[Mapping[str, str]]
    CLASSES: ClassVar[Sequence[str]]

    def __init__(
        self,
        *,
        root: str | None = None,
        image_size: int = 28,
        max_per_class: int | None = None,
        official_test: bool = False,
    ) -> None:
        check_image_size(type(self).__name__, image_size)
        check_number(
            f"{type(self).__name__}'s max_per_class", max_per_class, least=1, whole=True, hint=", or null for all"
        )
        self.root = root
        self.image_size = image_size
        self.max_per_class = max_per_class
        self.official_test = official_test

    def domains(self) -> list[Domain]:
        """Load one domain with the training and test parts that exist."""
        located = self._locate()
        halves = [_read_half(folder, half) for folder, half in located]
        for (drawn, _), (_, half) in zip(halves, located, strict=True):
            found = "{} images of {}×{}".format(*drawn.shape)
            check_counts(f"the half {half} of {self.NAME}", found, f"{COUNTS[half]} images of 28×28")
        x, y = (np.concatenate(arrays) for arrays in zip(*halves, strict=True))
        in_test = np.concatenate(
            [np.full(len(h[1]), half == HALVES[1]) for h, (_, half) in zip(halves, located, strict=True)]
        )
        if len(kept := _first_of_each(y, self.max_per_class)) < len(y):
            x, y, in_test = x[kept], y[kept], in_test[kept]
        if x.shape[1:] != (self.image_size, self.image_size):
            x = _resize(x, self.image_size)
        images, labels = torch.from_numpy(x)[:, None], y.astype(np.int64)
        fixed = in_test if self.official_test else None
        return [Domain(self.NAME, images, labels, self.CLASSES, holdout="examples", in_test=fixed)]

    def reader(self) -> ImageReader:
        """Return the reader that reads a grey image, bright on dark, as in the data set."""
        return ImageReader(image_size=self.image_size, channels=1)

    def _locate(self) -> list[tuple[Path, str]]:
        """Return the folder of each part that exists, downloading both parts if neither exists."""
        root = data_root(self.root)
        for folder in (root / self.FOLDER, root):
            if halves := [(folder, half) for half in HALVES if _find(folder, half, "images-idx3")]:
                return halves
        folder = root / self.FOLDER
        for name, digest in self.HASHES.items():
            fetch(Download(tuple(mirror + name for mirror in self.MIRRORS), digest, LARGEST_PACKED), folder / name)
        return [(folder, half) for half in HALVES]


class MNIST(_IdxSource):
    """Read handwritten digits: one domain, ten classes.

    Args:
        root: folder with ``mnist/`` or the idx files themselves. Default: ``$LIFELONG_DATA``, else ``data``. If there
            is no file, all four are downloaded.
        image_size: height and width in pixels.
        max_per_class: maximum number of images per class; the first ones are kept. Default: all.
        official_test: use the official test set as test part and split the official training set into train and val.
            If False, both are joined and the stream splits them.

    Raises:
        ValueError: when a file is missing, damaged or cannot be downloaded.

    Reference:
        LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition.

    Example:
        >>> MNIST(max_per_class=100).CLASSES[:3]
        ('0', '1', '2')
    """

    NAME = "MNIST"
    FOLDER = "mnist"
    MIRRORS = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    # Hashes of the files whose MD5 torchvision 0.28 gives.
    HASHES = MappingProxyType(
        {
            "train-images-idx3-ubyte.gz": "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        }
    )
    CLASSES = tuple("0123456789")


class FashionMNIST(_IdxSource):
    """Read articles of clothing: one domain, ten classes.

    Args:
        root: folder with ``fashion-mnist/`` or the idx files themselves. Default: ``$LIFELONG_DATA``, else ``data``. If
            there is no file, all four are downloaded.
        image_size: height and width in pixels.
        max_per_class: maximum number of images per class; the first ones are kept. Default: all.
        official_test: use the official test set as test part and split the official training set into train and val.
            If False, both are joined and the stream splits them.

    Raises:
        ValueError: when a file is missing, damaged or cannot be downloaded.

    Reference:
        Xiao, Rasul, Vollgraf 2017, Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms.

    Example:
        >>> FashionMNIST(max_per_class=100).CLASSES[0]
        'T-shirt/top'
    """

    NAME = "Fashion-MNIST"
    FOLDER = "fashion-mnist"
    # The authors' address, http://fashion-mnist.s3-website.eu-central-1.amazonaws.com, has no TLS. The same bucket is
    # available over TLS by its other name. Neither this nor GitHub could be tested when this was written, so both are
    # listed and the hash decides. The files of the commit are those of the bucket: for the test set, git's hashes match
    # the files whose MD5 torchvision gives.
    MIRRORS = (
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/"
        "b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion/",
    )
    HASHES = MappingProxyType(
        {
            "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",  # from torchvision
            "train-labels-idx1-ubyte.gz": "sha256:a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "sha256:346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "sha256:67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        }
    )
    CLASSES = (
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    )


def _find(folder: Path, half: str, kind: str) -> Path | None:
    names = (f"{half}-{kind}-ubyte.gz", f"{half}-{kind}-ubyte")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_half(folder: Path, half: str) -> tuple[np.ndarray, np.ndarray]:
    """Read images ``(M, H, W)`` and labels ``(M,)``."""
    paths = [_find(folder, half, kind) for kind in ("images-idx3", "labels-idx1")]
    if paths[0] is None or paths[1] is None:
        raise ValueError(f"{folder} has the images but not {half}-labels-idx1-ubyte.gz: put the labels beside them")
    images, labels = read_idx(paths[0]), read_idx(paths[1])
    if images.ndim != 3 or 0 in images.shape or labels.shape != images.shape[:1] or labels.max() > 9:
        raise ValueError(
            f"{paths[0]} of shape {images.shape} and {paths[1]} of shape {labels.shape} do not belong together, or "
            f"are empty: expected images (M, H, W) and labels (M,) from 0 to 9; remove both to download them again"
        )
    return images, labels


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file of unsigned bytes, compressed if its name ends in ``.gz``.

    The format: two zero bytes, the element type, the number of dimensions, their sizes as big-endian int32, the data.

    Raises:
        ValueError: when the file is not an idx file, is incomplete, or has more data than its header states.
    """
    try:
        with opened(path) as file:
            shape = _read_shape(file, path)
            expected = math.prod(shape)
            if expected > LARGEST:
                raise ValueError(
                    f"{path} has the header {shape}: an idx file of at most {LARGEST} bytes is read; remove it"
                )
            data = read_up_to(file, expected)
            more = file.read(1)  # gzip verifies the checksum at the end of the file
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be unpacked ({error}): remove it to download it again") from error
    if more or len(data) != expected:
        raise ValueError(
            f"{path} has {f'more than {expected}' if more else len(data)} bytes of data, but its header {shape} needs "
            f"{expected}: remove it to download it again"
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def _read_shape(file: IO[bytes], path: Path) -> tuple[int, ...]:
    begin = file.read(4)
    if len(begin) < 4 or begin[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise ValueError(f"{path} is not an idx file of unsigned bytes (it begins with {begin!r}): remove it")
    if begin[3] > MOST_DIMENSIONS:
        raise ValueError(f"{path} says that it has {begin[3]} dimensions, and images have {MOST_DIMENSIONS}: remove it")
    sizes = file.read(4 * begin[3])
    return tuple(int.from_bytes(sizes[4 * i : 4 * i + 4], "big") for i in range(begin[3]))


def _first_of_each(y: np.ndarray, count: int | None) -> np.ndarray:
    """Return the ascending indices of the first ``count`` examples of each class."""
    if count is None:
        return np.arange(len(y))
    return np.sort(np.concatenate([np.flatnonzero(y == c)[:count] for c in np.unique(y)]))


def _resize(x: np.ndarray, size: int) -> np.ndarray:
    from PIL import Image

    return np.stack([np.asarray(resized(Image.fromarray(image), size)) for image in x])
