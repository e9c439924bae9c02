"""Pictures of a robot in a room from above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lifelong.control.rooms.ranges import beams
from lifelong.control.rooms.room import Points, Present, Room

SIDE = 400
"""Longer side of an image in pixels."""
INK = {
    "floor": (250, 250, 248),
    "wall": (60, 64, 72),
    "seen": (225, 236, 246),
    "goal": (0, 158, 115),
    "way": (0, 114, 178),
    "robot": (213, 94, 0),
}


def plan_view(
    room: Room, present: Present, places: Points, radius: float, readings: Points | None = None
) -> NDArray[np.uint8]:
    """Draw an image ``(height, width, 3)``, y upwards: room, goal, and the robot with its trajectory.

    Args:
        room: the room.
        present: which of its obstacles are present.
        places: positions ``(T, 2)`` of the robot; the last one is the current position.
        radius: radius of the robot in metres.
        readings: ranges in metres in all directions, shown as a shaded area. If None, they are not drawn.

    Example:
        >>> room = Room(4, 3, (1, 1), (3, 1))
        >>> plan_view(room, room.present(0), np.array([[1.0, 1.0]]), 0.2).shape
        (308, 408, 3)
    """
    scale, edge = SIDE / max(room.width, room.height), 4
    size = round(room.width * scale) + 2 * edge, round(room.height * scale) + 2 * edge
    image = Image.new("RGB", size, INK["wall"])
    pen = ImageDraw.Draw(image)

    def pixel(x: float, y: float) -> tuple[float, float]:
        return edge + x * scale, size[1] - edge - y * scale

    def box(x: float, y: float, across: float, up: float) -> list[tuple[float, float]]:
        (left, bottom), (right, top) = pixel(x - across, y - up), pixel(x + across, y + up)
        return [(left, top), (right, bottom)]

    pen.rectangle(box(room.width / 2, room.height / 2, room.width / 2, room.height / 2), fill=INK["floor"])
    here = places[-1]
    if readings is not None:
        ends = here + beams(len(readings)) * readings[:, None]
        pen.polygon([pixel(x, y) for x, y in ends.tolist()], fill=INK["seen"])
    for obstacle, is_there in zip(room.obstacles, present, strict=True):
        if not is_there:
            continue
        if obstacle.is_box:
            pen.rectangle(box(obstacle.x, obstacle.y, obstacle.half_width, obstacle.half_height), fill=INK["wall"])
        else:
            pen.ellipse(box(obstacle.x, obstacle.y, obstacle.radius, obstacle.radius), fill=INK["wall"])
    pen.ellipse(box(*room.goal, 0.25, 0.25), outline=INK["goal"], width=4)
    if len(places) > 1:
        pen.line([pixel(x, y) for x, y in places.tolist()], fill=INK["way"], width=3)
    size_of_robot = max(radius, 0.05)
    pen.ellipse(box(float(here[0]), float(here[1]), size_of_robot, size_of_robot), fill=INK["robot"])
    return np.asarray(image)
