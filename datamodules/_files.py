"""Data files: their folder, and counting, resizing and caching of what sources read.

Shapes: ``M`` images, ``C`` channels, ``H`` and ``W`` pixels.
"""

from __future__ import annotations

import hashlib
import os
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from lifelong.utilities.cache import cache_folder
from lifelong.utilities.ranges import check_number

LARGEST_IMAGE = 1 << 14
"""Maximum height and width in pixels; an image of this size takes 768 MiB."""
SHOW_PROGRESS_FROM = 2000
"""Number of images from which decoding takes long enough for a progress bar."""
SHOW_CHECK_FROM = 1 << 30
"""Size in bytes from which checking a cache takes long enough for a progress bar."""
LONGEST_NAME = 100
"""Maximum length in bytes of a cache file's name without its key; file systems allow 255."""
PART = 1 << 20
"""Number of bytes checked at a time."""
VERSION = 2
"""Version of the cache format; images cached in another version are decoded again."""
N_CHECK = 4
"""Bytes of the checksum (CRC-32, as in zip archives) at the end of a cache file, which numpy ignores."""


def data_root(root: str | None) -> Path:
    """Return the folder of all data sets: the argument, else the variable ``LIFELONG_DATA``, else ``data``."""
    return Path(root or os.environ.get("LIFELONG_DATA") or "data").expanduser()


def check_counts(what: str, found: str, official: str) -> None:
    """Warn if the counts of a local data set differ from the official ones.

    Args:
        what: description of the data set's part.
        found: the counts found.
        official: the published counts, in the same format.
    """
    if found != official:
        warnings.warn(
            f"{what} has {found} here, the official one has {official}: results are not comparable with published ones",
            stacklevel=3,
        )


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Yield a temporary path that is renamed to ``target`` when the block ends without an error.

    This is for content that does not depend on the writer (downloads, caches): a target that another process has
    written meanwhile is kept if the system forbids replacing an open file (Windows).
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid4().hex}")  # two processes may write the same target at once
    try:
        yield part
        try:
            os.replace(part, target)
        except PermissionError:
            if not target.is_file():
                raise
    finally:
        part.unlink(missing_ok=True)


def cached_images(
    name: str,
    settings: Sequence[object],
    files: Iterable[Path],
    shape: tuple[int, ...],
    fill: Callable[[np.ndarray], None],
    *,
    memory_map: bool = False,
) -> Tensor:
    """Decode images once, and read them from the cache folder afterwards as long as no file has changed.

    The checksum of a cache is verified each time; images of a damaged cache are decoded again, with a warning.

    Args:
        name: prefix of the cache file's name.
        settings: everything else that the pixels depend on.
        files: the decoded files; their names, sizes and modification times are part of the key.
        shape: ``(M, C, H, W)``.
        fill: writes the pixels into a uint8 array of this shape; see :func:`in_turn`.
        memory_map: keep the pixels on disk and read them when they are indexed.

    Returns:
        ``(M, C, H, W)`` uint8.

    Raises:
        ValueError: when the cache folder cannot be written.
    """
    beginning = name.encode()[:LONGEST_NAME].decode(errors="ignore")
    path = cache_folder() / f"{beginning}-{_key(settings, files)}.npy"
    array = _cached(
        path,
        shape,
        lambda part: _fill(part, shape, fill),
        int(np.prod(shape)),
        memory_map=memory_map,
    )
    return torch.from_numpy(array)


def cached_bytes(
    name: str, settings: Sequence[object], files: Iterable[Path], make: Callable[[], np.ndarray]
) -> np.ndarray:
    """Create an array of bytes once, and read it from the cache folder afterwards like :func:`cached_images`.

    Args:
        name: prefix of the cache file's name.
        settings: everything else that the array depends on.
        files: the files that it is created from; their names, sizes and modification times are part of the key.
        make: returns the array, uint8 with one dimension.

    Returns:
        ``(bytes,)``.

    Raises:
        ValueError: when the cache folder cannot be written.
    """
    path = cache_folder() / f"{name}-{_key(settings, files)}.npy"
    if (array := _load(path, None)) is None:
        made = make()
        array = _cached(path, made.shape, lambda part: _write(part, made), made.nbytes)
    return array


