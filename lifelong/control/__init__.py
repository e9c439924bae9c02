"""Control: robots that a learner drives, the planners it drives them with, and what comes of it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lifelong.control.closed_loop import ClosedLoop
    from lifelong.control.controller import Controller, Imitation, ModelPredictive, ModelSpace
    from lifelong.control.drive import Drive
    from lifelong.control.planning import CEM, MPPI, Planner
    from lifelong.control.robot import Robot, Simulation
    from lifelong.control.source import ControlSource

__all__ = [
    "CEM",
    "MPPI",
    "ClosedLoop",
    "ControlSource",
    "Controller",
    "Drive",
    "Imitation",
    "ModelPredictive",
    "ModelSpace",
    "Planner",
    "Robot",
    "Simulation",
]

PLACES = {
    "closed_loop": ("ClosedLoop",),
    "controller": ("Controller", "Imitation", "ModelPredictive", "ModelSpace"),
    "drive": ("Drive",),
    "planning": ("CEM", "MPPI", "Planner"),
    "robot": ("Robot", "Simulation"),
    "source": ("ControlSource",),
}


def __getattr__(name: str) -> Any:
    """What is asked for, imported when it is: a robot alone shall not wait for Lightning."""
    for module, names in PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
