"""MNIST and Fashion-MNIST, from files in the idx format, packed or not.

Shapes: ``M`` images, ``H`` and ``W`` pixels.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from datamodules._files import data_root, fetch, resized
from lifelong.data.domain import Domain
from lifelong.data.source import Source

HALVES = ("train", "t10k")
UNSIGNED_BYTE = 8
"""The idx code of the only element type that image files use."""


class _IdxSource(Source):
    """Read 28×28 grey images of ten classes into one domain: the base of both data sets."""

    NAME: ClassVar[str]
    FOLDER: ClassVar[str]
    URL: ClassVar[str]
    CLASSES: ClassVar[Sequence[str]]

    def __init__(
        self,
        *,
        root: str | None = None,
        image_size: int = 28,
        max_per_class: int | None = None,
        official_test: bool = False,
    ) -> None:
        self.root = root
        self.image_size = image_size
        self.max_per_class = max_per_class
        self.official_test = official_test

    def domains(self) -> list[Domain]:
        """Load one domain with the training and the test half, as far as they are there."""
        located = self._locate()
        halves = [_read_half(folder, half) for folder, half in located]
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

    def _locate(self) -> list[tuple[Path, str]]:
        """Return the folder of each half that is there; all of it is downloaded when none is."""
        root = data_root(self.root)
        for folder in (root / self.FOLDER, root):
            if halves := [(folder, half) for half in HALVES if _find(folder, half, "images-idx3")]:
                return halves
        folder = root / self.FOLDER
        for half in HALVES:
            for kind in ("images-idx3", "labels-idx1"):
                name = f"{half}-{kind}-ubyte.gz"
                fetch(self.URL + name, folder / name)
        return [(folder, half) for half in HALVES]


class MNIST(_IdxSource):
    """Read handwritten digits: one domain, ten classes.

    Args:
        root: folder that holds ``mnist/`` or the idx files themselves; None is ``$LIFELONG_DATA``, else ``data``.
            Without any file all four are downloaded.
        image_size: height and width in pixels.
        max_per_class: keep only the first images of each class; None keeps all.
        official_test: the test half is the test part, and the training half is shared by train and val; where false
            both halves are joined and the stream splits them.

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
    URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    CLASSES = tuple("0123456789")


class FashionMNIST(_IdxSource):
    """Read articles of clothing: one domain, ten classes.

    Args:
        root: folder that holds ``fashion-mnist/`` or the idx files themselves; None is ``$LIFELONG_DATA``, else
            ``data``. Without any file all four are downloaded.
        image_size: height and width in pixels.
        max_per_class: keep only the first images of each class; None keeps all.
        official_test: the test half is the test part, and the training half is shared by train and val; where false
            both halves are joined and the stream splits them.

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
    URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
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
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels) or labels.max(initial=0) > 9:
        raise ValueError(
            f"{paths[0]} of shape {images.shape} and {paths[1]} of shape {labels.shape} do not belong together: "
            f"expected images (M, H, W) and labels (M,) from 0 to 9; remove both to download them again"
        )
    return images, labels


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file of unsigned bytes, packed when its name ends in ``.gz``.

    The format: two zero bytes, the element type, the number of dimensions, their sizes as big-endian int32, the data.

    Raises:
        ValueError: when the file is not idx or not complete.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be unpacked ({error}): remove it to download it again") from error
    if len(data) < 4 or data[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise ValueError(f"{path} is not an idx file of unsigned bytes (it begins with {data[:4]!r}): remove it")
    n_dims = data[3]
    shape = tuple(int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(n_dims))
    expected, size = math.prod(shape), len(data) - 4 - 4 * n_dims
    if size != expected:
        raise ValueError(
            f"{path} has {max(size, 0)} bytes of data, but its header {shape} needs {expected}: "
            f"remove it to download it again"
        )
    return np.frombuffer(bytearray(data), np.uint8, offset=4 + 4 * n_dims).reshape(shape)


def _first_of_each(y: np.ndarray, count: int | None) -> np.ndarray:
    """Return the ascending indices of the first ``count`` examples of each class."""
    if count is None:
        return np.arange(len(y))
    return np.sort(np.concatenate([np.flatnonzero(y == c)[:count] for c in np.unique(y)]))


def _resize(x: np.ndarray, size: int) -> np.ndarray:
    from PIL import Image

    return np.stack([np.asarray(resized(Image.fromarray(image), size)) for image in x])