def _cached(
    path: Path, shape: tuple[int, ...], write: Callable[[Path], None], n_bytes: int, *, memory_map: bool = False
) -> np.ndarray:
    """Return the array cached in a file, writing it first if necessary."""
    if (array := _load(path, shape, memory_map)) is None:
        try:
            with written_whole(path) as part:
                write(part)
        except OSError as error:
            raise ValueError(
                f"decoded images cannot be kept in {path.parent} ({error}): "
                f"name a folder with room for {n_bytes / 2**20:.0f} MiB with LIFELONG_CACHE"
            ) from error
        array = _load(path, shape, memory_map)
    if array is None:
        raise ValueError(f"the decoded images in {path} are damaged and open in another process: end it, or remove it")
    return array


def _key(settings: Sequence[object], files: Iterable[Path]) -> str:
    digest = hashlib.sha256(repr((VERSION, *settings)).encode())
    for file in files:
        state = file.stat()
        digest.update(f"{file.absolute()}:{state.st_size}:{state.st_mtime_ns};".encode())
    return digest.hexdigest()[:16]


def _load(path: Path, shape: tuple[int, ...] | None, memory_map: bool = False) -> np.ndarray | None:
    """Read a cache of this shape, or of any one-dimensional shape; None if it is missing or damaged."""
    if not path.is_file():
        return None
    try:
        if _checksum(path, path.stat().st_size - N_CHECK) != _written_checksum(path):
            raise ValueError("its bytes do not fit its checksum")
        # "c" is copy-on-write: torch needs writable memory, and the file must not change.
        array: np.ndarray = np.load(path, mmap_mode="c" if memory_map else None, allow_pickle=False)
        shape = (array.size,) if shape is None else shape
        if array.shape != shape or array.dtype != np.uint8:
            raise ValueError(f"it has {array.dtype} of shape {array.shape}, but uint8 of shape {shape} was written")
    except (OSError, ValueError, EOFError) as error:
        warnings.warn(f"the decoded images in {path} are damaged ({error}): they are decoded anew", stacklevel=3)
        return None
    return array


def _checksum(path: Path, size: int) -> bytes:
    """Return the checksum of the first ``size`` bytes of a file."""
    checksum = 0
    with path.open("rb") as file:
        starts = range(0, size, PART)
        for start in track(starts, f"checking {path.name}", transient=True, disable=size < SHOW_CHECK_FROM):
            checksum = zlib.crc32(file.read(min(PART, size - start)), checksum)
    return checksum.to_bytes(N_CHECK, "little")


def _written_checksum(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-N_CHECK, os.SEEK_END)
        return file.read()


def in_turn(decode: Callable[[int], np.ndarray], description: str) -> Callable[[np.ndarray], None]:
    """Return a function that fills an array with images sequentially, with a progress bar if there are many.

    Args:
        decode: returns image ``i`` as uint8 ``(C, H, W)``.
        description: description of the progress bar.
    """

    def fill(pixels: np.ndarray) -> None:
        quiet = len(pixels) < SHOW_PROGRESS_FROM
        for i in track(range(len(pixels)), description, transient=True, disable=quiet):
            pixels[i] = decode(i)

    return fill


def _fill(path: Path, shape: tuple[int, ...], fill: Callable[[np.ndarray], None]) -> None:
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    try:
        fill(array)
        array.flush()
    finally:
        del array  # closes the file, as Windows cannot rename or remove an open one
    _append_checksum(path)


def _write(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:  # numpy would append .npy to a path
        np.save(file, array)
    _append_checksum(path)


def _append_checksum(path: Path) -> None:
    checksum = _checksum(path, path.stat().st_size)
    with path.open("ab") as file:
        file.write(checksum)


def check_image_size(source: str, size: int | None) -> None:
    """Refuse an image size that is not an integer or is too large.

    Args:
        source: name of the source.
        size: height and width in pixels; None keeps the size of the images.

    Raises:
        ValueError: with the name of the source.
    """
    check_number(f"{source}'s image_size", size, least=1, most=LARGEST_IMAGE, whole=True, hint=" pixels")
