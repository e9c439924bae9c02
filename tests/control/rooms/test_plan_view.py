"""Pictures of a room from above, pixel by pixel."""

from __future__ import annotations

import numpy as np

from lifelong.control.rooms import Obstacle, Room
from lifelong.control.rooms.plan_view import INK, plan_view

ROOM = Room(4, 4, (1, 1), (3, 3), (Obstacle(1, 3, radius=0.4), Obstacle(3, 1, half_width=0.4, half_height=0.2)))


def colour(picture: np.ndarray, x: float, y: float) -> tuple[int, ...]:
    return tuple(picture[round(404 - 100 * y), round(4 + 100 * x)].tolist())


def test_a_picture_shows_what_is_where() -> None:
    places = np.array([[1.0, 1.0], [2.0, 1.0], [2.0, 2.0]])
    picture = plan_view(ROOM, ROOM.present(0), places, 0.2)
    assert picture.shape == (408, 408, 3)
    assert picture.dtype == np.uint8
    assert colour(picture, 2, 2) == INK["robot"]
    assert colour(picture, 1.5, 1) == INK["way"]
    assert colour(picture, 3.25, 3) == INK["goal"]
    for x, y in ((1, 3), (1.3, 3), (3.35, 1), (3, 1.15), (-0.03, 2)):
        assert colour(picture, x, y) == INK["wall"]
    for x, y in ((0.5, 0.5), (1.35, 3.35), (3, 1.3)):
        assert colour(picture, x, y) == INK["floor"]


def test_what_is_seen_is_shaded_and_what_is_absent_is_not_drawn() -> None:
    picture = plan_view(ROOM, np.array([False, True]), np.array([[2.0, 2.0]]), 0.2, np.full(72, 0.8))
    assert colour(picture, 2.5, 2) == INK["seen"]
    assert colour(picture, 1, 3) == INK["floor"]
