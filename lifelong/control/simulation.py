"""The simulation contract: one robot in its environment.

Shapes: ``S`` numbers of a state, ``A`` of an action, ``G`` of a goal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lifelong.control.rooms.room import Room

Array = NDArray[np.float32]
Dynamics = Mapping[str, Any]
"""The parameters of one robot's dynamics by name: numbers, or lists of numbers."""


class Simulation(ABC):
    """Simulate one robot; it starts in a random state with a random goal.

    Args:
        dynamics: the robot's parameters; None if they do not vary.
    """

    state: Array
    """Current state ``(S,)``."""
    goal: Array
    """Current goal ``(G,)``."""
    room: Room | None = None
    """The robot's room; None on open ground."""

    def __init__(self, dynamics: Dynamics | None = None) -> None:
        self.dynamics: Dynamics = {} if dynamics is None else dynamics

    @abstractmethod
    def reset(self, rng: np.random.Generator) -> None:
        """Start an episode with a random state and goal, and reset the measures."""

    @abstractmethod
    def step(self, action: Array) -> None:
        """Execute an action for one control step.

        Args:
            action: ``(A,)`` in [−1, 1]; values outside are clipped.

        Raises:
            ValueError: when the simulation becomes unstable (a state that is not finite).
        """

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Return whether the episode ended early (the robot fell); then a ``reset`` is needed."""

    @property
    def failure(self) -> str | None:
        """Return why the episode failed, in one clause; None if it did not, or the reason is unknown."""
        return None

    def follow(self, state: Array, action: Array) -> Array:
        """Return the true next states ``(N, S)`` for states ``(N, S)`` and actions ``(N, A)``.

        The robot's own state does not change. Planners with a true model use this method, for comparison.

        Args:
            state: states ``(N, S)``.
            action: actions ``(N, A)``; values outside [−1, 1] are clipped.

        Raises:
            ValueError: when the simulation does not support it.
        """
        raise ValueError(f"a {type(self).__name__} cannot be planned with: leave the source's model at learnt")

    @abstractmethod
    def measures(self) -> dict[str, float]:
        """Return the measures of the episode so far, including ``success`` (0 or 1) or ``return``."""

    @abstractmethod
    def frame(self) -> NDArray[np.uint8]:
        """Render the current scene as an image ``(height, width, 3)``."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Release the resources of the simulation."""
