"""What a planner minimises in a room."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lifelong.control.rooms import Obstacle, Room, RoomObjective
from tests.control.rooms.points_in_rooms import DETOUR, in_room


def costs(objective: RoomObjective, *places: tuple[float, float]) -> list[list[float]]:
    """The costs of places in the rooms of all robots."""
    state = torch.stack([torch.from_numpy(s.state) for s in objective.simulations])
    wanted = torch.tensor(places) - torch.from_numpy(np.stack([s.offset for s in objective.simulations]))[:, None]
    cost = objective(state, torch.zeros(len(state), 2))
    return cost(wanted.float(), torch.zeros_like(wanted)).tolist()


def test_the_cost_falls_along_the_way_and_not_through_walls() -> None:
    simulation = in_room(DETOUR)
    simulation.reset(np.random.default_rng(0))
    objective = RoomObjective([simulation], sees="map")
    [[start, before, gap, after, goal]] = costs(objective, (1, 1), (1.75, 1), (2, 2.5), (3, 2), (3, 1))
    assert start > gap > after > goal
    assert goal < 0.1
    assert before > start  # beside the wall it would touch it
    assert before < 30  # finite: it is led out of there all the same


def test_each_robot_has_a_room_of_its_own() -> None:
    rooms = (DETOUR, Room(4, 3, (1, 2), (3, 1)))
    simulations = [in_room(room, seed=seed) for seed, room in enumerate(rooms)]
    for simulation in simulations:
        simulation.reset(np.random.default_rng(5))
    one, other = costs(RoomObjective(simulations, sees="map"), (1, 1))
    assert one[0] > 2.5
    assert other[0] == pytest.approx(2, abs=0.2)


def test_a_map_follows_a_room_that_changes() -> None:
    door = Obstacle(2, 2.5, half_width=0.1, half_height=0.5, appears=0.1)
    simulation = in_room(Room(4, 3, (1, 1), (3, 1), (*DETOUR.obstacles, door)), (0.0, 0.0))
    simulation.reset(np.random.default_rng(0))
    for sees in ("map", "ranges"):
        simulation.reset(np.random.default_rng(0))
        objective = RoomObjective([simulation], sees=sees)  # type: ignore[arg-type]
        [[before]] = costs(objective, (1, 1))
        simulation.step(np.zeros(2, dtype=np.float32))
        [[after]] = costs(objective, (1, 1))
        assert after > before + 5
