"""Archives that lie about their sizes, or lead out of themselves."""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path

import pytest

from datamodules._archives import read_tar
from tests.datamodules.memory import at_most
from tests.datamodules.text_files import pack

LIMIT = 1 << 20


def packed(path: Path, *entries: tarfile.TarInfo, data: bytes = b"") -> Path:
    """An archive of entries as they are, each with the same data."""
    with tarfile.open(path, "w:xz") as file:
        for entry in entries:
            file.addfile(entry, io.BytesIO(data))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size, target
    return made


def test_the_files_that_are_asked_for_are_read(tmp_path: Path) -> None:
    pack(tmp_path / "a.tar.xz", {"./in/a": "first", "in/b": "second", "c": "third"})
    assert read_tar(tmp_path / "a.tar.xz", ["in/a", "c", "d"], LIMIT) == {"in/a": b"first", "c": b"third"}


@pytest.mark.parametrize("name", ["in/a", "something else"])
def test_an_archive_that_unpacks_to_much_is_refused(tmp_path: Path, name: str) -> None:
    pack(tmp_path / "a.tar.xz", {name: bytes(1 << 24), "b": "last"})
    assert (tmp_path / "a.tar.xz").stat().st_size < 1 << 13
    with pytest.raises(
        ValueError, match=r"a\.tar\.xz cannot be unpacked \(.* to more than 1048576 bytes\): get it anew"
    ):
        read_tar(tmp_path / "a.tar.xz", ["in/a", "b"], LIMIT)


def test_a_header_that_claims_a_long_name_is_refused(tmp_path: Path) -> None:
    long = entry("././@LongLink", tarfile.GNUTYPE_LONGNAME, 1 << 40)
    (tmp_path / "a.tar.xz").write_bytes(lzma.compress(long.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 26)))
    with (
        at_most(1 << 24),
        pytest.raises(ValueError, match=r"a\.tar\.xz cannot be unpacked \(it unpacks to more than 1048576 bytes"),
    ):
        read_tar(tmp_path / "a.tar.xz", ["a"], LIMIT)


def test_a_file_of_holes_is_refused(tmp_path: Path) -> None:
    header = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "a",
        "GNU.sparse.realsize": str(1 << 33),
    }
    holes = entry("GNUSparseFile.0/a", size=512)
    holes.pax_headers = header
    data = f"1\n{1 << 33}\n0\n".encode().ljust(512, b"\0")
    with tarfile.open(tmp_path / "a.tar.xz", "w:xz", format=tarfile.PAX_FORMAT) as file:
        file.addfile(holes, io.BytesIO(data))
    with pytest.raises(ValueError, match=r"a\.tar\.xz cannot be unpacked \(a unpacks to more than 1048576 bytes"):
        read_tar(tmp_path / "a.tar.xz", ["a"], LIMIT)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_is_refused(tmp_path: Path, kind: bytes) -> None:
    path = packed(tmp_path / "a.tar.xz", entry("a", kind, target="/etc/passwd"))
    with pytest.raises(
        ValueError, match=r"a\.tar\.xz has the entry 'a', which is a link: no data set has one; remove it"
    ):
        read_tar(path, ["a"], LIMIT)


@pytest.mark.parametrize("name", ["../a", "in/../../a", "/etc/a", "..\\a", "C:\\a"])
def test_an_entry_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / "a.tar.xz", entry(name))
    with pytest.raises(ValueError, match=r"a\.tar\.xz has the entry '.*a', which leads out of it"):
        read_tar(path, ["a"], LIMIT)


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    pack(tmp_path / "a.tar.xz", {"a": "first" * 1000})
    whole = (tmp_path / "a.tar.xz").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"no archive", b""):
        (tmp_path / "a.tar.xz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"a\.tar\.xz cannot be unpacked \(.*\): get it anew"):
            read_tar(tmp_path / "a.tar.xz", ["a"], LIMIT)
