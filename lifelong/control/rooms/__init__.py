"""Rooms with obstacles in which a robot has to reach a goal, independent of robots, planners and learners."""

from lifelong.control.rooms.families import FAMILIES, draw_room, has_way
from lifelong.control.rooms.room import Obstacle, Room
from lifelong.control.rooms.room_objective import RoomObjective
from lifelong.control.rooms.room_simulation import RoomSimulation

__all__ = ["FAMILIES", "Obstacle", "Room", "RoomObjective", "RoomSimulation", "draw_room", "has_way"]
