"""Robots for the tests: a toy that needs no simulator, and the mark of tests that need the extra."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from lifelong.control.robot import Robot
from lifelong.control.simulation import Array, Dynamics, Simulation

Test = TypeVar("Test", bound=Callable[..., object])
MISSING = [package for package in ("gymnasium", "mujoco") if importlib.util.find_spec(package) is None]
REQUIRED = os.environ.get("LIFELONG_ROBOT") == "required"
"""``.ci/robot`` says so: there nothing may be skipped."""


def needs_robot(test: Test) -> Test:
    """Marks a test that needs the extra ``robot``."""
    reason = f"{', '.join(MISSING)} not installed: pip install -e '.[robot]'"
    skip = pytest.mark.skipif(bool(MISSING) and not REQUIRED, reason=reason)
    return pytest.mark.robot(skip(test))  # type: ignore[no-any-return]


class Slider(Robot):
    """A point on a line that moves by gain times action, and falls beyond ``edge``.

    Args:
        edge: where it falls.
    """

    name = "slider"
    n_states = n_actions = n_features = n_changes = 1
    families = ("nominal", "reversed")
    parameters = ("gain",)
    episode_steps = 10
    seconds_per_step = 0.1

    def __init__(self, edge: float = 100.0) -> None:
        self.edge = edge

    def draw(self, family: str, rng: np.random.Generator) -> Dynamics:
        if family not in self.families:
            raise ValueError(f"Slider has no family {family!r}")
        return {"gain": float(rng.uniform(0.5, 1.5)) * (-1 if family == "reversed" else 1)}

    def simulation(self, dynamics: Dynamics, rng: np.random.Generator) -> SliderSimulation:
        return SliderSimulation(self, dynamics, rng)

    def parameter_values(self, dynamics: Dynamics) -> Array:
        return np.array([dynamics["gain"]], dtype=np.float32)

    def features(self, state: Tensor) -> Tensor:
        return state

    def change(self, state: Tensor, following: Tensor) -> Tensor:
        return following - state

    def advance(self, state: Tensor, change: Tensor) -> Tensor:
        return state + change

    def cost(self, state: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        return (state - goal).abs().sum(dim=-1)


class SliderSimulation(Simulation):
    """One slider; it counts its resets."""

    def __init__(self, robot: Slider, dynamics: Dynamics, rng: np.random.Generator) -> None:
        super().__init__(dynamics)
        self.robot, self.n_resets = robot, -1
        self.reset(rng)

    def reset(self, rng: np.random.Generator) -> None:
        self.n_resets += 1
        self.state = rng.uniform(-1, 1, size=1).astype(np.float32)
        self.goal = rng.uniform(-1, 1, size=1).astype(np.float32)

    def step(self, action: Array) -> None:
        self.state = self.state + np.float32(self.dynamics["gain"]) * action

    @property
    def is_over(self) -> bool:
        return abs(float(self.state[0])) > self.robot.edge

    def measures(self) -> dict[str, float]:
        return {"success": float(abs(self.state - self.goal)[0] < 0.2)}

    def frame(self) -> NDArray[np.uint8]:
        return np.zeros((4, 4, 3), dtype=np.uint8)


def states_of(robot: Robot, family: str, n: int = 20, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Consecutive states ``(n + 1, S)`` and actions ``(n, A)`` of an excited robot."""
    rng = np.random.default_rng(seed)
    simulation = robot.simulation(robot.draw(family, rng), rng)
    actions, states = robot.excite(n, rng), [simulation.state]
    for action in actions:
        simulation.step(action)
        states.append(simulation.state)
    simulation.close()
    return torch.from_numpy(np.stack(states)), torch.from_numpy(actions)
