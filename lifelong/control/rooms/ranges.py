"""Range readings: the distance along a ray to the nearest obstacle or wall.

Shapes: ``B`` beams, ``O`` obstacles.
"""

from __future__ import annotations

import numpy as np

from lifelong.control.rooms.room import Points, Present, Room

N_BEAMS = 72
FARTHEST = 3.0
"""Maximum range in metres."""


def beams(n_beams: int = N_BEAMS) -> Points:
    """Return unit vectors ``(B, 2)`` in evenly spaced directions, the first along x.

    Example:
        >>> (beams(4).round(6) + 0).tolist()
        [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]
    """
    angles = np.arange(n_beams) * (2 * np.pi / n_beams)
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def read_ranges(
    room: Room, point: Points, present: Present, *, n_beams: int = N_BEAMS, farthest: float = FARTHEST
) -> Points:
    """Return the distance ``(B,)`` in metres from ``point`` to the nearest object along each beam, up to ``farthest``.

    Args:
        room: the room; a point inside an obstacle reads 0 in every direction.
        point: position (x, y) in metres.
        present: which obstacles are present, ``(O,)``.
        n_beams: number ``B`` of beams.
        farthest: maximum range in metres.

    Example:
        >>> from lifelong.control.rooms.room import Obstacle
        >>> room = Room(6, 4, (1, 2), (5, 2), (Obstacle(3, 2, half_width=0.5, half_height=0.5),))
        >>> read_ranges(room, np.array([1.0, 2.0]), room.present(0), n_beams=4).round(6).tolist()
        [1.5, 2.0, 1.0, 2.0]
    """
    directions = beams(n_beams)
    with np.errstate(divide="ignore", invalid="ignore"):
        corner = np.array([room.width, room.height])
        walls = np.where(directions > 0, (corner - point) / directions, -point / directions)
        walls = np.where(np.abs(directions) < 1e-12, np.inf, walls).min(axis=-1)
    met = np.concatenate(
        [walls[:, None], _boxes(room, point, directions, present), _circles(room, point, directions, present)], axis=-1
    )
    readings: Points = met.min(axis=-1).clip(0, farthest)
    return readings


def _boxes(room: Room, point: Points, directions: Points, present: Present) -> Points:
    """Return the distances ``(B, O')`` at which beams enter boxes, by the slab method."""
    chosen = present & (room.radii == 0)
    centres, halves = room.centres[chosen] - point, room.halves[chosen]
    slow = np.where(np.abs(directions) < 1e-12, 1e-12, directions)[:, None]
    sides = np.stack([(centres - halves) / slow, (centres + halves) / slow])
    enters, leaves = sides.min(axis=0).max(axis=-1), sides.max(axis=0).min(axis=-1)
    return np.where((enters <= leaves) & (leaves >= 0), np.maximum(enters, 0), np.inf)


def _circles(room: Room, point: Points, directions: Points, present: Present) -> Points:
    """Return the distances ``(B, O'')`` at which beams enter circles."""
    chosen = present & (room.radii > 0)
    centres, radii = room.centres[chosen] - point, room.radii[chosen]
    along = directions @ centres.T
    inside = radii**2 - (centres**2).sum(axis=-1) + along**2
    half = np.sqrt(np.maximum(inside, 0))
    return np.where((inside >= 0) & (along + half >= 0), np.maximum(along - half, 0), np.inf)
