"""Folders of photos as people have them: what is not read is named, in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import ImageFolder
from datamodules._photo_folders import list_photos


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number, kind in enumerate(("cat", "emu")):
        (tmp_path / "farm" / kind).mkdir(parents=True)
        for i in range(3):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "farm" / kind / f"{number}{i}.JPG")
    return tmp_path


def line(caplog: pytest.LogCaptureFixture) -> str:
    (record,) = caplog.records
    assert len(record.getMessage().splitlines()) == 1
    return record.getMessage()


def test_folders_without_anything_else_are_read_silently(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("notes.txt", "Thumbs.db", ".DS_Store", "LICENSE"):
        (root / "farm" / "cat" / name).write_bytes(b"")
    photos = list_photos(root)
    assert {site.name: {k: [p.name for p in v] for k, v in classes.items()} for site, classes in photos.items()} == {
        "farm": {"cat": ["00.JPG", "01.JPG", "02.JPG"], "emu": ["10.JPG", "11.JPG", "12.JPG"]}
    }
    assert caplog.records == []


def test_photos_and_films_that_are_not_read_are_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("farm/cat/1.HEIC", "farm/emu/2.heic", "farm/emu/3.mov"):
        (root / name).write_bytes(b"")
    list_photos(root)
    assert line(caplog) == f"not read: 2 .heic, 1 .mov (first {root}/farm/cat/1.HEIC; save photos as .jpg)"


def test_photos_outside_a_class_are_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("1.png", "farm/2.png"):
        (root / name).write_bytes(b"")
    (root / "farm" / "cat" / "best").mkdir()
    list_photos(root)
    assert f"2 photos outside a class folder (first {root}/1.png)" in line(caplog)
    assert f"1 folders inside a class (first {root}/farm/cat/best)" in line(caplog)


def test_copies_of_a_photo_are_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("cat/00 copy.JPG", "emu/again.JPG"):
        (root / "farm" / name).write_bytes((root / "farm" / "cat" / "00.JPG").read_bytes())
    list_photos(root)
    assert "farm has 2 photos that are copies of others (cat/00.JPG is one of cat/00 copy.JPG)" in line(caplog)


def test_classes_in_place_of_sites_are_explained(root: Path) -> None:
    (root / "farm" / "cat").rename(root / "cat")
    with pytest.raises(ValueError, match=r"cat has photos and no class folder.*put it.*into a folder .*home.cat$"):
        list_photos(root)


@pytest.mark.parametrize(
    ("name", "words"),
    [("1.heic", "no image, but 1 .heic, which are not read"), ("old/1.jpg", "no image, but the folder old, and")],
)
def test_what_is_there_in_place_of_photos_is_named(root: Path, name: str, words: str) -> None:
    (root / "farm" / "owl" / name).parent.mkdir(parents=True)
    (root / "farm" / "owl" / name).write_bytes(b"")
    with pytest.raises(ValueError, match=words):
        list_photos(root)


def test_a_folder_that_cannot_be_read_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ValueError, match=r"cannot be read \(.*Permission denied.*: make it readable, or move it away"):
        list_photos(root)


def test_a_long_name_of_a_site_is_no_trouble(root: Path, tmp_path: Path) -> None:
    (root / "farm").rename(root / ("ö" * 120))
    (domain,) = ImageFolder(root=str(root), image_size=4).domains()
    assert domain.name == "ö" * 120
    assert [len(path.name.encode()) < 255 for path in (tmp_path / "cache").iterdir()] == [True]
