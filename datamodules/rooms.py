"""Robots in rooms with obstacles, controlled by planning with adapted models.

Shapes: ``R`` robots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

import numpy as np

from datamodules.dynamics import Dynamics
from lifelong.control.model_predictive import Model, ModelPredictive, Objective
from lifelong.control.mppi import MPPI
from lifelong.control.planner import Planner
from lifelong.control.robot import Robot
from lifelong.control.rooms import FAMILIES, RoomObjective, RoomSimulation, draw_room
from lifelong.control.rooms.room_objective import Sees
from lifelong.control.simulation import Simulation
from lifelong.data.domain import Domain
from lifelong.utilities.ranges import check_number


class Rooms(Dynamics):
    """Drive robots with changed dynamics to a goal in rooms with obstacles; a domain is a family of rooms and robots.

    The training data are those of :class:`datamodules.Dynamics`, collected on open ground with different robots in each
    domain. In closed loop, each robot is calibrated on open ground and placed in its own, unseen room, where its
    adapted model is used for planning; success is reaching the goal without a collision. See
    :mod:`lifelong.control.rooms`.

    Args:
        robot: robot with positions in a plane, such as ``datamodules.robots.Car``.
        rooms: family of rooms of each domain: ``open``, ``corridor``, ``clutter`` or ``changing``.
        families: family of robots of each domain, or a single one for all. Default: the robot's first family.
        sees: what a robot perceives. With ``map``, it knows the map of its room; with ``ranges``, it builds a map from
            range readings.
        seconds: maximum duration of an episode.
        n_robots: robots per domain.
        n_segments: segments per robot.
        segment_length: transitions per segment, at least the shots plus queries of a task.
        told: give the model the true dynamics, for comparison: their parameters are appended to the inputs.
        seed: seed of the robots and their actions.
        planner: planner of the controller. Default: one tuned for a car in rooms.
        adapt_every: control steps between adaptations of the controller. Default: a single adaptation, to a
            calibration.
        model: the planner's model. ``true`` is the simulation itself, for comparison.

    Raises:
        ValueError: as ``Dynamics``, or when a family of rooms is unknown, or the numbers of rooms and families differ.

    Example:
        >>> from datamodules.robots import Car
        >>> source = Rooms(robot=Car(), rooms=["open", "clutter"], families=["ice"])
        >>> source.names
        ('open, ice', 'clutter, ice')
    """

    def __init__(
        self,
        *,
        robot: Robot,
        rooms: Sequence[str] = tuple(FAMILIES),
        families: Sequence[str] | None = None,
        sees: Sees = "ranges",
        seconds: float = 30.0,
        n_robots: int = 200,
        n_segments: int = 2,
        segment_length: int = 64,
        told: bool = False,
        seed: int = 0,
        planner: Planner | None = None,
        adapt_every: int | None = None,
        model: Model = "learnt",
    ) -> None:
        given = robot.families[:1] if families is None else tuple(families)
        if len(given) not in (1, len(rooms)):
            raise ValueError(
                f"Rooms has {len(rooms)} families of rooms and {len(given)} of robots: give as many, or one of robots "
                "for all rooms"
            )
        super().__init__(
            robot=robot,
            families=given * len(rooms) if len(given) == 1 else given,
            n_robots=n_robots,
            n_segments=n_segments,
            segment_length=segment_length,
            told=told,
            seed=seed,
            planner=planner or MPPI(n_candidates=64, horizon=12, deviation=0.7, correlation=0.7),
            adapt_every=adapt_every,
            model=model,
        )
        for family in rooms:
            draw_room(family, np.random.default_rng(0))  # refuses an unknown family
        if sees not in get_args(Sees):
            raise ValueError(f"Rooms has sees {sees!r}: choose from {', '.join(get_args(Sees))}")
        check_number("Rooms' seconds", seconds, above=0)
        self.rooms, self.sees, self.seconds = tuple(rooms), sees, seconds

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name of each domain: its rooms, and its robots."""
        return tuple(f"{room}, {family}" for room, family in zip(self.rooms, self.families, strict=True))

    @property
    def controller(self) -> ModelPredictive:
        """Return a controller that plans with the adapted model, avoiding the known obstacles of the room."""
        return ModelPredictive(
            self.space,
            planner=self.planner,
            adapt_every=self.adapt_every,
            objective=self._objective,
            model=self.model,
            episode_steps=round(self.seconds / self.robot.seconds_per_step),
        )

    def domains(self) -> list[Domain]:
        """Return one domain per family of rooms, each with its own robots."""
        return [
            self._domain(family, name, 1000 * self.seed + number)
            for number, (family, name) in enumerate(zip(self.families, self.names, strict=True))
        ]

    def simulations(self, domain: int, n: int, rng: np.random.Generator) -> list[Simulation]:
        """Create ``n`` robots of a domain, each in its own room; the first ones do not depend on ``n``.

        Raises:
            ValueError: when the domain does not exist.
        """
        if not 0 <= domain < len(self.rooms):
            raise ValueError(f"Rooms has {len(self.rooms)} domains, counted from 0, and no domain {domain}")
        return [self._robot_in_room(self.families[domain], self.rooms[domain], rng) for _ in range(n)]

    def _robot_in_room(self, family: str, room: str, rng: np.random.Generator) -> RoomSimulation:
        robot = self.robot.simulation(self.robot.draw(family, rng), np.random.default_rng(rng.integers(2**62)))
        return RoomSimulation(self.robot, robot, draw_room(room, np.random.default_rng(rng.integers(2**62))))

    def _objective(self, simulations: Sequence[Simulation]) -> Objective:
        return RoomObjective(cast(Sequence[RoomSimulation], simulations), sees=self.sees)
