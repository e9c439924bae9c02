"""A point in the plane whose two actuators may be reversed: the smallest robot that needs to be adapted to."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.control.control_source import ControlSource
from lifelong.control.controller import Controller
from lifelong.control.imitation import Imitation
from lifelong.control.model_predictive import ModelPredictive
from lifelong.control.mppi import MPPI
from lifelong.control.robot import Robot
from lifelong.control.simulation import Array, Dynamics, Simulation
from lifelong.data.domain import Domain

SIGNS = {"nominal": (1, 1), "x reversed": (-1, 1), "both reversed": (-1, -1)}
SPEED = 0.2
NEAR = 0.2


class Point(Robot):
    """Moves by ``SPEED · gain · action`` a step, and has arrived when it is near its goal."""

    name = "point"
    n_states = n_actions = n_features = n_changes = 2
    families = tuple(SIGNS)
    parameters = ("gain x", "gain y")
    seconds_per_step = 0.1

    def __init__(self, episode_steps: int = 20) -> None:
        self.episode_steps = episode_steps

    def draw(self, family: str, rng: np.random.Generator) -> Dynamics:
        return {"gains": (np.array(SIGNS[family]) * rng.uniform(0.8, 1.2, 2)).tolist()}

    def simulation(self, dynamics: Dynamics, rng: np.random.Generator) -> PointSimulation:
        return PointSimulation(dynamics, rng)

    def parameter_values(self, dynamics: Dynamics) -> Array:
        return np.array(dynamics["gains"], dtype=np.float32)

    def features(self, state: Tensor) -> Tensor:
        return state

    def change(self, state: Tensor, following: Tensor) -> Tensor:
        return following - state

    def advance(self, state: Tensor, change: Tensor) -> Tensor:
        return state + change

    def cost(self, state: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        return (state - goal).square().sum(-1)

    def positions(self, state: Tensor) -> Tensor:
        return state


class PointSimulation(Simulation):
    """``breaks``, if among the dynamics, is the step at which it becomes unstable."""

    def __init__(self, dynamics: Dynamics, rng: np.random.Generator) -> None:
        super().__init__(dynamics)
        self.reset(rng)

    def reset(self, rng: np.random.Generator) -> None:
        self.state = rng.uniform(-1, 1, 2).astype(np.float32)
        self.goal = -self.state
        self.n_steps = 0

    def step(self, action: Array) -> None:
        self.n_steps += 1
        if self.n_steps == self.dynamics.get("breaks"):
            raise ValueError("the point became unstable")
        gains = np.array(self.dynamics["gains"], dtype=np.float32)
        self.state = self.state + SPEED * gains * np.clip(action, -1, 1)

    @property
    def distance(self) -> float:
        return float(np.linalg.norm(self.state - self.goal))

    @property
    def is_over(self) -> bool:
        return self.distance < NEAR

    def measures(self) -> dict[str, float]:
        return {"success": float(self.is_over), "distance": self.distance}

    def frame(self) -> Any:
        picture = np.full((48, 64, 3), 255, dtype=np.uint8)
        for place, colour in ((self.goal, (0, 160, 0)), (self.state, (200, 0, 0))):
            row, column = (int(np.clip(24 - 12 * place[1], 1, 46)), int(np.clip(32 + 12 * place[0], 1, 62)))
            picture[row - 1 : row + 2, column - 1 : column + 2] = colour
        return picture


class Points(ControlSource):
    """Transitions of points by family, and how a model sees them.

    Args:
        families: one domain each.
        told: whether models are told the gains.
        imitate: learn what an expert does in a state, in place of the dynamics.
        breaks: the step at which the second of several robots becomes unstable.
    """

    def __init__(
        self,
        *,
        families: list[str] | None = None,
        told: bool = False,
        imitate: bool = False,
        breaks: int | None = None,
        episode_steps: int = 20,
    ) -> None:
        self.robot, self.families = Point(episode_steps), families or list(SIGNS)
        self.told, self.imitate, self.breaks = told, imitate, breaks
        planner = MPPI(n_candidates=48, horizon=4)
        self._controller: Controller = ModelPredictive(self, planner=planner)
        if imitate:
            self._controller = Imitation(n_steps=episode_steps, observe=lambda state, goal: goal - state)

    @property
    def controller(self) -> Controller:
        return self._controller

    def simulations(self, domain: int, n: int, rng: np.random.Generator) -> list[Simulation]:
        dynamics = [dict(self.robot.draw(self.families[domain], rng)) for _ in range(n)]
        if self.breaks is not None:
            dynamics[1]["breaks"] = self.breaks
        return [self.robot.simulation(d, rng) for d in dynamics]

    def domains(self) -> list[Domain]:
        return [self._domain(number, family) for number, family in enumerate(self.families)]

    def _domain(self, number: int, family: str, n_robots: int = 24, n_each: int = 30) -> Domain:
        rng = np.random.default_rng(number)
        gains = np.array([self.robot.draw(family, rng)["gains"] for _ in range(n_robots)]).repeat(n_each, axis=0)
        state, action = rng.uniform(-2, 2, gains.shape), rng.uniform(-1, 1, gains.shape)
        if self.imitate:  # the network is given the way to the goal
            inputs, targets = torch.from_numpy(state).float(), state * np.sign(gains)
        else:
            told = torch.from_numpy(gains).float() if self.told else None
            inputs = self.encode(torch.from_numpy(state).float(), torch.from_numpy(action).float(), told)
            targets = gains * action
        names = [f"{family} {i}" for i in range(n_robots)]
        y = np.repeat(np.arange(n_robots), n_each)
        return Domain(family, inputs, y, names, targets=torch.from_numpy(targets).float())

    def true_parameters(self, simulation: Simulation) -> Array | None:
        return self.robot.parameter_values(simulation.dynamics) if self.told else None

    def encode(self, state: Tensor, action: Tensor, parameters: Tensor | None) -> Tensor:
        return torch.cat([(state / 4).clamp(-1, 1), action] + ([] if parameters is None else [parameters]), -1)

    def decode(self, output: Tensor) -> Tensor:
        return SPEED * output

    def target(self, change: Tensor) -> Tensor:
        return change / SPEED
