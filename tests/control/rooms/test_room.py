"""Rooms and obstacles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lifelong.control.rooms import Obstacle, Room


def test_clearance_of_a_box_by_hand() -> None:
    room = Room(10, 10, (1, 1), (9, 9), (Obstacle(5, 5, half_width=2, half_height=1),))
    points = np.array([[5, 7], [8, 5], [10 - 1, 5], [5, 5.5], [7 + 3 / 5, 6 + 4 / 5]])
    assert room.clearance(points).tolist() == pytest.approx([1, 1, 1, -0.5, 1])


def test_obstacles_are_there_in_their_time() -> None:
    room = Room(4, 4, (1, 1), (3, 3), (Obstacle(2, 2, radius=0.5, appears=1, vanishes=2),))
    assert [bool(room.present(t)[0]) for t in (0, 0.9, 1, 1.9, 2)] == [False, False, True, True, False]
    assert room.clearance(np.array([2.0, 2.0])) == 2
    assert room.clearance(np.array([2.0, 2.0]), room.present(1)) == -0.5


@pytest.mark.parametrize("sides", [{}, {"radius": 1, "half_width": 1, "half_height": 1}, {"half_width": 1}])
def test_an_obstacle_is_a_circle_or_a_box(sides: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give a circle its radius alone, or a box both halves alone"):
        Obstacle(0, 0, **sides)


def test_start_and_goal_are_inside() -> None:
    with pytest.raises(ValueError, match=r"the goal \(5, 1\) is outside of the room of 4 by 2 m"):
        Room(4, 2, (1, 1), (5, 1))
