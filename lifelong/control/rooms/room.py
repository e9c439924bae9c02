"""A room: walls, obstacles that may appear and vanish, a start and a goal.

Shapes: ``O`` obstacles; ``…`` any leading dimensions of points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lifelong.utilities.ranges import check_number

Points = NDArray[np.float64]
Present = NDArray[np.bool_]


@dataclass(frozen=True)
class Obstacle:
    """Describe a circular obstacle, or a box with sides parallel to the axes.

    Args:
        x: x coordinate of the centre in metres.
        y: y coordinate of the centre in metres.
        radius: radius of a circle in metres; 0 for a box.
        half_width: half the side of a box along x; 0 for a circle.
        half_height: half the side of a box along y; 0 for a circle.
        appears: time in the episode at which it appears, in seconds.
        vanishes: time at which it vanishes, in seconds.

    Raises:
        ValueError: when it is neither a circle nor a box.

    Example:
        >>> Obstacle(1, 2, radius=0.3).is_box, Obstacle(1, 2, half_width=0.5, half_height=0.1).is_box
        (False, True)
    """

    x: float
    y: float
    radius: float = 0.0
    half_width: float = 0.0
    half_height: float = 0.0
    appears: float = 0.0
    vanishes: float = math.inf

    def __post_init__(self) -> None:
        is_circle = self.radius > 0 and self.half_width == self.half_height == 0
        if not is_circle and not (self.radius == 0 and self.half_width > 0 and self.half_height > 0):
            raise ValueError(
                f"an obstacle has radius {self.radius}, half_width {self.half_width} and half_height "
                f"{self.half_height}: give a circle its radius alone, or a box both halves alone"
            )

    @property
    def is_box(self) -> bool:
        """Return whether it is a box."""
        return self.radius == 0


@dataclass(frozen=True)
class Room:
    """Describe a room of ``width × height`` metres with a corner at (0, 0), enclosed by walls.

    The class is independent of robots, planners and learners.

    Args:
        width: side along x in metres.
        height: side along y in metres.
        start: initial position (x, y) of a robot.
        goal: goal position (x, y).
        obstacles: circles and boxes.

    Raises:
        ValueError: when a side is not positive, or start or goal is outside.

    Example:
        >>> room = Room(4, 3, start=(1, 1), goal=(3, 1), obstacles=(Obstacle(2, 1, radius=0.5),))
        >>> room.clearance(np.array([[1.0, 1.0], [0.2, 1.5], [2.0, 1.0]])).tolist()
        [0.5, 0.2, -0.5]
    """

    width: float
    height: float
    start: tuple[float, float]
    goal: tuple[float, float]
    obstacles: tuple[Obstacle, ...] = ()

    def __post_init__(self) -> None:
        check_number("a room's width", self.width, above=0)
        check_number("a room's height", self.height, above=0)
        for name, (x, y) in (("start", self.start), ("goal", self.goal)):
            if not (0 < x < self.width and 0 < y < self.height):
                raise ValueError(
                    f"the {name} ({x}, {y}) is outside of the room of {self.width} by {self.height} m: place it inside"
                )

    @cached_property
    def centres(self) -> Points:
        """Return the obstacles' centres ``(O, 2)``."""
        return np.array([(o.x, o.y) for o in self.obstacles], dtype=np.float64).reshape(-1, 2)

    @cached_property
    def halves(self) -> Points:
        """Return half the sides ``(O, 2)``; 0 for circles."""
        return np.array([(o.half_width, o.half_height) for o in self.obstacles], dtype=np.float64).reshape(-1, 2)

    @cached_property
    def radii(self) -> Points:
        """Return the radii ``(O,)``; 0 for boxes."""
        return np.array([o.radius for o in self.obstacles], dtype=np.float64)

    def present(self, seconds: float) -> Present:
        """Return which obstacles ``(O,)`` are due at a time, in seconds after the start of an episode."""
        return np.array([o.appears <= seconds < o.vanishes for o in self.obstacles], dtype=np.bool_)

    def obstacle_clearances(self, points: Points) -> Points:
        """Return the distances ``(…, O)`` from points ``(…, 2)`` to each obstacle in metres, negative inside it."""
        beyond = np.abs(points[..., None, :] - self.centres) - self.halves
        outside = np.linalg.norm(np.maximum(beyond, 0), axis=-1)
        distances: Points = outside + np.minimum(beyond.max(axis=-1), 0) - self.radii
        return distances

    def clearance(self, points: Points, present: Present | None = None) -> Points:
        """Return the distance ``(…)`` in metres from points ``(…, 2)`` to the nearest obstacle or wall, negative in it.

        Args:
            points: positions (x, y) in metres.
            present: which obstacles are present. Default: those at the start.
        """
        walls = np.minimum(points, np.array([self.width, self.height]) - points).min(axis=-1)
        there = self.present(0) if present is None else present
        distances = np.where(there, self.obstacle_clearances(points), np.inf)
        clearances: Points = np.concatenate([distances, walls[..., None]], axis=-1).min(axis=-1)
        return clearances
