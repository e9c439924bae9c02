"""Compressed files and archives, read in parts with a limit on the uncompressed size, never extracted to disk."""

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
"""Number of bytes decompressed at a time."""
OUTSIDE = re.compile(r"^[/\\]|^[A-Za-z]:|(?:^|[/\\])\.\.(?:[/\\]|$)")
"""An absolute path, one on a drive, or one through a parent folder; on Windows a backslash is a separator."""


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, decompressed if its name ends in ``.gz``."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        yield file  # type: ignore[misc]  # GzipFile is read as any other


def read_up_to(file: IO[bytes], limit: int) -> bytearray:
    """Read a file in parts until its end or ``limit`` bytes."""
    data = bytearray()
    while len(data) < limit and (part := file.read(min(PART, limit - len(data)))):
        data += part
    return data


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive after checking that no entry points outside it.

    Raises:
        ValueError: when it is damaged, or has a link or a path that leads outside it.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise ValueError(f"{path} is not a complete zip archive ({error}): remove it to download it again") from error
    for entry in archive.infolist():
        # In archives made on Unix, the upper 16 bits are the file mode.
        check_inside(path, entry.filename, is_link=stat.S_ISLNK(entry.external_attr >> 16))
    return archive


def read_entry(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Read an entry of at most ``limit`` bytes from a zip archive, without relying on its header.

    Raises:
        ValueError: when it has more, or uses a compression whose size cannot be limited.
    """
    if (kind := archive.getinfo(name).compress_type) not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"it is packed by method {kind}: expected {zipfile.ZIP_STORED} or {zipfile.ZIP_DEFLATED}")
    with archive.open(name) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it unpacks to more than {limit} bytes")
    return data


def read_tar(path: Path, names: Container[str], limit: int) -> dict[str, bytes]:
    """Read the requested files that exist in an archive ``.tar.xz`` or ``.tar.gz``.

    Args:
        path: the archive.
        names: paths of the files in the archive.
        limit: maximum uncompressed size of the archive, in bytes.

    Raises:
        ValueError: when it is damaged, exceeds the limit, or has a link or a path that leads outside it.
    """
    contents: dict[str, bytes] = {}
    try:
        with (gzip if path.suffix == ".gz" else lzma).open(path) as unpacked, _tar(unpacked, limit) as archive:
            for member in archive:  # in order, as seeking back decompresses again
                check_inside(path, member.name, is_link=member.islnk() or member.issym())
                if member.size > limit:  # a sparse file takes no space in the archive
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
    """A file that is read up to a limit, as tarfile trusts the sizes stated in an archive."""

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
    """Refuse an entry of an archive that is a link or leads outside it.

    Raises:
        ValueError: with the names of the entry and the archive.
    """
    if is_link or OUTSIDE.search(name):
        what = "is a link" if is_link else "leads out of it"
        raise ValueError(
            f"{path} has the entry {name!r}, which {what}: no data set has one; remove it, and get it anew"
        )
