"""The contract between the state of a robot and the inputs and outputs of a model.

Shapes: ``S`` state, ``A`` action and ``C`` change dimensions, ``P`` parameters; ``…`` any leading dimensions.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from lifelong.control.robot import Robot
from lifelong.control.simulation import Array, Simulation


class ModelSpace(Protocol):
    """Encode states and actions as inputs of a model, and decode its outputs as changes of the state."""

    @property
    def robot(self) -> Robot:
        """Return the robot that is modelled."""

    def true_parameters(self, simulation: Simulation) -> Array | None:
        """Return the true parameters ``(P,)`` of a robot if the model uses them as inputs, else None."""

    def encode(self, state: Tensor, action: Tensor, parameters: Tensor | None) -> Tensor:
        """Return the network's inputs for states ``(…, S)``, actions ``(…, A)`` and true parameters ``(…, P)``."""

    def decode(self, output: Tensor) -> Tensor:
        """Return the change of the state ``(…, C)`` for an output of the network."""

    def target(self, change: Tensor) -> Tensor:
        """Return the network's target output for a change: ``decode(target(c)) = c``."""
