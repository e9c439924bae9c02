"""Collected arrays in the cache folder."""

from __future__ import annotations

import math
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lifelong.utilities.files import write_whole

Arrays = dict[str, NDArray[Any]]


def read_npz(path: Path) -> Arrays:
    """Read all arrays of a file written by ``numpy.savez``.

    numpy allocates memory by the size in an array's header before reading, so the header is first compared with the
    size of the data in the archive.

    Raises:
        ValueError: when it is not such a file, contains objects, or an array's header does not match its data.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no archive, or its end is missing")
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                _check_header(member, info)
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _check_header(member: IO[bytes], info: zipfile.ZipInfo) -> None:
    version = np.lib.format.read_magic(member)
    read: Any = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    if dtype.hasobject:
        raise ValueError(f"{info.filename} holds objects, not numbers")
    expected, size = math.prod(shape) * dtype.itemsize, info.file_size - member.tell()
    if expected != size:
        raise ValueError(f"{info.filename} has {size} bytes of data, but its header {shape} needs {expected}")


def load_arrays(path: Path, names: Iterable[str]) -> Arrays | None:
    """Return the arrays of a file by name; None if there is no file or, with a warning, if it is damaged.

    The archive has a checksum of each array, which is verified on reading.
    """
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        warnings.warn(f"the arrays in {path} are damaged ({error}): they are collected anew", stacklevel=2)
        return None


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], what: str, *, compress: bool = False) -> None:
    """Write arrays to a file atomically.

    Args:
        path: the file.
        arrays: arrays by name.
        what: description of the arrays, for the message.
        compress: whether to compress the file.

    Raises:
        ValueError: when the file cannot be written; the message suggests a solution.
    """

    def write(part: Path) -> None:
        with part.open("wb") as file:  # numpy would add a suffix to a path
            save: Any = np.savez_compressed if compress else np.savez  # its keywords are typed as one option of its own
            save(file, **arrays)

    try:
        write_whole(path, write)
    except OSError as error:
        raise ValueError(
            f"{what} cannot be kept in {path.parent} ({error}): name a folder with room for "
            f"{sum(array.nbytes for array in arrays.values()) / 2**20:.0f} MiB with LIFELONG_CACHE"
        ) from error
