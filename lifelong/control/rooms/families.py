"""Families of random rooms: open, corridor, clutter, and changing during an episode."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lifelong.control.rooms.occupancy import given_map, grid_shape
from lifelong.control.rooms.room import Obstacle, Room
from lifelong.control.rooms.way import fits

SIDE = 5.0
"""Side of a room in metres."""
MARGIN = 0.5
"""Minimum distance of start and goal from the walls, in metres."""
FREE = 0.4
"""Minimum clearance of start and goal from obstacles, in metres."""
PASSAGE = 0.35
"""Clearance in metres that a path from start to goal must have; a car has a radius of 0.18."""
ATTEMPTS = 1000
HALF_THICK = 0.1
"""Half the thickness of a partition in metres."""

Rng = np.random.Generator


def draw_room(family: str, rng: Rng) -> Room:
    """Draw a random room with a path to its goal, also after each of its changes.

    Args:
        family: ``open``: up to three obstacles; ``corridor``: two partitions with one gap each, at opposite sides;
            ``clutter``: ten to fourteen obstacles; ``changing``: some obstacles, and a partition with two doors, of
            which the open one closes and the closed one opens within the first seconds.
        rng: random generator.

    Raises:
        ValueError: when the family is unknown.

    Example:
        >>> len(draw_room("corridor", np.random.default_rng(0)).obstacles)
        2
    """
    if family not in FAMILIES:
        raise ValueError(f"there are no rooms of the family {family!r}: choose from {', '.join(FAMILIES)}")
    for _ in range(ATTEMPTS):
        room = FAMILIES[family](rng)
        if has_way(room, PASSAGE):
            return room
    raise AssertionError(f"no room of the family {family} has a way to its goal")


def has_way(room: Room, radius: float) -> bool:
    """Return whether a disc can move from start to goal at every stage of a room.

    Args:
        room: the room; its obstacles may appear and vanish.
        radius: radius of the disc in metres.

    Example:
        >>> wall = Obstacle(2, 1, half_width=0.1, half_height=1)
        >>> [has_way(Room(4, 2, (1, 1), (3, 1), obstacles), 0.2) for obstacles in ((), (wall,))]
        [True, False]
    """
    start, goal = np.array(room.start), np.array(room.goal)
    shape = grid_shape(room.width, room.height)
    times = {0.0, *(t for o in room.obstacles for t in (o.appears, o.vanishes) if np.isfinite(t))}
    return all(fits(given_map(room, room.present(t), shape), start, goal, radius) for t in times)


def _open(rng: Rng) -> Room:
    return _with_ends(rng, _scattered(rng, int(rng.integers(0, 4))), least=3.0)


def _clutter(rng: Rng) -> Room:
    return _with_ends(rng, _scattered(rng, int(rng.integers(10, 15))), least=3.5)


def _corridor(rng: Rng) -> Room:
    gaps = rng.uniform(0.9, 1.2, size=2)
    below = bool(rng.integers(2))
    places = SIDE / 3 + rng.uniform(-0.2, 0.2), 2 * SIDE / 3 + rng.uniform(-0.2, 0.2)
    partitions = tuple(
        _partition(x, gap if down else 0.0, SIDE if down else SIDE - gap)
        for x, gap, down in zip(places, gaps.tolist(), (below, not below), strict=True)
    )
    (start_y, goal_y), (start_x, from_wall) = rng.uniform(MARGIN, SIDE - MARGIN, 2), rng.uniform(MARGIN, 1.0, 2)
    start, goal = (float(start_x), float(start_y)), (SIDE - float(from_wall), float(goal_y))
    return _turned(rng, Room(SIDE, SIDE, start, goal, partitions))


def _changing(rng: Rng) -> Room:
    x, doors = SIDE / 2 + rng.uniform(-0.3, 0.3), (rng.uniform(0.5, 1.0), SIDE - rng.uniform(0.5, 1.0))
    half, when, first = 0.5, float(rng.uniform(1.0, 3.0)), int(rng.integers(2))
    shuts, opens = doors[first], doors[1 - first]
    low, high = min(doors), max(doors)
    whole = (_partition(x, 0.0, low - half), _partition(x, low + half, high - half), _partition(x, high + half, SIDE))
    door = {"half_width": HALF_THICK, "half_height": half}
    doors_of_both = (Obstacle(x, shuts, appears=when, **door), Obstacle(x, opens, vanishes=when, **door))
    start = (rng.uniform(MARGIN, 1.2), float(np.clip(shuts + rng.uniform(-1, 1), MARGIN, SIDE - MARGIN)))
    goal = (SIDE - rng.uniform(MARGIN, 1.2), float(rng.uniform(MARGIN, SIDE - MARGIN)))
    kept = tuple(part for part in whole if part.half_height > 0.02) + doors_of_both
    room = _turned(rng, Room(SIDE, SIDE, start, goal, kept))
    return _with_scattered(room, _scattered(rng, int(rng.integers(2, 5))))


def _partition(x: float, low: float, high: float) -> Obstacle:
    half = max((high - low) / 2, 1e-3)
    return Obstacle(x, low + half, half_width=HALF_THICK, half_height=half)


def _scattered(rng: Rng, n: int) -> tuple[Obstacle, ...]:
    obstacles = []
    for is_box, (x, y) in zip(rng.integers(2, size=n), rng.uniform(0, SIDE, size=(n, 2)).tolist(), strict=True):
        half_width, half_height = rng.uniform(0.12, 0.35, size=2).tolist()
        sides = {"half_width": half_width, "half_height": half_height} if is_box else {"radius": half_width}
        obstacles.append(Obstacle(x, y, **sides))
    return tuple(obstacles)


def _with_ends(rng: Rng, obstacles: tuple[Obstacle, ...], *, least: float) -> Room:
    """Return a room whose start and goal are free and at least ``least`` metres apart."""
    room = Room(SIDE, SIDE, (SIDE / 2, SIDE / 2), (SIDE / 2, SIDE / 2), obstacles)
    while True:
        start, goal = rng.uniform(MARGIN, SIDE - MARGIN, size=(2, 2))
        if np.linalg.norm(start - goal) >= least and room.clearance(np.stack([start, goal])).min() >= FREE:
            return Room(SIDE, SIDE, _point(start), _point(goal), obstacles)


def _with_scattered(room: Room, obstacles: tuple[Obstacle, ...]) -> Room:
    """Add the obstacles that leave start and goal free to the room."""
    ends = np.array([room.start, room.goal])
    trial = Room(SIDE, SIDE, room.start, room.goal, obstacles)
    kept = trial.obstacle_clearances(ends).min(axis=0) >= FREE
    beside = tuple(obstacle for obstacle, keep in zip(obstacles, kept, strict=True) if keep)
    return Room(SIDE, SIDE, room.start, room.goal, room.obstacles + beside)


def _turned(rng: Rng, room: Room) -> Room:
    """Return the room unchanged or mirrored along the diagonal, so partitions occur in both directions."""
    if rng.integers(2):
        return room
    obstacles = tuple(
        Obstacle(o.y, o.x, o.radius, o.half_height, o.half_width, o.appears, o.vanishes) for o in room.obstacles
    )
    return Room(room.height, room.width, room.start[::-1], room.goal[::-1], obstacles)


def _point(values: np.ndarray) -> tuple[float, float]:
    return float(values[0]), float(values[1])


FAMILIES: dict[str, Callable[[Rng], Room]] = {
    "open": _open,
    "corridor": _corridor,
    "clutter": _clutter,
    "changing": _changing,
}
"""Functions that draw a room of each family, in the order of a stream."""
