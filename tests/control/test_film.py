from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lifelong.control.film import film_suffix, side_by_side, write_film
from lifelong.utilities.files import write_whole


def test_films_stand_side_by_side_and_the_shorter_one_waits() -> None:
    black, white = np.zeros((20, 30, 3), dtype=np.uint8), np.full((20, 30, 3), 255, dtype=np.uint8)
    frames = side_by_side([[black, white, black], [white]], ["before", "after"])
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 3
    assert frames[0][24:44, :30].max() == 0
    assert frames[1][24:44, :30].min() == 255
    assert all((frame[24:44, 34:] == 255).all() for frame in frames)


def test_films_can_be_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(5)]
    path = write_whole(tmp_path / "film.gif", lambda part: write_film(part, frames, 0.1, ".gif"))
    with Image.open(path) as film:
        assert (film.n_frames, film.size, film.info["duration"]) == (5, (64, 48), 100)  # type: ignore[attr-defined]


@pytest.mark.robot
@pytest.mark.skipif(importlib.util.find_spec("imageio_ffmpeg") is None, reason="imageio-ffmpeg is not installed")
def test_a_film_is_mp4_where_there_is_an_encoder(tmp_path: Path) -> None:
    import imageio_ffmpeg  # type: ignore[import-not-found, unused-ignore]

    frames = [np.full((48, 64, 3), 40 * i, dtype=np.uint8) for i in range(5)]
    assert film_suffix() == ".mp4"
    path = write_whole(tmp_path / "film.mp4", lambda part: write_film(part, frames, 0.1, ".mp4"))
    n_frames, seconds = imageio_ffmpeg.count_frames_and_secs(path)
    assert n_frames == 5
    assert seconds == pytest.approx(0.5, abs=0.05)
