"""A robot in a room, which has to reach the goal without touching anything.

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
"""Minimum distance in metres at which a due obstacle appears, so that it never appears on top of the robot."""


class RoomSimulation(Simulation):
    """Place a simulated robot in a room; before its first reset it is on open ground, for calibration.

    The robot counts as a disc of its ``radius``. The room does not affect the robot's dynamics: the episode ends and is
    lost as soon as the disc touches an obstacle or a wall. It is won when the robot is within ``tolerance`` of the
    goal, and lost when the time is up. State and goal are in the robot's own coordinates, regardless of its position
    after a reset.

    Measures: ``success``; ``collided``; ``seconds`` until the goal, only if it was reached; ``metres`` driven.

    Args:
        robot: the type of robot; its positions must be in metres.
        simulation: simulation of one such robot.
        room: the room.
        tolerance: distance to the goal that counts as reached, in metres.

    Raises:
        ValueError: when the robot has no position in a plane, or the tolerance is not positive.
    """

    def __init__(self, robot: Robot, simulation: Simulation, room: Room, *, tolerance: float = 0.25) -> None:
        super().__init__(simulation.dynamics)
        check_number("a room's tolerance", tolerance, above=0)
        self.robot, self.inner, self.tolerance = robot, simulation, tolerance
        self.room: Room = room
        self.present: Present = room.present(0)
        """Which obstacles are currently present."""
        self.is_in_room = False
        self._begin()

    @property
    def position(self) -> Points:
        """Return the robot's (x, y) in the room."""
        place: Points = self._own_position() + self.offset
        return place

    @property
    def seconds(self) -> float:
        """Return the time since the start of the episode in seconds."""
        return self._n_steps * self.robot.seconds_per_step

    def ranges(self) -> Points:
        """Return the range readings ``(B,)`` in all directions, in metres."""
        return read_ranges(self.room, self.position, self.present)

    def reset(self, rng: np.random.Generator) -> None:
        """Place the robot at the start of the room in its initial state."""
        self.inner.reset(rng)
        self.is_in_room = True
        self._begin()

    def step(self, action: Array) -> None:
        """Execute an action for one control step, update the room, and check whether the robot touches anything."""
        self.inner.step(action)
        self._n_steps += 1
        self._follow_room()
        self._visit()

    def follow(self, state: Array, action: Array) -> Array:
        """Return the true next states, ignoring the room."""
        return self.inner.follow(state, action)

    @property
    def is_over(self) -> bool:
        """Return whether the goal was reached, the robot touched something, or it fell."""
        return self.is_in_room and (self.reached or self.collided or self.inner.is_over)

    @property
    def failure(self) -> str | None:
        """Return why the episode was lost; None if it was not, or not yet."""
        if self.reached:
            return None
        after = f"after {self.seconds:.1f} s"
        if self.collided:
            return f"it touched an obstacle or a wall {after}"
        return f"it did not reach the goal, {self._distance():.1f} m away {after}"

    def measures(self) -> dict[str, float]:
        """Return success, collision and metres driven, and the seconds if the robot reached the goal."""
        measures = {"success": float(self.reached), "collided": float(self.collided), "metres": self._metres}
        return measures | ({"seconds": self.seconds} if self.reached else {})

    def frame(self) -> NDArray[np.uint8]:
        """Draw the room from above: obstacles, goal, trajectory so far and the area seen by the beams."""
        return plan_view(self.room, self.present, np.array(self._places), self.robot.radius, self.ranges())

    def close(self) -> None:
        """Release the resources of the robot's simulation."""
        self.inner.close()

    def _begin(self) -> None:
        self._n_steps, self._metres, self.collided, self.reached = 0, 0.0, False, False
        self.present = self.room.present(0)
        self.offset: Points = np.array(self.room.start) - self._own_position()
        """Offset ``(2,)`` from the robot's own positions to positions in the room."""
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
