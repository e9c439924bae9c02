"""Calibration: random actions that show how a robot responds, and its latest transitions.

Shapes: ``R`` robots, ``K`` transitions, ``S`` state dimensions, ``A`` action dimensions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lifelong.control.robot import Robot
from lifelong.control.simulation import Array, Simulation


@dataclass(frozen=True, eq=False)
class Transitions:
    """Store the latest transitions of every robot, oldest first.

    Args:
        states: states ``(R, K, S)``.
        actions: actions ``(R, K, A)``.
        following: next states ``(R, K, S)``.
    """

    states: Array
    actions: Array
    following: Array

    def append(self, state: Array, action: Array, following: Array) -> Transitions:
        """Append a transition ``(R, S)``, ``(R, A)``, ``(R, S)`` and drop the oldest."""
        pairs = ((self.states, state), (self.actions, action), (self.following, following))
        return Transitions(*(np.concatenate([old[:, 1:], new[:, None]], axis=1) for old, new in pairs))


def calibrate(robot: Robot, simulations: Sequence[Simulation], n_steps: int, rng: np.random.Generator) -> Transitions:
    """Apply random actions to every robot and return the transitions; steps across a reset are left out.

    Args:
        robot: draws the actions.
        simulations: the ``R`` robots.
        n_steps: number ``K`` of transitions.
        rng: random generator of actions, and of resets after a robot fell or became unstable.

    Raises:
        ValueError: when a robot cannot make a single step.
    """
    rows = [_excite(robot, simulation, n_steps, rng) for simulation in simulations]
    return Transitions(*(np.stack(column) for column in zip(*rows, strict=True)))


def _excite(robot: Robot, simulation: Simulation, n_steps: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return the transitions ``(K, S)``, ``(K, A)``, ``(K, S)`` of one robot."""
    kept: deque[tuple[Array, Array, Array]] = deque(maxlen=n_steps)
    failure: ValueError | None = None
    for _ in range(4):  # a robot that falls often needs more attempts
        for action in robot.excite(n_steps, rng):
            if len(kept) == n_steps:
                break
            if simulation.is_over:
                simulation.reset(rng)
            before = simulation.state.copy()
            try:
                simulation.step(action)
            except ValueError as error:
                if not kept:
                    failure = error
                simulation.reset(rng)
                continue
            kept.append((before, action, simulation.state.copy()))
    if not kept:
        raise ValueError(f"{robot.name} cannot make a single step of its calibration: {failure}") from failure
    while len(kept) < n_steps:  # it hardly ever moves: its first transition is all the data there is
        kept.append(kept[0])
    states, actions, following = (np.stack(column) for column in zip(*kept, strict=True))
    return states, actions, following
