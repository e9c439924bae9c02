"""Films from above of what was recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lifelong.control.drive import Drive
from lifelong.control.plan_film import plan_films


def drive(*way: tuple[float, float], lost: int = 0) -> Drive:
    places = np.array([[*way, *[(np.nan, np.nan)] * lost]], dtype=np.float32)
    goals = np.where(np.isnan(places), np.nan, np.float32(1.0)).astype(np.float32)
    measures = {"success": np.ones(1)}
    return Drive(measures, places, places[:, 1:], goals, positions=places)


def test_films_show_one_region_each_as_long_as_its_episode() -> None:
    short, long = plan_films([drive((0, 0), (0.5, 0), lost=3), drive((0, 0), (1, 0), (2, 0), (2, 1))])
    assert (len(short), len(long)) == (2, 4)
    assert short[0].shape == long[-1].shape
    assert np.array_equal(short[0], long[0])
    assert not np.array_equal(long[0], long[1])


def test_a_robot_without_places_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="no position in a plane to be drawn: give --view scene"):
        plan_films([replace(drive((0, 0), (1, 1)), positions=None)])
