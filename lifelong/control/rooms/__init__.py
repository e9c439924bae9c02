"""Rooms with obstacles in which a robot is to reach a goal; they know of no robot, planner or learner in particular."""

from lifelong.control.rooms.families import FAMILIES, draw_room, has_way
from lifelong.control.rooms.room import Obstacle, Room
from lifelong.control.rooms.room_objective import RoomObjective
from lifelong.control.rooms.room_simulation import RoomSimulation

__all__ = ["FAMILIES", "Obstacle", "Room", "RoomObjective", "RoomSimulation", "draw_room", "has_way"]
