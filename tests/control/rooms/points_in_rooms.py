"""Points that drive in rooms, by a planner that is told the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lifelong.compute.runner import TaskRunner
from lifelong.control.drive import Drive
from lifelong.control.model_predictive import ModelPredictive
from lifelong.control.mppi import MPPI
from lifelong.control.rooms import Obstacle, Room, RoomObjective, RoomSimulation
from lifelong.control.rooms.room_objective import Sees
from lifelong.control.simulation import Array
from lifelong.data.episode import Episode
from tests.control.driving import learner_for
from tests.control.points import SPEED, Point, Points, PointSimulation

WALL = (Obstacle(2, 1, half_width=0.1, half_height=1),)
"""From side to side of a room of 4 by 2 m."""
DETOUR = Room(4, 3, (1, 1), (3, 1), WALL)
"""A way round the wall."""
BLOCKED = Room(4, 2, (1, 1), (3, 1), WALL)


class TrueSimulation(PointSimulation):
    def follow(self, state: Array, action: Array) -> Array:
        gains = np.array(self.dynamics["gains"], dtype=np.float32)
        return np.asarray(state + SPEED * gains * np.clip(action, -1, 1), dtype=np.float32)


class WidePoint(Point):
    radius = 0.15


def in_room(room: Room, gains: tuple[float, float] = (1.0, -1.0), seed: int = 0) -> RoomSimulation:
    return RoomSimulation(WidePoint(), TrueSimulation({"gains": list(gains)}, np.random.default_rng(seed)), room)


def driven(*simulations: RoomSimulation, sees: Sees = "ranges", n_steps: int = 60, film: bool = False) -> Drive:
    """The drive of points whose planner follows their own simulation."""
    source: Any = Points()
    controller = ModelPredictive(
        source,
        planner=MPPI(n_candidates=48, horizon=5),
        model="true",
        episode_steps=n_steps,
        objective=lambda robots: RoomObjective(list(simulations), sees=sees),
    )
    x = torch.zeros(len(simulations), 4, 4)
    support = Episode(x, x[..., :2], x[:, :1], x[:, :1, :2], torch.ones(len(simulations)), n_way=0)
    rng = np.random.default_rng(0)
    return controller.drive(learner_for(source), simulations, support, rng, runner=TaskRunner(), film=film)
