"""Films of robots from above, drawn from recorded positions without a simulator.

Shapes: ``T`` control steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lifelong.control.drive import Drive, Frames
from lifelong.control.rooms.plan_view import plan_view
from lifelong.control.rooms.room import Room

EDGE = 0.5
"""Margin around the region in metres."""
RADIUS = 0.1
"""Radius of the disc that represents a robot, in metres."""


def plan_films(drives: Sequence[Drive]) -> list[Frames]:
    """Draw a film of the first robot of each drive; all films show the same region of the plane.

    Args:
        drives: drives with positions in the plane of the goals.

    Raises:
        ValueError: when the robots have no positions in a plane.
    """
    ways = [_way(drive) for drive in drives]
    everything = np.concatenate([points for way in ways for points in way])
    low, high = everything.min(axis=0) - EDGE, everything.max(axis=0) + EDGE
    return [_film(places - low, goals - low, high - low) for places, goals in ways]


def _way(drive: Drive) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions and goals ``(T + 1, 2)`` of a drive's first robot, up to the end of its episode."""
    if drive.positions is None:
        raise ValueError("the robot has no position in a plane to be drawn: give --view scene")
    lasted = np.isfinite(drive.positions[0]).all(axis=-1)
    return drive.positions[0][lasted].astype(np.float64), drive.goals[0][lasted, :2].astype(np.float64)


def _film(places: np.ndarray, goals: np.ndarray, size: np.ndarray) -> Frames:
    start, frames = tuple(places[0].tolist()), []
    for number, goal in enumerate(goals.tolist()):
        region = Room(float(size[0]), float(size[1]), start, tuple(goal))
        frames.append(plan_view(region, region.present(0), places[: number + 1], RADIUS))
    return frames
