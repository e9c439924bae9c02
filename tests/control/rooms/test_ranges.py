"""Range readings, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lifelong.control.rooms import Obstacle, Room
from lifelong.control.rooms.ranges import beams, read_ranges

BOX = Room(6, 4, (1, 2), (5, 2), (Obstacle(3, 2, half_width=0.5, half_height=0.5),))


def readings(room: Room, x: float, y: float, **settings: float) -> list[float]:
    return read_ranges(room, np.array([x, y]), room.present(0), n_beams=8, **settings).tolist()  # type: ignore[arg-type]


def test_readings_of_one_box_by_hand() -> None:
    diagonal, root = 2 * np.sqrt(2), np.sqrt(2)
    assert readings(BOX, 1, 2) == pytest.approx([1.5, diagonal, 2, root, 1, root, 2, diagonal])
    # Below the box: straight up to its side at 1.5, along the diagonals past it to side walls and ceiling.
    assert readings(BOX, 3, 0.5, farthest=9) == pytest.approx(
        [3, 3 * root, 1, 3 * root, 3, 0.5 * root, 0.5, 0.5 * root]
    )


def test_nothing_is_seen_beyond_the_farthest() -> None:
    assert max(readings(BOX, 1, 2, farthest=1.2)) == 1.2


def test_a_circle_is_met_at_its_rim() -> None:
    room = Room(6, 4, (1, 2), (5, 2), (Obstacle(3, 2, radius=0.5),))
    assert readings(room, 1, 2)[0] == pytest.approx(1.5)
    assert readings(room, 5, 2)[4] == pytest.approx(1.5)
    assert readings(room, 1, 2)[4] == pytest.approx(1)  # behind is the wall


def test_what_is_absent_is_not_seen_and_inside_is_zero() -> None:
    assert read_ranges(BOX, np.array([1.0, 2.0]), np.array([False]), n_beams=4, farthest=9)[0] == pytest.approx(5)
    assert readings(BOX, 3, 2) == [0] * 8


def test_readings_end_where_the_clearance_does() -> None:
    room = Room(6, 4, (1, 2), (5, 2), (*BOX.obstacles, Obstacle(1.5, 3.2, radius=0.4)))
    point = np.array([1.0, 2.0])
    ends = point + beams(60) * read_ranges(room, point, room.present(0), n_beams=60, farthest=9)[:, None]
    assert np.abs(room.clearance(ends)).max() < 1e-9
