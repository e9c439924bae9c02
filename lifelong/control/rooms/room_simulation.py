"""A robot in a room: it is to reach the goal without touching anything.

Shapes: ``S`` numbers of a state, ``B`` beams.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from lifelong.control.robot import Robot
from lifelong.control.rooms.plan_view import plan_view
from lifelong.control.rooms.ranges import read_ranges
from lifelong.control.rooms.room import Points, Present, Room
from lifelong.control.simulation import Array, Simulation
from lifelong.utilities.ranges import check_number

APART = 0.8
"""An obstacle that is due appears once the robot is so many metres away from it, and never on top of the robot."""


class RoomSimulation(Simulation):
    """Put a simulated robot into a room; until its first reset it is on open ground, where it can be calibrated.

    The robot counts as a disc of its ``radius``. A room has no effect on how it moves: the episode is over, and lost,
    once the disc touches an obstacle or a wall. It is won once the robot is within ``tolerance`` of the goal, and lost
    when its time is up. State and goal are in the robot's own coordinates, whatever its position after a reset.

    Measures: ``success``; ``collided``; ``seconds`` until the goal, only where it was reached; ``metres`` driven.

    Args:
        robot: describes the robot; its positions are in metres.
        simulation: of one such robot.
        room: where it drives.
        tolerance: metres.

    Raises:
        ValueError: when the robot has no position in a plane, or the tolerance is not positive.
    """

    def __init__(self, robot: Robot, simulation: Simulation, room: Room, *, tolerance: float = 0.25) -> None:
        super().__init__(simulation.dynamics)
        check_number("a room's tolerance", tolerance, above=0)
        self.robot, self.inner, self.tolerance = robot, simulation, tolerance
        self.room: Room = room
        self.present: Present = room.present(0)
        """Which obstacles are there now."""
        self.is_in_room = False
        self._begin()

    @property
    def position(self) -> Points:
        """Return the robot's (x, y) in the room."""
        place: Points = self._own_position() + self.offset
        return place

    @property
    def seconds(self) -> float:
        """Return how long the episode has lasted."""
        return self._n_steps * self.robot.seconds_per_step

    def ranges(self) -> Points:
        """Return the range readings ``(B,)`` all round, in metres."""
        return read_ranges(self.room, self.position, self.present)

    def reset(self, rng: np.random.Generator) -> None:
        """Put the robot at the start of the room, as it is at the beginning."""
        self.inner.reset(rng)
        self.is_in_room = True
        self._begin()

    def step(self, action: Array) -> None:
        """Act for one control step, let the room change, and see whether the robot touches anything."""
        self.inner.step(action)
        self._n_steps += 1
        self._follow_room()
        self._visit()

    def follow(self, state: Array, action: Array) -> Array:
        """Return the states that follow in truth, were there no room."""
        return self.inner.follow(state, action)

    @property
    def is_over(self) -> bool:
        """Return whether the goal was reached, something was touched, or the robot fell."""
        return self.is_in_room and (self.reached or self.collided or self.inner.is_over)

    @property
    def failure(self) -> str | None:
        """Return how the episode was lost; None where it was not, or not yet."""
        if self.reached:
            return None
        after = f"after {self.seconds:.1f} s"
        if self.collided:
            return f"it touched an obstacle or a wall {after}"
        return f"it did not reach the goal, {self._distance():.1f} m away {after}"

    def measures(self) -> dict[str, float]:
        """Return success, whether it collided, and the metres driven; the seconds where it reached the goal."""
        measures = {"success": float(self.reached), "collided": float(self.collided), "metres": self._metres}
        return measures | ({"seconds": self.seconds} if self.reached else {})

    def frame(self) -> NDArray[np.uint8]:
        """Return a picture of the room from above: obstacles, goal, the way driven so far and what the beams see."""
        return plan_view(self.room, self.present, np.array(self._places), self.robot.radius, self.ranges())

    def close(self) -> None:
        """Release what the robot's simulation holds."""
        self.inner.close()

    def _begin(self) -> None:
        self._n_steps, self._metres, self.collided, self.reached = 0, 0.0, False, False
        self.present = self.room.present(0)
        self.offset: Points = np.array(self.room.start) - self._own_position()
        """What is added to the robot's own positions to have those in the room, ``(2,)``."""
        self.goal = (np.array(self.room.goal) - self.offset).astype(np.float32)
        self._places = [self.position]
        self.state = self.inner.state
        if self.is_in_room:
            self._visit()

    def _own_position(self) -> Points:
        place = self.robot.positions(torch.from_numpy(np.asarray(self.inner.state)))
        if place is None:
            raise ValueError(f"{self.robot.name} has no position in a plane, so it cannot drive in a room")
        return place.double().numpy()

    def _follow_room(self) -> None:
        due = self.room.present(self.seconds)
        waits = due & ~self.present & (self.room.obstacle_clearances(self.position) < APART)
        self.present = due & ~waits

    def _visit(self) -> None:
        self.state, place = self.inner.state, self.position
        self._metres += float(np.linalg.norm(place - self._places[-1]))
        self._places.append(place)
        if self.is_in_room:
            self.collided = self.collided or bool(self.room.clearance(place, self.present) < self.robot.radius)
            self.reached = not self.collided and self._distance() < self.tolerance

    def _distance(self) -> float:
        return float(np.linalg.norm(self.position - np.array(self.room.goal)))
