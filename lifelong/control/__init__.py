"""Control: robots that a learner drives, the controllers and planners that drive them, and their evaluation."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lifelong.control.cem import CEM
    from lifelong.control.closed_loop import ClosedLoop
    from lifelong.control.control_source import ControlSource
    from lifelong.control.controller import Controller
    from lifelong.control.drive import Drive
    from lifelong.control.imitation import Imitation
    from lifelong.control.model_predictive import ModelPredictive
    from lifelong.control.model_space import ModelSpace
    from lifelong.control.mppi import MPPI
    from lifelong.control.planner import Planner
    from lifelong.control.robot import Robot
    from lifelong.control.simulation import Simulation

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

MODULES = {
    "CEM": "cem",
    "MPPI": "mppi",
    "ClosedLoop": "closed_loop",
    "ControlSource": "control_source",
    "Controller": "controller",
    "Drive": "drive",
    "Imitation": "imitation",
    "ModelPredictive": "model_predictive",
    "ModelSpace": "model_space",
    "Planner": "planner",
    "Robot": "robot",
    "Simulation": "simulation",
}


def __getattr__(name: str) -> Any:
    """Import a class on first access, so that a robot alone does not import Lightning."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{MODULES[name]}"), name)
