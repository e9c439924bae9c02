"""A user's uploads: checked before they are decoded, and never stored under a name that the user chose."""

from __future__ import annotations

import io
import tempfile
import warnings
from pathlib import Path

import numpy as np

from lifelong.vision.decoding import BROKEN, decode_image

MOST_BYTES = 20 * 2**20
"""Largest size of an upload in bytes."""
MOST_PIXELS = 50_000_000
"""Largest number of pixels of a photo, above that of most cameras; a small file may need more memory than there is."""
MOST_CHARACTERS = 100_000
"""Largest number of characters of a text."""
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""Accepted formats of photos; further formats of Pillow call other programs, or are not for photos."""
NO_PHOTO = "this is no photo that can be read: give a JPEG, PNG, WebP, BMP, TIFF or GIF file"
SIZE = 160
"""Height and width in pixels of the thumbnails on the page."""


def check_size(n_bytes: int) -> None:
    """Refuse an upload that is too large.

    Raises:
        ValueError: when it is too large.
    """
    if n_bytes > MOST_BYTES:
        raise ValueError(f"the upload has more than {MOST_BYTES // 2**20} MB: make it smaller")


def check_photo(content: bytes) -> None:
    """Refuse a file that is not a photo or has too many pixels, by its header alone.

    Args:
        content: content of the file.

    Raises:
        ValueError: saying what is wrong, in one sentence.
    """
    from PIL import Image

    check_size(len(content))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for large images, which are refused below
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
    """Write a photo to a temporary file with a fixed name, which exists within the block.

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
    """Return a JPEG thumbnail of a photo's central square, which is the part that a model sees.

    Raises:
        ValueError: when the photo cannot be decoded.
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
    """Return an uploaded text.

    Raises:
        ValueError: when it is not a text, is empty or too long.
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
