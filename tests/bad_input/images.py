"""Folders of images, and idx files."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bad_input.case import FEW_SHOT, MLP, QUIET, Case

BASE = (*MLP, "--model.network.n_inputs=192", *QUIET, *FEW_SHOT)
DIGITS = (*MLP, "--model.network.n_inputs=784", *QUIET, *FEW_SHOT)
NEW = Path("d/a/x/9.png")
IMAGES = np.zeros((60, 28, 28))
LABELS = np.arange(60) % 10
TRAIN_X, TRAIN_Y = Path("d/train-images-idx3-ubyte"), Path("d/train-labels-idx1-ubyte")


def image(path: str | Path, size: tuple[int, int] = (8, 8)) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def folder(change: Callable[[], object] | None = None) -> Callable[[], None]:
    """Two experiences of three classes of eight images, and one change of them."""

    def write() -> None:
        for name in (f"d/{experience}/{label}/{i}.png" for experience in "ab" for label in "xyz" for i in range(8)):
            image(name)
        if change is not None:
            change()

    return write


def png(width: int, height: int) -> bytes:
    """An image without pixels whose header says that it has some."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def photograph(n_bytes: int) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save("d/a/x/9.jpg")
    cut(Path("d/a/x/9.jpg"), n_bytes)


def cut(path: Path, n_bytes: int) -> None:
    with path.open("r+b") as file:
        file.truncate(n_bytes)


def idx(
    x: np.ndarray = IMAGES, y: np.ndarray = LABELS, header: bytes = b"", change: Callable[[], object] | None = None
) -> Callable[[], None]:
    """Images and labels of digits, and one change of the files."""

    def write() -> None:
        Path("d").mkdir()
        for path, array, begins in ((TRAIN_X, x, header), (TRAIN_Y, y, b"")):
            sizes = b"".join(struct.pack(">I", size) for size in array.shape)
            path.write_bytes((begins or bytes([0, 0, 8, array.ndim]) + sizes) + array.astype("u1").tobytes())
        if change is not None:
            change()

    return write


def packed(n_bytes: int | None = None, content: bytes | None = None) -> None:
    for path in (TRAIN_X, TRAIN_Y):
        data = gzip.compress(path.read_bytes()) if content is None else content
        path.with_suffix(".gz").write_bytes(data[:n_bytes])
        path.unlink()


def swapped(make: Callable[[Path], object]) -> None:
    TRAIN_Y.unlink()
    make(TRAIN_Y)


def _folder(name: str, make: Callable[[], object] | None, *words: str) -> Case:
    given = "--data.sources=[{class_path: ImageFolder, init_args: {root: d, image_size: 8}}]"
    return Case(f"ImageFolder {name}", (given,), words, make, base=BASE)


def _idx(name: str, make: Callable[[], object] | None, *words: str) -> Case:
    given = "--data.sources=[{class_path: MNIST, init_args: {root: d}}]"
    return Case(f"idx {name}", (given,), words, make, base=DIGITS)


FOLDERS = [
    _folder("a pipe", folder(lambda: os.mkfifo(NEW)), str(NEW), "rename or remove"),
    _folder("a folder named .png", folder(NEW.mkdir), str(NEW), "rename or remove"),
    _folder("a link to nowhere", folder(lambda: NEW.symlink_to("nowhere")), str(NEW), "rename or remove"),
    _folder("a link to itself", folder(lambda: NEW.symlink_to("9.png")), str(NEW), "rename or remove"),
    _folder("an empty file", folder(NEW.touch), str(NEW), "replace or remove"),
    _folder("a text", folder(lambda: NEW.write_text("hello")), str(NEW), "replace or remove"),
    _folder("a cut image", folder(lambda: cut(Path("d/a/x/0.png"), 40)), "d/a/x/0.png", "replace or remove"),
    _folder("a cut photograph", folder(lambda: photograph(4000)), "d/a/x/9.jpg", "replace or remove"),
    _folder("a bomb", folder(lambda: NEW.write_bytes(png(50000, 50000))), str(NEW), "2500000000 pixels", "remove"),
    _folder("0x0", folder(lambda: NEW.write_bytes(png(0, 0))), str(NEW), "replace or remove"),
    _folder("no pixels", folder(lambda: NEW.write_bytes(png(8, 8))), str(NEW), "replace or remove"),
    _folder("missing", None, "the image folder d", "set root"),
    _folder("a file as root", lambda: Path("d").touch(), "the image folder d", "set root"),
    _folder("nothing in it", lambda: Path("d").mkdir(), "no experience folder", "d/<site>/<class>/<photo>"),
    _folder("no class", folder(Path("d/c").mkdir), "d/c", "no class folder", "remove the folder"),
    _folder("no image", folder(Path("d/a/w").mkdir), "d/a/w", "no image", "remove the folder"),
    _folder("one class", lambda: [image(f"d/a/x/{i}.png") for i in range(8)], "a (train)", "--data.n_way"),
    _folder("one image each", lambda: [image(f"d/a/{c}/0.png") for c in "xyz"], "class 'x' of a", "--data.split"),
    _folder("no room", folder(lambda: os.environ.update(LIFELONG_CACHE="/proc/x")), "/proc/x", "LIFELONG_CACHE"),
]
FILES = [
    _idx("too few labels", idx(y=LABELS[:10]), str(TRAIN_X), str(TRAIN_Y), "remove both"),
    _idx("label 10", idx(y=LABELS + 1), str(TRAIN_Y), "from 0 to 9"),
    _idx("no image", idx(x=IMAGES[:0], y=LABELS[:0]), str(TRAIN_X), "remove both"),
    _idx("0x0", idx(x=IMAGES[:, :0, :0]), str(TRAIN_X), "remove both"),
    _idx("two dimensions", idx(x=IMAGES.reshape(60, -1)), str(TRAIN_X), "(M, H, W)"),
    _idx("a header of 2**93", idx(header=bytes([0, 0, 8, 3]) + struct.pack(">III", 2**31, 2**31, 2**31)), str(TRAIN_X)),
    _idx("255 dimensions", idx(header=bytes([0, 0, 8, 255])), str(TRAIN_X), "255 dimensions", "remove it"),
    _idx("floats", idx(header=bytes([0, 0, 13, 3]) + struct.pack(">III", 60, 28, 28)), str(TRAIN_X), "remove it"),
    _idx("a text", idx(change=lambda: TRAIN_X.write_text("hello")), str(TRAIN_X), "not an idx file", "remove it"),
    _idx("empty", idx(change=lambda: TRAIN_X.write_bytes(b"")), str(TRAIN_X), "not an idx file"),
    _idx("cut", idx(change=lambda: cut(TRAIN_X, 1000)), str(TRAIN_X), "984 bytes", "47040"),
    _idx("cut in its header", idx(change=lambda: cut(TRAIN_X, 6)), str(TRAIN_X), "remove both"),
    _idx("packed and cut", idx(change=lambda: packed(50)), "ubyte.gz", "cannot be unpacked", "remove it"),
    _idx("packed text", idx(change=lambda: packed(content=b"hello")), "ubyte.gz", "cannot be unpacked"),
    _idx("no labels", idx(change=TRAIN_Y.unlink), "train-labels-idx1-ubyte", "beside them"),
    _idx("a folder as labels", idx(change=lambda: swapped(Path.mkdir)), "train-labels-idx1-ubyte", "beside them"),
    _idx("a pipe as labels", idx(change=lambda: swapped(os.mkfifo)), "train-labels-idx1-ubyte", "beside them"),
]

CASES = [*FOLDERS, *FILES]
