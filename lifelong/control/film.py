"""Films of a robot before and after adaptation, side by side."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lifelong.control.drive import Frames
from lifelong.control.extra import imported

BLOCK = 16  # the encoder rescales frames whose sides are not multiples of this
GAP = 4
CAPTION = 24


def film_suffix() -> str:
    """Return ``.mp4`` if an encoder is installed (imageio-ffmpeg, of the extra ``robot``), else ``.gif``."""
    return ".mp4" if importlib.util.find_spec("imageio_ffmpeg") else ".gif"


def write_film(path: Path, frames: Sequence[NDArray[np.uint8]], seconds_per_step: float, suffix: str) -> None:
    """Write frames ``(height, width, 3)`` as a film in real time.

    Args:
        path: path of the file; its name may have any ending.
        frames: frames of equal size.
        seconds_per_step: duration of a control step in seconds.
        suffix: format of the film, from :func:`film_suffix`.
    """
    if suffix == ".gif":
        first, *others = (Image.fromarray(frame) for frame in frames)
        milliseconds = round(1000 * seconds_per_step)
        first.save(path, format="GIF", save_all=True, append_images=others, duration=milliseconds, loop=0)
        return
    encoder = imported("imageio_ffmpeg", "a video")
    size = (frames[0].shape[1], frames[0].shape[0])
    # The file has a temporary name until it is complete, so the format cannot be taken from the name.
    writer = encoder.write_frames(path, size, fps=1 / seconds_per_step, quality=7, output_params=["-f", "mp4"])
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame))
    writer.close()


def side_by_side(films: Sequence[Frames], captions: Sequence[str]) -> Frames:
    """Join several films side by side, with a caption above each; shorter films freeze at their last frame.

    Args:
        films: lists of frames ``(height, width, 3)``, all of the same size.
        captions: one caption per film.

    Example:
        >>> black = np.zeros((30, 40, 3), dtype=np.uint8)
        >>> [frame.shape for frame in side_by_side([[black], [black, black]], ["before", "after"])]
        [(64, 96, 3), (64, 96, 3)]
    """
    heads = [_caption(text, film[0].shape[1]) for text, film in zip(captions, films, strict=True)]
    length = max(map(len, films))
    return [_join(heads, [film[min(n, len(film) - 1)] for film in films]) for n in range(length)]


def _join(heads: Sequence[NDArray[np.uint8]], pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    columns = [np.concatenate([head, picture]) for head, picture in zip(heads, pictures, strict=True)]
    gap = np.full((columns[0].shape[0], GAP, 3), 255, dtype=np.uint8)
    joined = np.concatenate([part for column in columns for part in (column, gap)][:-1], axis=1)
    height, width = (-(-side // BLOCK) * BLOCK for side in joined.shape[:2])
    whole = np.full((height, width, 3), 255, dtype=np.uint8)
    whole[: joined.shape[0], : joined.shape[1]] = joined
    return whole


def _caption(text: str, width: int) -> NDArray[np.uint8]:
    strip = Image.new("RGB", (width, CAPTION), "white")
    pen = ImageDraw.Draw(strip)
    pen.text((width / 2, CAPTION / 2), text, fill="black", anchor="mm", font=ImageFont.load_default(size=13))
    return np.asarray(strip)
