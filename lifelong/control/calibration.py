"""Calibration: exciting moves that show how a robot responds, and its latest transitions.

Shapes: ``R`` robots, ``K`` transitions, ``S`` numbers of a state, ``A`` of an action.
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
    """Hold the latest transitions of every robot, oldest first.

    Args:
        states: ``(R, K, S)``.
        actions: ``(R, K, A)``.
        following: ``(R, K, S)`` the states that followed.
    """

    states: Array
    actions: Array
    following: Array

    def append(self, state: Array, action: Array, following: Array) -> Transitions:
        """Return these with one more transition ``(R, S)``, ``(R, A)``, ``(R, S)`` and without the oldest."""
        pairs = ((self.states, state), (self.actions, action), (self.following, following))
        return Transitions(*(np.concatenate([old[:, 1:], new[:, None]], axis=1) for old, new in pairs))


def calibrate(robot: Robot, simulations: Sequence[Simulation], n_steps: int, rng: np.random.Generator) -> Transitions:
    """Excite every robot and return its transitions; a step across a reset is none of them.

    Args:
        robot: chooses the exciting actions.
        simulations: the ``R`` robots.
        n_steps: ``K``.
        rng: decides the actions and the resets of a robot that fell or became unstable.

    Raises:
        ValueError: when a robot cannot make a single step.
    """
    rows = [_excite(robot, simulation, n_steps, rng) for simulation in simulations]
    return Transitions(*(np.stack(column) for column in zip(*rows, strict=True)))


def _excite(robot: Robot, simulation: Simulation, n_steps: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return the transitions ``(K, S)``, ``(K, A)``, ``(K, S)`` of one robot."""
    kept: deque[tuple[Array, Array, Array]] = deque(maxlen=n_steps)
    failure: ValueError | None = None
    for _ in range(4):  # a robot that falls often needs more moves
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
    while len(kept) < n_steps:  # it hardly ever moves: its first transition is all that can be learnt
        kept.append(kept[0])
    states, actions, following = (np.stack(column) for column in zip(*kept, strict=True))
    return states, actions, following
