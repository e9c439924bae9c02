"""Packed files: read in parts, with a limit on what they unpack to, and never unpacked to the disk."""

from __future__ import annotations

import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

PART = 1 << 20
"""Bytes that are unpacked at once."""
OUTSIDE = re.compile(r"^[/\\]|^[A-Za-z]:|(?:^|[/\\])\.\.(?:[/\\]|$)")
"""A path from the root, on a drive, or by way of a parent; a backslash separates on Windows."""


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to be read in parts, unpacked where its name ends in ``.gz``."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        yield file  # type: ignore[misc]  # GzipFile is read as any other


def read_up_to(file: IO[bytes], limit: int) -> bytearray:
    """Read a file in parts until it ends or ``limit`` bytes are there."""
    data = bytearray()
    while len(data) < limit and (part := file.read(min(PART, limit - len(data)))):
        data += part
    return data


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive, if nothing in it points out of it.

    Raises:
        ValueError: when it is damaged, or has a link or a path that leads out of it.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise ValueError(f"{path} is not a complete zip archive ({error}): remove it to download it again") from error
    for entry in archive.infolist():
        # Made on Unix, an entry has its file mode in the upper half.
        check_inside(path, entry.filename, is_link=stat.S_ISLNK(entry.external_attr >> 16))
    return archive


def read_entry(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Read an entry of a zip archive that has at most ``limit`` bytes, whatever its header says.

    Raises:
        ValueError: when it has more, or is packed in a way whose size cannot be limited.
    """
    if (kind := archive.getinfo(name).compress_type) not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"it is packed by method {kind}: expected {zipfile.ZIP_STORED} or {zipfile.ZIP_DEFLATED}")
    with archive.open(name) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it unpacks to more than {limit} bytes")
    return data


def read_tar(path: Path, names: Container[str], limit: int) -> dict[str, bytes]:
    """Read some files of an archive ``.tar.xz`` or ``.tar.gz``, as far as it has them.

    Args:
        path: the archive.
        names: paths inside it.
        limit: bytes that the whole of it unpacks to at most.

    Raises:
        ValueError: when it is damaged, unpacks to more, or has a link or a path that leads out of it.
    """
    contents: dict[str, bytes] = {}
    try:
        with (gzip if path.suffix == ".gz" else lzma).open(path) as unpacked, _tar(unpacked, limit) as archive:
            for member in archive:  # in their order: to go back is to unpack again
                check_inside(path, member.name, is_link=member.islnk() or member.issym())
                if member.size > limit:  # one of holes alone takes no room in the archive
                    raise OSError(f"{member.name} unpacks to more than {limit} bytes")
                name = member.name.removeprefix("./")
                if name in names and (file := archive.extractfile(member)) is not None:
                    contents[name] = file.read()
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        raise ValueError(f"{path} cannot be unpacked ({error}): get it anew") from error
    return contents


def _tar(unpacked: Any, limit: int) -> tarfile.TarFile:
    limited: Any = _Limited(unpacked, limit)
    return tarfile.open(fileobj=limited, mode="r:")


class _Limited:
    """A file that is read up to a limit, for tarfile, which believes the sizes that an archive claims."""

    def __init__(self, file: Any, limit: int) -> None:
        self.file, self.limit, self.tell = file, limit, file.tell

    def read(self, size: int = -1) -> bytes:
        self._check(self.tell() + size if size >= 0 else self.limit + 1)
        return self.file.read(size)  # type: ignore[no-any-return]

    def seek(self, place: int, whence: int = 0) -> int:
        self._check(place if whence == 0 else self.limit + 1)
        return self.file.seek(place, whence)  # type: ignore[no-any-return]

    def _check(self, place: int) -> None:
        if place > self.limit:
            raise OSError(f"it unpacks to more than {self.limit} bytes")


def check_inside(path: Path, name: str, *, is_link: bool) -> None:
    """Refuse an entry of an archive that is a link or leads out of it.

    Raises:
        ValueError: naming it and the archive.
    """
    if is_link or OUTSIDE.search(name):
        what = "is a link" if is_link else "leads out of it"
        raise ValueError(
            f"{path} has the entry {name!r}, which {what}: no data set has one; remove it, and get it anew"
        )
