"""The contract between a robot's world and a model's.

Shapes: ``S`` numbers of a state, ``A`` of an action, ``C`` of a change, ``P`` parameters; ``…`` any leading dimensions.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from lifelong.control.robot import Robot
from lifelong.control.simulation import Array, Simulation


class ModelSpace(Protocol):
    """Turn states and actions into a model's inputs, and its outputs into changes of the state."""

    @property
    def robot(self) -> Robot:
        """Return the robot that the model is of."""

    def true_parameters(self, simulation: Simulation) -> Array | None:
        """Return the true parameters ``(P,)`` of a robot for a model that is given them, None for all others."""

    def encode(self, state: Tensor, action: Tensor, parameters: Tensor | None) -> Tensor:
        """Return the network's inputs for states ``(…, S)``, actions ``(…, A)`` and true parameters ``(…, P)``."""

    def decode(self, output: Tensor) -> Tensor:
        """Return the change ``(…, C)`` that the network's output stands for."""

    def target(self, change: Tensor) -> Tensor:
        """Return the output that a change stands for: ``decode(target(c)) = c``."""
