"""Uploads are looked at before anything is made of them."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from lifelong.serve import uploads
from lifelong.serve.uploads import PhotoFile, check_photo, check_size, small_picture
from tests.serve.photos import photo


def bomb(width: int, height: int) -> bytes:
    """A few bytes that say they are a photo of any size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return start + struct.pack(">I", 9) + b"IDAT"


@pytest.mark.parametrize("form", uploads.FORMATS)
def test_photos_of_all_formats_are_taken(form: str) -> None:
    content = photo("melon", 1, form)
    check_photo(content)
    with PhotoFile(content) as file:
        assert Image.open(io.BytesIO(small_picture(file))).size == (uploads.SIZE, uploads.SIZE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no photo that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no photo that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no photo that can be read"),
        (b"\x89PNG\r\n\x1a\n", "no photo that can be read"),
        (bomb(10_000, 10_000), "10000 x 10000 pixels"),
        (bomb(60_000, 60_000), "million pixels"),
    ],
)
def test_what_is_no_photo_is_refused_by_its_head(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        check_photo(content)
    assert "\n" not in str(caught.value)


def test_half_a_photo_is_refused_when_it_is_decoded() -> None:
    content = photo("melon", 1)
    with PhotoFile(content[: len(content) // 2]) as file, pytest.raises(ValueError, match="no photo that can be read"):
        small_picture(file)


def test_large_uploads_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_BYTES", 2**20)
    check_size(2**20)
    with pytest.raises(ValueError, match="more than 1 MB"):
        check_photo(b"a" * (2**20 + 1))


def test_the_file_of_an_upload_is_gone_afterwards() -> None:
    with PhotoFile(photo("melon", 1)) as file:
        assert file.name == "photo"
        folder: Path = file.parent
    assert not folder.exists()
