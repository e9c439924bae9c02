from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from docs.generate.front_picture import PICTURE, RECORDS, draw, front_figure

ROOT = Path(__file__).parents[2]


def test_picture_is_drawn_from_its_records(tmp_path: Path) -> None:
    draw(ROOT / RECORDS, tmp_path / "again.png")
    with Image.open(tmp_path / "again.png") as again, Image.open(ROOT / PICTURE) as kept:
        assert again.size == kept.size
        difference = np.abs(np.asarray(again.convert("L"), dtype=float) - np.asarray(kept.convert("L"), dtype=float))
    assert difference.mean() < 2  # of 255: other versions of matplotlib draw letters a little differently
    assert (ROOT / PICTURE).stat().st_size < 200_000


def test_cells_are_the_scores_of_both_runs() -> None:
    figure = front_figure(ROOT / RECORDS)
    for axes, name in zip(figure.axes, ("none", "replay"), strict=False):
        matrix = json.loads((ROOT / RECORDS / name / "results.json").read_text())["matrix"]
        cells = [text.get_text() for text in axes.texts]
        assert cells == [f"{100 * value:.1f}" for row in matrix for value in row]
    assert "forgetting 9.7 points" in figure.axes[0].get_title()


def test_runs_of_two_streams_are_refused(tmp_path: Path) -> None:
    shutil.copytree(ROOT / RECORDS, tmp_path / "records")
    path = tmp_path / "records" / "none" / "results.json"
    path.write_text(path.read_text().replace('"strokes"', '"brushes"'))
    with pytest.raises(ValueError, match="are of two streams"):
        front_figure(tmp_path / "records")
