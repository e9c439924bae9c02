"""Decoding of photos on all cores, rotated upright and cropped to squares.

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
"""Extensions of the files that can be read, in lower case."""
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""Pillow's names of the allowed formats; other decoders may start programs (EPS starts Ghostscript)."""
DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes with more than 8 bits per pixel, all of them greyscale."""
FINER = 2
"""A JPEG is decoded at no less than this multiple of the target size; 12 megapixels then take a twelfth of the time."""
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error)
"""What Pillow raises for broken files."""


def decode_images(files: Sequence[Path], image_size: int, channels: int) -> Tensor:
    """Decode photos on all cores as squares of one size, with a progress bar if there are many.

    Each photo is rotated upright (EXIF), cropped to its central square and resampled (Lanczos). Transparent pixels
    become white, 16 bits become 8, and only the first of several frames is used.

    Args:
        files: image files in one of :data:`FORMATS`.
        image_size: height and width in pixels.
        channels: 1 for grey, 3 for colour.

    Returns:
        ``(M, C, H, W)`` uint8, in the order of the files.

    Raises:
        ValueError: when a file cannot be decoded; the message names it.

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
    """Decode photos like :func:`decode_images`, into an existing array, which may be a memory map.

    Args:
        pixels: output array ``(M, C, H, W)``, uint8.
        files: ``M`` files.
        description: text of the progress bar.

    Raises:
        ValueError: when a file cannot be decoded; the message names the first one.
    """
    from PIL import Image

    Image.init()  # once, before threads would do this concurrently
    _, channels, size, _ = pixels.shape

    def decode(number: int) -> None:
        pixels[number] = decode_image(files[number], size, channels)

    # Pillow releases the GIL while it decodes and resamples.
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
            image.draft(None, (FINER * image_size, FINER * image_size))  # only affects JPEG
            return square_pixels(image, image_size, channels)
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"the image {file} is larger than any photograph ({error}): make it smaller, or remove it"
        ) from error
    except BROKEN as error:
        raise ValueError(f"the image {file} cannot be decoded ({error}): replace or remove it") from error


def square_pixels(image: Image, size: int, channels: int) -> np.ndarray:
    """Return an image, rotated upright, as uint8 ``(C, H, W)``; ``channels`` is 1 for grey, 3 for colour."""
    upright = _upright(image)
    pixels = np.asarray(resized(_opaque(_of_8_bits(upright)).convert("L" if channels == 1 else "RGB"), size))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def resized(image: Image, size: int) -> Image:
    """Return a square image of ``size`` pixels a side: centre crop to a square, then Lanczos resampling."""
    from PIL import Image as pillow
    from PIL import ImageOps

    return image if image.size == (size, size) else ImageOps.fit(image, (size, size), pillow.Resampling.LANCZOS)


def n_cores() -> int:
    """Return the number of cores that this process may use."""
    allowed: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)  # only on Linux
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _upright(image: Image) -> Image:
    """Rotate an image upright according to its EXIF data; images with damaged EXIF data are unchanged."""
    from PIL import ImageOps

    image.load()  # so that errors below can only be due to the EXIF data
    try:
        return ImageOps.exif_transpose(image)
    except BROKEN:
        return image


def _of_8_bits(image: Image) -> Image:
    """Scale 16-bit greyscale images, integers or floats, which Pillow would clip at 255."""
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
    """Blend transparent pixels with white, because ``convert`` would show their hidden colours."""
    from PIL import Image as pillow

    if not image.has_transparency_data:
        return image
    clear = image.convert("RGBA")
    return pillow.alpha_composite(pillow.new("RGBA", clear.size, "white"), clear)
