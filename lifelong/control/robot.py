"""What control needs to know of a robot: how it is simulated, what a model sees of it, and what it is after.

Shapes: ``S`` numbers of a state, ``A`` of an action, ``G`` of a goal, ``F`` of features, ``C`` of a change;
``…`` any leading dimensions (robots, candidates, steps).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]
Dynamics = Mapping[str, Any]
"""The parameters that one robot's dynamics are made of, by name: plain numbers, or lists of them."""


class Simulation(ABC):
    """One robot in its environment; it is ready from the start, at a random state with a random goal.

    Attributes of every simulation: ``state (S,)`` and ``goal (G,)`` as they are now, float32; ``dynamics``, the
    parameters that it was made with, nothing where they do not vary.
    """

    state: Array
    goal: Array
    dynamics: Dynamics = MappingProxyType({})

    @abstractmethod
    def reset(self, rng: np.random.Generator) -> None:
        """Begin anew: a random state and goal, measures at zero."""

    @abstractmethod
    def step(self, action: Array) -> None:
        """Act for one control step.

        Args:
            action: ``(A,)`` in [−1, 1]; what is beyond is clipped.

        Raises:
            ValueError: when the simulation becomes unstable (a state that is not finite), with the way out.
        """

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether the episode ended by itself (the robot fell); acting on needs a ``reset``."""

    @abstractmethod
    def measures(self) -> dict[str, float]:
        """What the episode came to so far; ``success`` (0 or 1) or ``return`` is always among them."""

    @abstractmethod
    def frame(self) -> NDArray[np.uint8]:
        """A picture ``(height, width, 3)`` of the scene as it is."""

    def close(self) -> None:  # noqa: B027 - most have nothing to give back
        """Give back what the simulation holds."""


class Robot(ABC):
    """A kind of robot whose dynamics vary, in named families: a family is one experience of a stream.

    A model of it predicts the *change* of its state from its *features* and an action; a planner follows the
    predictions and judges them by the *cost*.
    """

    name: str
    n_states: int
    n_actions: int
    n_features: int
    n_changes: int
    families: tuple[str, ...]
    """Names of the families that :meth:`draw` knows, in the order of a stream."""
    parameters: tuple[str, ...]
    """Names of the numbers in :meth:`told`."""
    episode_steps: int
    """Control steps of an episode that is judged."""
    seconds_per_step: float
    feature_units: tuple[str, ...] = ()
    """The unit of each feature, by any names: features of one unit share a scale. Nothing gives each its own."""
    change_units: tuple[str, ...] = ()
    """The same of each number of a change."""

    @abstractmethod
    def draw(self, family: str, rng: np.random.Generator) -> Dynamics:
        """The dynamics of one robot of the family."""

    @abstractmethod
    def simulation(self, dynamics: Dynamics, rng: np.random.Generator) -> Simulation:
        """A robot with these dynamics."""

    @abstractmethod
    def told(self, dynamics: Dynamics) -> Array:
        """The dynamics as numbers, ``(len(parameters),)``, for a model that is told them."""

    @abstractmethod
    def features(self, state: Tensor) -> Tensor:
        """What a model sees of states ``(…, S)``: ``(…, F)``."""

    @abstractmethod
    def change(self, state: Tensor, following: Tensor) -> Tensor:
        """What a model is to predict: the change ``(…, C)`` from states ``(…, S)`` to those that follow."""

    @abstractmethod
    def advance(self, state: Tensor, change: Tensor) -> Tensor:
        """The states that follow, ``(…, S)``: ``advance(s, change(s, t)) = t`` for all that the cost depends on."""

    @abstractmethod
    def cost(self, state: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """Cost ``(…,)`` of an action ``(…, A)`` that led to ``(…, S)``, with the goal ``(…, G)``; lower is better."""

    def positions(self, state: Tensor) -> Tensor | None:
        """Where the robot is in states ``(…, S)``, ``(…, 2)``, in the plane of its goals; None where that is no place.

        For pictures of the way it went; the first two numbers of a goal are then a place as well.
        """
        return None

    def excite(self, n_steps: int, rng: np.random.Generator) -> Array:
        """Actions ``(n_steps, A)`` that show how the robot responds: each held for some steps, uniform in [−1, 1]."""
        held = rng.integers(1, 6, size=n_steps)
        levels = rng.uniform(-1, 1, size=(n_steps, self.n_actions))
        return np.repeat(levels, held, axis=0)[:n_steps].astype(np.float32)
