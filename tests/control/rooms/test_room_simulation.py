"""Robots in rooms: what is won, what is lost, and that a room changes but never on top of a robot."""

from __future__ import annotations

import numpy as np
import pytest

from lifelong.control.rooms import Obstacle, Room, RoomSimulation
from tests.control.points import SPEED
from tests.control.rooms.points_in_rooms import BLOCKED, DETOUR, driven, in_room
from tests.robots import Slider


def right(simulation: RoomSimulation, n_steps: int) -> None:
    for _ in range(n_steps):
        simulation.step(np.array([1, 0], dtype=np.float32))


@pytest.mark.parametrize("sees", ["map", "ranges"])
def test_who_is_told_the_truth_goes_round_the_wall(sees: str) -> None:
    drive = driven(*(in_room(DETOUR, gains) for gains in ((1.0, 1.0), (-1.0, 0.8))), sees=sees)  # type: ignore[arg-type]
    assert drive.measures["success"].tolist() == [1, 1]
    assert drive.measures["collided"].tolist() == [0, 0]
    assert (drive.measures["metres"] > 2.4).all()  # straight through it would be 1.75
    assert (drive.measures["seconds"] < 5).all()
    assert drive.failures == ()
    assert drive.rooms == (DETOUR, DETOUR)


def test_a_blocked_room_is_reported_as_a_failure() -> None:
    drive = driven(in_room(BLOCKED), in_room(DETOUR), n_steps=40)
    assert drive.measures["success"].tolist() == [0, 1]
    assert np.isnan(drive.measures["seconds"][0])
    [failure] = drive.failures
    assert failure.startswith("robot 1: it did not reach the goal, ")
    assert failure.endswith(" after 4.0 s")


def test_a_collision_counts_and_ends_the_episode() -> None:
    simulation = in_room(DETOUR, (1.0, 1.0))
    simulation.reset(np.random.default_rng(1))
    right(simulation, 3)  # 1 + 0.6 + 0.15 m, the wall begins at 1.9
    assert not simulation.is_over
    right(simulation, 1)
    assert simulation.is_over
    assert simulation.measures() == {"success": 0, "collided": 1, "metres": pytest.approx(4 * SPEED)}
    assert simulation.failure == "it touched an obstacle or a wall after 0.4 s"


def test_the_goal_counts_within_tolerance() -> None:
    simulation = in_room(Room(4, 2, (1, 1), (3, 1)), (1.0, 1.0))
    simulation.reset(np.random.default_rng(1))
    right(simulation, 8)
    assert not simulation.is_over
    right(simulation, 1)
    assert simulation.measures()["success"] == 1
    assert simulation.measures()["seconds"] == pytest.approx(0.9)
    assert simulation.failure is None


def test_a_robot_is_calibrated_on_open_ground() -> None:
    simulation = in_room(DETOUR, (1.0, 1.0))
    right(simulation, 30)  # through the wall and out of the room
    assert not simulation.is_over
    simulation.reset(np.random.default_rng(0))
    assert simulation.position.tolist() == pytest.approx([1, 1])
    assert np.allclose(simulation.goal - simulation.state, [2, 0], atol=1e-6)


def test_obstacles_come_and_go_but_not_onto_a_robot() -> None:
    comes = Obstacle(2, 1, radius=0.2, appears=0.2)
    room = Room(5, 2, (1, 1), (4.5, 1), (comes, Obstacle(4.5, 1, radius=0.2, vanishes=0.3)))
    simulation = in_room(room, (1.0, 1.0))
    simulation.reset(np.random.default_rng(0))
    assert simulation.present.tolist() == [False, True]
    right(simulation, 2)  # at 1.4, 0.4 m from the one that is due
    assert simulation.present.tolist() == [False, True]
    right(simulation, 1)
    assert simulation.present.tolist() == [False, False]
    right(simulation, 1)  # at 1.8 now; it goes on as if nothing were there
    assert simulation.present.tolist() == [False, False]
    right(simulation, 7)  # at 3.2, 1 m away
    assert not simulation.collided
    assert simulation.present.tolist() == [True, False]
    simulation.reset(np.random.default_rng(0))
    assert simulation.present.tolist() == [False, True]


def test_films_show_the_robot_move() -> None:
    drive = driven(in_room(DETOUR), n_steps=3, film=True)
    assert len(drive.frames) == 4
    assert drive.frames[0].shape == drive.frames[3].shape
    assert not np.array_equal(drive.frames[0], drive.frames[3])


def test_a_robot_without_a_place_cannot_be_in_a_room() -> None:
    slider, rng = Slider(), np.random.default_rng(0)
    with pytest.raises(ValueError, match="slider has no position in a plane"):
        RoomSimulation(slider, slider.simulation({"gain": 1.0}, rng), DETOUR)
