"""Photos from files: decoded on all cores, as the camera was held, and made square.

Shapes: ``M`` photos of ``C`` channels, ``H`` rows and ``W`` columns.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lifelong.vision.progress import progress

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""Endings of the files that are read, in small letters."""
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""Pillow's names of these, whatever a file is called: others may start programs (EPS starts Ghostscript)."""
DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes of more than 8 bits a pixel, all of them grey."""
FINER = 2
"""A JPEG is decoded at no less than this many times the size it is needed at: 12 megapixels then take a twelfth."""
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error)
"""What Pillow raises for broken files."""


def decode_images(files: Sequence[Path], image_size: int, channels: int) -> Tensor:
    """Decode photos on all cores as squares of one size, with a bar and the time left where there are many.

    Each is turned as its camera was held (EXIF), cropped to its centred square and resampled (Lanczos). What is
    transparent becomes white, 16 bits become 8, and of several frames the first is taken.

    Args:
        files: of any format that Pillow reads.
        image_size: height and width in pixels.
        channels: 1 for grey, 3 for colour.

    Returns:
        ``(M, C, H, W)`` uint8, in the order of the files.

    Raises:
        ValueError: when one cannot be decoded; it is named.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGBA", (30, 20)).save(file := Path(folder, "clear.png"))
        ...     decode_images([file], image_size=8, channels=3).unique().tolist()
        [255]
    """
    pixels = np.empty((len(files), channels, image_size, image_size), dtype=np.uint8)
    decode_into(pixels, files)
    return torch.from_numpy(pixels)


def decode_into(pixels: np.ndarray, files: Sequence[Path], description: str = "decoding photos") -> None:
    """Decode photos as :func:`decode_images` does into an array that is there, which may be a memory map.

    Args:
        pixels: ``(M, C, H, W)`` uint8, which is written.
        files: ``M`` of them.
        description: of the bar.

    Raises:
        ValueError: when one cannot be decoded; the first is named.
    """
    from PIL import Image

    Image.init()  # once, before threads would do it at the same time
    _, channels, size, _ = pixels.shape

    def decode(number: int) -> None:
        pixels[number] = decode_image(files[number], size, channels)

    # Pillow lets other threads run while it decodes and resamples.
    with ThreadPoolExecutor(n_cores()) as pool, progress(len(files), description) as advance:
        try:
            for _ in pool.map(decode, range(len(files))):
                advance(1)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def decode_image(file: Path, image_size: int, channels: int) -> np.ndarray:
    """Decode one photo as uint8 ``(C, H, W)``; see :func:`decode_images`."""
    from PIL import Image

    try:
        with Image.open(file, formats=FORMATS) as image:
            image.draft(None, (FINER * image_size, FINER * image_size))  # JPEG alone
            return square_pixels(image, image_size, channels)
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"the image {file} is larger than any photograph ({error}): make it smaller, or remove it"
        ) from error
    except BROKEN as error:
        raise ValueError(f"the image {file} cannot be decoded ({error}): replace or remove it") from error


def square_pixels(image: Image, size: int, channels: int) -> np.ndarray:
    """Return an image, turned as its camera was held, as uint8 ``(C, H, W)``: ``channels`` 1 grey, 3 colour."""
    upright = _upright(image)
    pixels = np.asarray(resized(_opaque(_of_8_bits(upright)).convert("L" if channels == 1 else "RGB"), size))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def resized(image: Image, size: int) -> Image:
    """Return a square image of ``size`` pixels a side: centre crop to a square, then Lanczos resampling."""
    from PIL import Image as pillow
    from PIL import ImageOps

    return image if image.size == (size, size) else ImageOps.fit(image, (size, size), pillow.Resampling.LANCZOS)


def n_cores() -> int:
    """Return how many cores this process may use."""
    allowed: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)  # Linux alone
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _upright(image: Image) -> Image:
    """Turn an image as its camera was held; one whose EXIF data is damaged stays as it is."""
    from PIL import ImageOps

    image.load()  # so that what is raised below is of the EXIF data alone
    try:
        return ImageOps.exif_transpose(image)
    except BROKEN:
        return image


def _of_8_bits(image: Image) -> Image:
    """Scale grey of 16 bits, whole numbers or floats, which Pillow would cut off at 255."""
    from PIL import Image as pillow

    if image.mode not in DEEP:
        return image
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    largest = values.max(initial=0.0)
    if image.mode == "F":
        white = 1.0 if largest <= 1 else max(largest, 255.0)
    else:
        white = 255.0 if image.mode == "I" and largest <= 255 else 65535.0
    return pillow.fromarray((values.clip(0, white) * (255 / white)).round().astype(np.uint8))


def _opaque(image: Image) -> Image:
    """Lay what is transparent on white, where ``convert`` would show whatever colour is hidden there."""
    from PIL import Image as pillow

    if not image.has_transparency_data:
        return image
    clear = image.convert("RGBA")
    return pillow.alpha_composite(pillow.new("RGBA", clear.size, "white"), clear)
