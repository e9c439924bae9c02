"""Helpers of text sources: finding files in a folder or an archive, and removing duplicates.

Shapes: ``M`` texts.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from datamodules._archives import read_tar
from datamodules._files import data_root

T = TypeVar("T", bound=Hashable)
LARGEST_ARCHIVE = 1 << 28
"""Maximum uncompressed size in bytes of an archive of texts; FDU-MTL has 40 MB."""


def first_of_each(keys: Sequence[Hashable], in_test: np.ndarray | None = None) -> np.ndarray:
    """Return the sorted indices of the texts without duplicates, so that no test text is trained on.

    Args:
        keys: ``M`` keys, equal for copies.
        in_test: ``(M,)`` mask of the test texts. All of them are kept; other texts that are copies of them are removed.

    Example:
        >>> first_of_each(["a", "b", "a", "c", "b", "b"], np.array([False, False, False, False, True, True])).tolist()
        [0, 3, 4, 5]
    """
    tested = np.zeros(len(keys), dtype=bool) if in_test is None else in_test
    seen = {key for key, test in zip(keys, tested, strict=True) if test}
    kept = []
    for number, key in enumerate(keys):
        if tested[number] or key not in seen:
            kept.append(number)
        seen.add(key)
    return np.array(kept, dtype=np.int64)


def chosen(source: str, option: str, asked: Sequence[T] | None, known: Sequence[T]) -> list[T]:
    """Return the requested values in order, or by default all known ones.

    Raises:
        ValueError: when a value is unknown or repeated, or the list is empty.
    """
    picked = list(known if asked is None else asked)
    if not picked or len(set(picked)) < len(picked) or not set(picked) <= set(known):
        raise ValueError(f"{source} has {option} {picked}: give different ones of {', '.join(map(str, known))}")
    return picked


def read_files(root: str | None, folder: str, names: Sequence[str], origin: str) -> dict[str, list[str]]:
    """Read the lines of some files of a data set, extracted or in its archive ``<folder>.tar.xz``.

    Args:
        root: folder with ``<folder>/`` or its content. If None, ``$LIFELONG_DATA``, else ``data``.
        folder: folder of the data set.
        names: paths of the files in the archive.
        origin: address from which the files can be obtained, for the message.

    Raises:
        ValueError: when a file is in neither, or the archive is damaged.
    """
    base = data_root(root)
    archive = f"{folder}.tar.xz"
    for place in (base / folder, base):
        if _find(place, names[0]) is not None:
            return {name: _read_beside(place, name) for name in names}
        if (place / archive).is_file():
            return _unpacked(place / archive, names)
    raise ValueError(
        f"neither {archive} nor {names[0]} is in {base / folder} or {base}: get them from {origin} and put them there, "
        "or name the folder that has them with LIFELONG_DATA or the source's root"
    )


def _find(place: Path, name: str) -> Path | None:
    """Find a file by its path in the archive, or by its name only."""
    return next((path for path in (place / name, place / Path(name).name) if path.is_file()), None)


def _read_beside(place: Path, name: str) -> list[str]:
    if (path := _find(place, name)) is None:
        raise ValueError(f"{place} has no {name}: put it beside the other files of the data set")
    return list(_lines(path.read_bytes()))


def _unpacked(archive: Path, names: Sequence[str]) -> dict[str, list[str]]:
    contents = read_tar(archive, names, LARGEST_ARCHIVE)
    if missing := [name for name in names if name not in contents]:
        raise ValueError(f"{archive} has no {missing[0]}: this is another archive, or a damaged one; get it anew")
    return {name: list(_lines(contents[name])) for name in names}


def _lines(data: bytes) -> Iterator[str]:
    """Split lines at ``\\n`` only, as splitlines also splits at other characters, which occur within old texts."""
    for line in data.split(b"\n"):
        try:
            yield line.decode().rstrip("\r")
        except UnicodeDecodeError:  # some lines of old data sets are in cp1252
            yield line.decode("cp1252", errors="replace").rstrip("\r")
