"""The robot contract: how a type of robot is simulated, what a model of it predicts, and what its task is.

Shapes: ``S`` state, ``A`` action and ``G`` goal dimensions, ``F`` features, ``C`` change dimensions, ``P`` parameters;
``…`` any leading dimensions (robots, candidates, steps).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from torch import Tensor

from lifelong.control.simulation import Array, Dynamics, Simulation
from lifelong.utilities.recorded import Recorded


class Robot(Recorded, ABC):
    """Describe a type of robot whose dynamics vary in named families; each family is one experience of a stream.

    A model predicts the *change* of the robot's state from its *features* and an action. A planner evaluates the
    predicted states by the *cost*. A robot records its constructor arguments, so a run can write them into its config.
    """

    name: str
    n_states: int
    n_actions: int
    n_features: int
    n_changes: int
    families: tuple[str, ...]
    """Names of the families known to :meth:`draw`, in the order of a stream."""
    parameters: tuple[str, ...]
    """Names of the ``P`` values returned by :meth:`parameter_values`."""
    episode_steps: int
    """Number of control steps in an evaluation episode."""
    seconds_per_step: float
    radius: float = 0.0
    """Radius in metres of the smallest disc that contains the robot in the plane; in rooms it must touch nothing."""
    feature_units: ClassVar[tuple[str, ...]] = ()
    """Unit of each feature: features with the same unit share a scale. If empty, each has its own scale."""
    change_units: ClassVar[tuple[str, ...]] = ()
    """Unit of each component of a change, as for the features."""

    is_cached: ClassVar[bool] = True
    """Whether its transitions are kept in the cache folder; False where its arguments do not decide them."""

    @abstractmethod
    def draw(self, family: str, rng: np.random.Generator) -> Dynamics:
        """Draw the dynamics of a robot of a family at random.

        Raises:
            ValueError: when the family is unknown; the message lists the known ones.
        """

    @abstractmethod
    def simulation(self, dynamics: Dynamics, rng: np.random.Generator) -> Simulation:
        """Make a robot with these dynamics."""

    @abstractmethod
    def parameter_values(self, dynamics: Dynamics) -> Array:
        """Return the dynamics as numbers ``(P,)``, for models that use the true parameters as inputs."""

    @abstractmethod
    def features(self, state: Tensor) -> Tensor:
        """Return the features ``(…, F)`` of states ``(…, S)``, the model's inputs."""

    @abstractmethod
    def change(self, state: Tensor, following: Tensor) -> Tensor:
        """Return the change ``(…, C)`` from states ``(…, S)`` to the following states, the model's targets."""

    @abstractmethod
    def advance(self, state: Tensor, change: Tensor) -> Tensor:
        """Return the next states ``(…, S)``: ``advance(s, change(s, t)) = t`` in all components used by the cost."""

    @abstractmethod
    def cost(self, state: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """Return the cost ``(…,)`` of an action ``(…, A)`` that led to ``(…, S)``, for the goal ``(…, G)``."""

    def positions(self, state: Tensor) -> Tensor | None:
        """Return the positions ``(…, 2)`` of states ``(…, S)`` in the plane of the goals, or None if there are none.

        They are drawn as trajectories. If there are positions, the first two components of a goal must be a position
        too.
        """
        return None

    def excite(self, n_steps: int, rng: np.random.Generator) -> Array:
        """Return random calibration actions ``(n_steps, A)``, uniform in [−1, 1], each held for several steps."""
        held = rng.integers(1, 6, size=n_steps)
        levels = rng.uniform(-1, 1, size=(n_steps, self.n_actions))
        return np.repeat(levels, held, axis=0)[:n_steps].astype(np.float32)
