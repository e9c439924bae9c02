"""Robots with families of varying dynamics, simulated with MuJoCo (extra ``robot``)."""

from datamodules.robots.car import Car
from datamodules.robots.environments import Environments
from datamodules.robots.gym_robot import GymRobot
from datamodules.robots.reacher import Reacher

__all__ = ["Car", "Environments", "GymRobot", "Reacher"]
