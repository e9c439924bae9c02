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
"""The parameters of one robot's dynamics by name: plain numbers, or lists of them."""


class Simulation(ABC):
    """Simulate one robot; it is ready once it is made, in a random state and with a random goal.

    Args:
        dynamics: the parameters that the robot is made with; None where they do not vary.
    """

    state: Array
    """``(S,)`` as it is now."""
    goal: Array
    """``(G,)`` as it is now."""
    room: Room | None = None
    """Where it drives; None is open ground."""

    def __init__(self, dynamics: Dynamics | None = None) -> None:
        self.dynamics: Dynamics = {} if dynamics is None else dynamics

    @abstractmethod
    def reset(self, rng: np.random.Generator) -> None:
        """Start an episode: a random state and goal, measures at zero."""

    @abstractmethod
    def step(self, action: Array) -> None:
        """Act for one control step.

        Args:
            action: ``(A,)`` in [−1, 1]; values beyond are clipped.

        Raises:
            ValueError: when the simulation becomes unstable (a state that is not finite), with the way out.
        """

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Return whether the episode ended by itself (the robot fell); acting on needs a ``reset``."""

    @property
    def failure(self) -> str | None:
        """Return how the episode was lost, in one clause; None where it was not, or nothing is known of it."""
        return None

    def follow(self, state: Array, action: Array) -> Array:
        """Return the states ``(N, S)`` that follow states ``(N, S)`` by actions ``(N, A)`` in truth.

        The robot itself stays as it is. A planner that is told the whole truth follows it, for comparison.

        Args:
            state: ``(N, S)``.
            action: ``(N, A)``; values beyond [−1, 1] are clipped.

        Raises:
            ValueError: where a simulation cannot be asked for it.
        """
        raise ValueError(f"a {type(self).__name__} cannot be planned with: leave the source's model at learnt")

    @abstractmethod
    def measures(self) -> dict[str, float]:
        """Return the measures of the episode so far; ``success`` (0 or 1) or ``return`` is always among them."""

    @abstractmethod
    def frame(self) -> NDArray[np.uint8]:
        """Return a picture ``(height, width, 3)`` of the scene as it is."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Release what the simulation holds."""
