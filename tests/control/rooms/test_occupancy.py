"""Maps from range readings."""

from __future__ import annotations

import numpy as np

from lifelong.control.rooms import Obstacle, Room
from lifelong.control.rooms.occupancy import RangeMap, cell_centres, given_map
from lifelong.control.rooms.ranges import read_ranges

ROOM = Room(5, 5, (1, 1), (4, 4), (Obstacle(2.5, 2.5, half_width=0.5, half_height=0.5), Obstacle(1, 3.5, radius=0.4)))
SHAPE = (50, 50)


def mapped(present: np.ndarray, *places: tuple[float, float], into: RangeMap | None = None) -> RangeMap:
    known = into or RangeMap(SHAPE)
    for place in places:
        known.add(np.array(place), read_ranges(ROOM, np.array(place), present))
    return known


def test_a_map_is_built_from_readings_all_round() -> None:
    present = ROOM.present(0)
    known = mapped(present, (1, 1), (4, 1), (4, 4), (2, 4), (1, 2.3), (3, 1), (3.8, 2.5), (2.5, 3.8))
    true, distance = given_map(ROOM, present, SHAPE), ROOM.clearance(cell_centres(SHAPE), present)
    assert known.occupied[true & (distance > -0.1) & (distance < -0.04)].mean() > 0.5  # the surfaces that it faces
    assert not known.occupied[distance > 0.15].any()
    assert known.seen[distance > 0.15].mean() > 0.95


def test_what_is_taken_away_is_free_again() -> None:
    present = ROOM.present(0)
    known = mapped(present, (1, 1))
    near = np.hypot(*(cell_centres(SHAPE) - np.array([2.0, 2.0])).transpose(2, 0, 1)) < 0.3
    assert known.occupied[near].any()
    mapped(np.array([False, True]), (1, 1), into=known)
    assert not known.occupied[near].any()


def test_what_has_not_been_seen_is_free() -> None:
    known = mapped(ROOM.present(0), (1, 1))
    assert not known.occupied[40:, 40:].any()
    assert not known.seen[40:, 40:].any()
