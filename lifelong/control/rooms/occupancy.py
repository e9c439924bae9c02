"""Occupancy grids of a room, given or built from range readings.

Shapes: ``(H, W)`` cells, rows along y; ``B`` beams.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong.control.rooms.ranges import FARTHEST, beams
from lifelong.control.rooms.room import Points, Present, Room

CELL = 0.1
"""Side of a cell in metres."""
Cells = NDArray[np.bool_]


def grid_shape(width: float, height: float) -> tuple[int, int]:
    """Return the numbers of rows and columns of a grid that covers a room.

    Example:
        >>> grid_shape(5, 4.05)
        (41, 50)
    """
    return int(np.ceil(height / CELL - 1e-9)), int(np.ceil(width / CELL - 1e-9))


def cell_centres(shape: tuple[int, int]) -> Points:
    """Return the centres ``(H, W, 2)`` of cells in metres."""
    rows, columns = ((np.arange(n) + 0.5) * CELL for n in shape)
    return np.stack(np.meshgrid(columns, rows), axis=-1)


def cell_of(point: Points, shape: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows and columns of points ``(…, 2)``; points outside are assigned to the nearest cell."""
    place = np.floor(point / CELL).astype(np.int64)
    return place[..., 1].clip(0, shape[0] - 1), place[..., 0].clip(0, shape[1] - 1)


def given_map(room: Room, present: Present, shape: tuple[int, int]) -> Cells:
    """Return the occupied cells of a room: those whose centre is inside an obstacle or a wall."""
    return room.clearance(cell_centres(shape), present) < 0


class RangeMap:
    """Build a map from range readings; unseen cells count as free.

    A cell becomes occupied if a beam ends in it, and free again if the three beams nearest to it pass beyond it. Thus
    the map follows a room that changes.

    Args:
        shape: shape ``(H, W)`` of the grid.
        farthest: maximum range of a beam in metres.

    Example:
        >>> mapped = RangeMap((20, 30))
        >>> mapped.add(np.array([1.0, 1.0]), np.full(72, 0.5))
        >>> bool(mapped.occupied[10, 15]), bool(mapped.occupied[10, 12])
        (True, False)
    """

    def __init__(self, shape: tuple[int, int], *, farthest: float = FARTHEST) -> None:
        self.farthest = farthest
        self.occupied: Cells = np.zeros(shape, dtype=np.bool_)
        self.seen: Cells = np.zeros(shape, dtype=np.bool_)
        self._centres = cell_centres(shape)

    def add(self, point: Points, readings: Points) -> None:
        """Update the map with readings ``(B,)`` taken at a point.

        Args:
            point: position (x, y) in metres.
            readings: ranges in metres, of beams in all directions.
        """
        n_beams, away = len(readings), self._centres - point
        distance, angle = np.hypot(away[..., 0], away[..., 1]), np.arctan2(away[..., 1], away[..., 0])
        shortest = np.minimum(readings, np.minimum(np.roll(readings, 1), np.roll(readings, -1)))
        nearest = np.rint(angle * (n_beams / (2 * np.pi))).astype(np.int64) % n_beams
        free = distance < shortest[nearest] - CELL
        ends = readings < self.farthest - 1e-9
        met = point + beams(n_beams)[ends] * (readings[ends] + CELL / 10)[:, None]
        self.occupied &= ~free
        cells = cell_of(met, self.occupied.shape)
        self.occupied[cells] = True
        self.seen |= free
        self.seen[cells] = True
