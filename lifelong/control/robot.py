"""The robot contract: how a kind of robot is simulated, what a model predicts of it, and what it is to achieve.

Shapes: ``S`` numbers of a state, ``A`` of an action, ``G`` of a goal, ``F`` of features, ``C`` of a change, ``P``
parameters; ``…`` any leading dimensions (robots, candidates, steps).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from torch import Tensor

from lifelong.control.simulation import Array, Dynamics, Simulation
from lifelong.utilities.recorded import Recorded


class Robot(Recorded, ABC):
    """Describe a kind of robot whose dynamics vary in named families: a family is one experience of a stream.

    A model of it predicts the *change* of its state from its *features* and an action; a planner follows the
    predictions and judges them by the *cost*. A robot remembers the arguments of its constructor, so that a run can
    write them into its config.
    """

    name: str
    n_states: int
    n_actions: int
    n_features: int
    n_changes: int
    families: tuple[str, ...]
    """Names of the families that :meth:`draw` knows, in the order of a stream."""
    parameters: tuple[str, ...]
    """Names of the ``P`` numbers that :meth:`parameter_values` returns."""
    episode_steps: int
    """Control steps of an episode that is evaluated."""
    seconds_per_step: float
    radius: float = 0.0
    """Metres of the smallest disc that holds the robot in the plane of its positions; in rooms nothing may touch it."""
    feature_units: ClassVar[tuple[str, ...]] = ()
    """The unit of each feature, by any names: features of one unit share a scale. Empty gives each its own."""
    change_units: ClassVar[tuple[str, ...]] = ()
    """The unit of each number of a change, likewise."""

    is_cached: ClassVar[bool] = True
    """Whether its transitions are kept in the cache folder; False where its arguments do not decide them."""

    @abstractmethod
    def draw(self, family: str, rng: np.random.Generator) -> Dynamics:
        """Draw the dynamics of one robot of a family.

        Raises:
            ValueError: when there is no such family; the message names those that there are.
        """

    @abstractmethod
    def simulation(self, dynamics: Dynamics, rng: np.random.Generator) -> Simulation:
        """Make a robot with these dynamics."""

    @abstractmethod
    def parameter_values(self, dynamics: Dynamics) -> Array:
        """Return the dynamics as numbers ``(P,)``, for a model that is given the true ones."""

    @abstractmethod
    def features(self, state: Tensor) -> Tensor:
        """Return what a model sees of states ``(…, S)``: ``(…, F)``."""

    @abstractmethod
    def change(self, state: Tensor, following: Tensor) -> Tensor:
        """Return what a model is to predict: the change ``(…, C)`` from states ``(…, S)`` to those that follow."""

    @abstractmethod
    def advance(self, state: Tensor, change: Tensor) -> Tensor:
        """Return the next states ``(…, S)``: ``advance(s, change(s, t)) = t`` for all that the cost depends on."""

    @abstractmethod
    def cost(self, state: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """Return the cost ``(…,)`` of an action ``(…, A)`` that led to ``(…, S)``, with the goal ``(…, G)``."""

    def positions(self, state: Tensor) -> Tensor | None:
        """Return the positions ``(…, 2)`` of states ``(…, S)`` in the plane of the goals; None where there are none.

        They are drawn as trajectories; the first two numbers of a goal are then a position as well.
        """
        return None

    def excite(self, n_steps: int, rng: np.random.Generator) -> Array:
        """Return actions ``(n_steps, A)`` that excite the robot: each held for some steps, uniform in [−1, 1]."""
        held = rng.integers(1, 6, size=n_steps)
        levels = rng.uniform(-1, 1, size=(n_steps, self.n_actions))
        return np.repeat(levels, held, axis=0)[:n_steps].astype(np.float32)
