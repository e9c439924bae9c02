"""The cost of a planner in a room: the length of the path to the goal, and the proximity of obstacles.

Shapes: ``R`` robots, ``N`` candidates of each, ``S`` numbers of a state, ``A`` of an action; ``(H, W)`` cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from lifelong.control.planner import Cost
from lifelong.control.rooms.occupancy import CELL, Cells, RangeMap, given_map, grid_shape
from lifelong.control.rooms.room_simulation import RoomSimulation
from lifelong.control.rooms.way import WayFinder, clearances

Sees = Literal["map", "ranges"]
"""What a robot knows of its room: the current map, or range readings taken during the episode."""
MARGIN = 0.06
"""Safety margin around the robot's disc in metres: half a cell, and the model's error."""
COMFORT = 0.5
"""Clearance in metres beyond which the cost no longer decreases."""
TOUCH = 15.0
"""Cost of a step in which the disc touches something, in metres of path; lower if only its margin does."""

INSIDE = 0.06
"""Clearance in metres below which the robot's centre is inside an obstacle, whatever the error of the map."""


class RoomObjective:
    """Maintain a map of each robot's room, and return the cost that the planner minimises.

    ``cost(s) = way(p) + TOUCH · min(max(1 − (c(p) − radius) / MARGIN, 0), 1)`` for the position ``p`` of a state ``s``.
    The clearance ``c`` and the length ``way`` of the path to the goal are computed from the map; see
    :class:`~lifelong.control.rooms.way.WayFinder`. For ``c < INSIDE`` the cost is infinite, so no plan leads through a
    wall, however long the path around it.

    Args:
        simulations: the ``R`` robots in their rooms.
        sees: ``map`` provides the current map of the room at every step; ``ranges`` provides range readings, from which
            the robot builds a map. In both cases the positions of robot and goal are known.

    Raises:
        ValueError: when a robot is not in a room.
    """

    def __init__(self, simulations: Sequence[RoomSimulation], *, sees: Sees) -> None:
        self.simulations, self.sees = simulations, sees
        width, height = (max(getattr(s.room, side) for s in simulations) for side in ("width", "height"))
        shape = grid_shape(width, height)
        self.robot = simulations[0].robot
        self.maps = [RangeMap(shape) for _ in simulations]
        self._finder = WayFinder(shape, radius=self.robot.radius + MARGIN, comfort=COMFORT)
        self._given_maps: dict[int, tuple[bytes, Cells]] = {}
        self._known: list[Cells | None] = [None] * len(simulations)
        self._fields = torch.zeros(len(simulations), 2, *shape)

    def __call__(self, state: Tensor, goal: Tensor) -> Cost:
        """Return the cost of one step, from the current knowledge of the rooms.

        Args:
            state: current states ``(R, S)``.
            goal: goals ``(R, G)``; not used, because the rooms contain them.
        """
        for number, simulation in enumerate(self.simulations):
            if not simulation.is_over:
                self._look(number, simulation)
        fields = self._fields.to(state.device)
        offsets = torch.from_numpy(np.stack([s.offset for s in self.simulations])[:, None]).to(state)

        def cost(following: Tensor, action: Tensor) -> Tensor:
            moved = self.robot.positions(following)
            assert moved is not None, "robots in rooms have positions"
            way, clearance = at(fields, moved + offsets).unbind(1)
            touched = way + TOUCH * (1 - (clearance - self.robot.radius) / MARGIN).clamp(0, 1)
            return torch.where(clearance < INSIDE, torch.inf, touched)

        return cost

    def _look(self, number: int, simulation: RoomSimulation) -> None:
        if self.sees == "ranges":
            self.maps[number].add(simulation.position, simulation.ranges())
            occupied = self.maps[number].occupied
        else:
            occupied = self._given(number, simulation)
        known = self._known[number]
        if known is not None and np.array_equal(known, occupied):
            return
        self._known[number] = occupied.copy()
        clearance = clearances(occupied)
        way = self._finder.metres(clearance, np.array(simulation.room.goal))
        self._fields[number] = torch.from_numpy(np.stack([way, clearance]))

    def _given(self, number: int, simulation: RoomSimulation) -> Cells:
        key = simulation.present.tobytes()
        if (last := self._given_maps.get(number)) is None or last[0] != key:
            occupied = given_map(simulation.room, simulation.present, self.maps[number].occupied.shape)
            last = self._given_maps[number] = key, occupied
        return last[1]


def at(fields: Tensor, places: Tensor) -> Tensor:
    """Interpolate fields ``(R, K, H, W)`` at positions ``(R, N, 2)`` in metres: ``(R, K, N)``.

    Example:
        >>> fields = torch.arange(4.0).reshape(1, 1, 1, 4)
        >>> at(fields, torch.tensor([[[0.15, 0.05], [0.2, 0.05], [9.0, 9.0]]])).flatten().tolist()
        [1.0, 1.5, 3.0]
    """
    height, width = fields.shape[-2:]
    scale = torch.tensor([2 / (width * CELL), 2 / (height * CELL)], dtype=fields.dtype, device=fields.device)
    grid = (places.to(fields.dtype) * scale - 1).nan_to_num(nan=9.0).clamp(-9, 9)
    return grid_sample(fields, grid[:, None], padding_mode="border", align_corners=False)[:, :, 0]
