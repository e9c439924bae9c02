"""Shortest paths on a grid: the distance to the goal from every cell, around occupied cells.

Shapes: ``(H, W)`` cells, ``N = H·W``, ``E`` edges.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong.control.extra import imported
from lifelong.control.rooms.occupancy import CELL, Cells, cell_of
from lifelong.control.rooms.room import Points

BLOCKED = 40.0
"""Cost factor of a metre where the robot does not fit; finite, so that a robot in such a place is led out of it."""
NARROW = 2.0
"""Additional cost factor of a metre right next to an obstacle."""
MOVES = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))
"""Moves between cells, one direction of each pair: the eight neighbours, and knight's moves."""


def clearances(occupied: Cells) -> NDArray[np.float32]:
    """Return the distance ``(H, W)`` in metres from each cell to the nearest occupied cell or border, 0 at its edge.

    Example:
        >>> row = np.zeros((9, 9), dtype=bool)
        >>> row[:, 8] = True
        >>> (100 * clearances(row)[4]).round().tolist()
        [5.0, 15.0, 25.0, 35.0, 35.0, 25.0, 15.0, 5.0, 0.0]
    """
    transform = imported("scipy.ndimage", "a robot in a room").distance_transform_edt
    padded = np.pad(~occupied, 1)
    metres = transform(padded)[1:-1, 1:-1] * CELL - CELL / 2
    free: NDArray[np.float32] = np.maximum(metres, 0).astype(np.float32)
    return free


class WayFinder:
    """Find the shortest paths to a goal on a grid.

    The cost of a path is its length in metres, weighted by ``1 + NARROW · (1 − c / c₀)²`` where the clearance ``c`` is
    below ``c₀ = comfort``, and by ``BLOCKED`` where it is at most ``radius``.

    Args:
        shape: shape ``(H, W)`` of the grid.
        radius: radius of the robot in metres; with radius 0, knight's moves could pass walls of one cell.
        comfort: clearance in metres beyond which the cost no longer decreases.

    Reference:
        Dijkstra 1959, by ``scipy.sparse.csgraph``.

    Example:
        >>> walls = np.zeros((20, 20), dtype=bool)
        >>> walls[:15, 10] = True
        >>> metres = WayFinder((20, 20), radius=0.1, comfort=0.2).metres(clearances(walls), np.array([1.55, 0.25]))
        >>> bool(2.5 < metres[2, 5] < 5), bool(metres[2, 15] < 0.1)
        (True, True)
    """

    def __init__(self, shape: tuple[int, int], *, radius: float, comfort: float) -> None:
        self.shape, self.radius, self.comfort = shape, radius, comfort
        numbers = np.arange(shape[0] * shape[1]).reshape(shape)
        firsts, seconds, lengths = [], [], []
        for down, across in MOVES:
            left, right = max(0, -across), shape[1] - max(0, across)
            firsts.append(numbers[: shape[0] - down, left:right].ravel())
            seconds.append(numbers[down:, left + across : right + across].ravel())
            lengths.append(np.full(firsts[-1].size, CELL * float(np.hypot(down, across))))
        self._edges = np.concatenate(firsts), np.concatenate(seconds)
        self._lengths = np.concatenate(lengths)

    def metres(self, clearance: NDArray[np.float32], goal: Points) -> NDArray[np.float32]:
        """Return the cost of the shortest path to the goal from each cell ``(H, W)``.

        Args:
            clearance: clearances ``(H, W)`` from :func:`clearances`.
            goal: position (x, y) in metres.
        """
        sparse = imported("scipy.sparse", "a robot in a room")
        graphs = imported("scipy.sparse.csgraph", "a robot in a room")
        crowded = np.maximum(1 - clearance / self.comfort, 0)
        counts = np.where(clearance <= self.radius, BLOCKED, 1 + NARROW * crowded**2).ravel()
        first, second = self._edges
        weights = self._lengths * np.maximum(counts[first], counts[second])
        graph = sparse.csr_matrix((weights, (first, second)), shape=(counts.size, counts.size))
        row, column = cell_of(goal, self.shape)
        metres = graphs.dijkstra(graph, directed=False, indices=int(row) * self.shape[1] + int(column))
        return metres.reshape(self.shape).astype(np.float32)  # type: ignore[no-any-return]


def fits(occupied: Cells, start: Points, goal: Points, radius: float) -> bool:
    """Return whether a disc of a radius can move from start to goal.

    Example:
        >>> walls = np.zeros((20, 20), dtype=bool)
        >>> walls[:15, 10] = True
        >>> [fits(walls, np.array([0.5, 0.5]), np.array([1.5, 0.5]), radius) for radius in (0.15, 0.3)]
        [True, False]
    """
    label = imported("scipy.ndimage", "a robot in a room").label
    parts, _ = label(clearances(occupied) >= radius)
    ends = [int(parts[cell_of(point, occupied.shape)]) for point in (start, goal)]
    return ends[0] == ends[1] != 0
