"""What a person drops on the page: looked at before anything is made of it, and kept under no name of theirs."""

from __future__ import annotations

import io
import tempfile
import warnings
from pathlib import Path

import numpy as np

from lifelong.vision.decoding import BROKEN, decode_image

MOST_BYTES = 20 * 2**20
"""Of one upload."""
MOST_PIXELS = 50_000_000
"""Of one photo: those of most cameras have fewer; a small file may hold more than memory does."""
MOST_CHARACTERS = 100_000
"""Of one text."""
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""Formats of photos; Pillow's others call programs, or are none of a photo."""
NO_PHOTO = "this is no photo that can be read: give a JPEG, PNG, WebP, BMP, TIFF or GIF file"
SIZE = 160
"""Height and width in pixels of the small pictures on the page."""


def check_size(n_bytes: int) -> None:
    """Refuse an upload that is too large.

    Raises:
        ValueError: when it is.
    """
    if n_bytes > MOST_BYTES:
        raise ValueError(f"the upload has more than {MOST_BYTES // 2**20} MB: make it smaller")


def check_photo(content: bytes) -> None:
    """Refuse what is no photo, or one of too many pixels, by its head alone.

    Args:
        content: of a file.

    Raises:
        ValueError: in one sentence.
    """
    from PIL import Image

    check_size(len(content))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large images: they are refused below
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                width, height = image.size
    except Image.DecompressionBombError as error:
        raise ValueError(f"the photo has more than {MOST_PIXELS // 10**6} million pixels: make it smaller") from error
    except BROKEN as error:
        raise ValueError(NO_PHOTO) from error
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"the photo has {width} x {height} pixels, and {MOST_PIXELS // 10**6} million are the most: make it smaller"
        )


class PhotoFile:
    """Hold a photo as a file of a name of our own for the block, and make a small picture of it.

    Args:
        content: a photo that was checked.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __enter__(self) -> Path:
        self._folder = tempfile.TemporaryDirectory(prefix="lifelong-")
        file = Path(self._folder.name) / "photo"
        file.write_bytes(self._content)
        return file

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def small_picture(file: Path) -> bytes:
    """Return a JPEG of a photo's centred square, which is what a model sees of it.

    Raises:
        ValueError: when it cannot be decoded.
    """
    from PIL import Image

    try:
        pixels = decode_image(file, SIZE, 3)
    except ValueError as error:
        raise ValueError(NO_PHOTO) from error
    target = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(target, "JPEG", quality=85)
    return target.getvalue()


def read_text(content: bytes) -> str:
    """Return a text that was sent.

    Raises:
        ValueError: when it is no text, empty or too long.
    """
    try:
        text = content.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError("this is no text in UTF-8: type it, or paste it") from error
    if not text:
        raise ValueError("the text is empty: type something")
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"the text has {len(text)} characters, and {MOST_CHARACTERS} are the most: make it shorter")
    return text
