"""Ways through maps."""

from __future__ import annotations

import numpy as np
import pytest

from lifelong.control.rooms.way import BLOCKED, WayFinder, clearances

FREE = np.zeros((40, 60), dtype=bool)


def metres(occupied: np.ndarray, start: tuple[int, int], radius: float = 0.0) -> float:
    finder = WayFinder(occupied.shape, radius=radius, comfort=0.01)  # type: ignore[arg-type]
    return float(finder.metres(clearances(occupied), np.array([5.05, 2.05]))[start])


def test_a_free_way_is_nearly_as_long_as_the_line() -> None:
    for row, column in ((20, 10), (10, 10), (5, 45), (30, 20)):
        straight = 0.1 * np.hypot(50 - column, 20 - row)
        assert straight * 0.999 <= metres(FREE, (row, column)) <= 1.03 * straight


def test_a_way_goes_round_what_the_robot_does_not_fit_through() -> None:
    wall = FREE.copy()
    wall[:, 30] = True
    wall[18:23, 30] = False  # a gap of half a metre
    wall[33:40, 30] = False  # and one of 0.7 m by the wall, 13 cells beside
    assert metres(wall, (20, 10)) == pytest.approx(4.0, abs=0.05)
    assert 4.5 < metres(wall, (20, 10), radius=0.3) < 6.5
    wall[33:40, 30] = True
    assert metres(wall, (20, 10), radius=0.3) > 0.1 * BLOCKED  # it is led to the gap all the same


def test_a_narrow_way_counts_more() -> None:
    finder = WayFinder((40, 60), radius=0.0, comfort=0.5)
    near, far = (finder.metres(clearances(FREE), np.array([5.05, y])) for y in (0.05, 2.05))
    assert near[0, 30] > 1.5 * far[20, 30]  # though it leaves the wall on the way
