"""Families of rooms."""

from __future__ import annotations

import numpy as np
import pytest

from lifelong.control.rooms import FAMILIES, Room, draw_room, has_way
from tests.control.rooms.points_in_rooms import BLOCKED, DETOUR

each = pytest.mark.parametrize("family", FAMILIES)


def drawn(family: str, n: int = 5) -> list[Room]:
    return [draw_room(family, np.random.default_rng(seed)) for seed in range(n)]


@each
def test_rooms_have_a_way_and_are_decided_by_the_numbers(family: str) -> None:
    rooms = drawn(family)
    assert rooms == drawn(family)
    assert len(set(rooms)) == len(rooms)
    for room in rooms:
        assert has_way(room, 0.3)
        assert room.clearance(np.array([room.start, room.goal])).min() >= 0.3


@each
def test_only_one_family_changes(family: str) -> None:
    changes = [any(o.appears > 0 for o in room.obstacles) for room in drawn(family)]
    assert changes == [family == "changing"] * len(changes)


def test_a_door_shuts_when_the_other_opens() -> None:
    for room in drawn("changing"):
        [shuts] = [o for o in room.obstacles if o.appears > 0]
        [opens] = [o for o in room.obstacles if np.isfinite(o.vanishes)]
        assert shuts.appears == opens.vanishes


def test_a_corridor_leads_round_both_partitions() -> None:
    for room in drawn("corridor"):
        first, second = room.obstacles
        assert abs(first.x - second.x) + abs(first.y - second.y) > 1
        assert min(first.half_width, second.half_width, first.half_height, second.half_height) == pytest.approx(0.1)


def test_a_way_is_wide_enough_or_none() -> None:
    assert has_way(DETOUR, 0.4)
    assert not has_way(DETOUR, 0.6)  # the gap is one metre wide
    assert not has_way(BLOCKED, 0.1)


def test_an_unknown_family_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="no rooms of the family 'maze': choose from open, corridor"):
        draw_room("maze", np.random.default_rng(0))
