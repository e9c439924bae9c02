"""Photos of fruit that nobody took: drawn shapes of a few colours, in folders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

FRUIT = {
    "apple": ((200, 30, 40), "ellipse", (16, 16)),
    "banana": ((240, 220, 60), "ellipse", (22, 8)),
    "grape": ((110, 40, 140), "ellipse", (8, 8)),
    "lime": ((60, 180, 60), "ellipse", (14, 11)),
    "plum": ((70, 30, 90), "ellipse", (13, 15)),
    "melon": ((120, 200, 90), "rectangle", (20, 18)),
    "brick": ((170, 80, 50), "rectangle", (20, 9)),
    "slate": ((80, 90, 100), "rectangle", (18, 6)),
    "tile": ((30, 90, 200), "rectangle", (12, 12)),
    "sugar": ((240, 240, 240), "rectangle", (9, 9)),
}
"""Colour, shape and half sizes."""


def draw(kind: str, number: int) -> Image.Image:
    """Return a photo of a kind, the same each time: 64×48 pixels of uneven light."""
    colour, shape, half = FRUIT[kind]
    rng = np.random.default_rng([number, *kind.encode()])
    light = rng.integers(20, 200, (48, 64, 1)) // 4 + rng.integers(60, 140)
    image = Image.fromarray(np.repeat(light, 3, 2).astype(np.uint8))
    x, y = rng.integers(26, 38), rng.integers(20, 28)
    tint = tuple(int(np.clip(part + rng.integers(-15, 16), 0, 255)) for part in colour)
    getattr(ImageDraw.Draw(image), shape)((x - half[0], y - half[1], x + half[0], y + half[1]), fill=tint)
    return image


def write_photos(folder: Path, kinds: Iterable[str], numbers: Iterable[int], suffix: str = ".jpg") -> None:
    """Write photos ``folder/<kind>/<number>.jpg``."""
    for kind in kinds:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            draw(kind, number).save(folder / kind / f"{number:02d}{suffix}")
