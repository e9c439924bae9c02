"""Transitions of robots with varying dynamics, for learning models used in planning.

Shapes: ``R`` robots, ``N`` segments per robot, ``L`` transitions per segment, ``M = R·N·L``; dimensions ``S`` of a
state, ``A`` of an action, ``F`` of the features, ``C`` of a change, ``P`` of the parameters; ``…`` any leading
dimensions.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datamodules._arrays import load_arrays, save_arrays
from lifelong.control.control_source import ControlSource
from lifelong.control.model_predictive import Model, ModelPredictive
from lifelong.control.planner import Planner
from lifelong.control.robot import Robot
from lifelong.control.simulation import Array, Simulation
from lifelong.control.simulation import Dynamics as Parameters
from lifelong.data.domain import Domain
from lifelong.utilities.cache import cache_folder
from lifelong.utilities.progress_bar import show_progress
from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import init_arguments

BOUND = 5.0
"""Limit to which standardised inputs are clamped, so that plans do not evaluate the model far outside its data."""
REFERENCE = (64, 1, 64, 0)
"""Robots, segments, transitions and seed of the nominal collection that determines the scaling of inputs and outputs.
It does not depend on options, so that a model of a robot can be used with all sources of that robot."""
ATTEMPTS = 100
"""Maximum number of attempts at a segment, each of which ends early if the robot falls."""
COLUMNS = ("states", "actions", "parameters")
VERSION = 1
"""Version of the cached files; data of other versions are collected again."""


@dataclass(frozen=True, eq=False)
class Collection:
    """Store the trajectories of robots of one family.

    Args:
        states: ``(R, N, L + 1, S)`` states.
        actions: ``(R, N, L, A)`` actions.
        parameters: ``(R, P)`` true parameters of the dynamics.
    """

    states: Array
    actions: Array
    parameters: Array


@dataclass(frozen=True, eq=False)
class DynamicsSpace:
    """Convert states and actions of a robot to a model's inputs, and its outputs to changes of the state.

    Args:
        robot: the modelled robot.
        mean: ``(F + A,)`` mean of the features and actions of nominal robots.
        deviation: ``(F + A,)`` their standard deviation.
        change: ``(C,)`` standard deviation of the changes of nominal robots.
        is_told: whether the true parameters of the dynamics are part of the inputs.
    """

    robot: Robot
    mean: Tensor
    deviation: Tensor
    change: Tensor
    is_told: bool = False

    @property
    def n_inputs(self) -> int:
        """Return the input dimension of a network."""
        return len(self.mean) + len(self.robot.parameters) * self.is_told

    @property
    def n_outputs(self) -> int:
        """Return the output dimension of a network."""
        return self.robot.n_changes

    def true_parameters(self, simulation: Simulation) -> Array | None:
        """Return the true parameters ``(P,)`` of a robot if they are part of the inputs, else None."""
        return self.robot.parameter_values(simulation.dynamics) if self.is_told else None

    def encode(self, state: Tensor, action: Tensor, parameters: Tensor | None = None) -> Tensor:
        """Return inputs ``(…, F + A)``, or ``(…, F + A + P)`` with the true parameters.

        Args:
            state: ``(…, S)`` states.
            action: ``(…, A)`` actions, clipped to [−1, 1] as by the robot.
            parameters: ``(…, P)`` true parameters, broadcast over leading dimensions.

        Raises:
            ValueError: when ``parameters`` is None but part of the inputs, or vice versa.
        """
        if (parameters is not None) != self.is_told:
            raise ValueError(
                f"a model of {self.robot.name} {'is' if self.is_told else 'is not'} told the dynamics here, but they "
                f"were {'left out' if parameters is None else 'given'}: set Dynamics' told to match the model"
            )
        seen = torch.cat([self.robot.features(state), action.clamp(-1, 1)], dim=-1)
        x = (seen - self.mean.to(seen)) / self.deviation.to(seen)
        if parameters is not None:
            x = torch.cat([x, parameters.to(x).expand(*x.shape[:-1], -1)], dim=-1)
        return x.clamp(-BOUND, BOUND)

    def decode(self, output: Tensor) -> Tensor:
        """Return the change ``(…, C)`` for a network's output."""
        return output * self.change.to(output)

    def target(self, change: Tensor) -> Tensor:
        """Return the target output of a network for a change ``(…, C)``."""
        return change / self.change.to(change)


class Dynamics(ControlSource):
    """Collect transitions of robots under random actions, for few-shot regression; a domain per family of dynamics.

    A "class" is one segment: consecutive transitions of one robot without a reset. A task is a window of a segment, the
    support set first, so ``n_way`` is 1, ``n_shot`` the number of transitions for adaptation and ``n_query`` the number
    to predict. The segments of a robot share a split, so that test robots are never trained on.

    Inputs are features and action, standardised by the robot's nominal family and clamped to ±5. Targets are the
    changes, divided by the standard deviations of the nominal family. Families are collected once and stored in the
    cache folder (``LIFELONG_CACHE``, else ``~/.cache/lifelong``).

    Args:
        robot: the robot, such as ``datamodules.robots.Car``.
        families: families of the robot, in the order of the stream. A repeated family has the same robots in the same
            parts. Default: all, in the robot's order.
        n_robots: robots per family.
        n_segments: segments per robot.
        segment_length: transitions per segment, at least the shots plus queries of a task.
        told: give the model the true dynamics, for comparison: their parameters are appended to the inputs.
        seed: seed of the robots and their actions; combined with the family and the robot's index.
        planner: planner of the controller. Default: MPPI with its defaults.
        adapt_every: control steps between adaptations of the controller. Default: a single adaptation, to a
            calibration.
        model: the planner's model. ``true`` is the simulation itself, for comparison.

    Raises:
        ValueError: when a number or family is invalid; on loading, when the extra is missing, a simulation becomes
            unstable, a robot falls in every attempt, or the cache folder is not writable.

    Reference:
        Nagabandi et al. 2019, Learning to Adapt in Dynamic, Real-World Environments through Meta-Reinforcement
        Learning.

    Example:
        >>> from datamodules.robots import Car
        >>> Dynamics(robot=Car(), families=["nominal", "ice"]).families
        ('nominal', 'ice')
    """

    def __init__(
        self,
        *,
        robot: Robot,
        families: Sequence[str] | None = None,
        n_robots: int = 200,
        n_segments: int = 2,
        segment_length: int = 64,
        told: bool = False,
        seed: int = 0,
        planner: Planner | None = None,
        adapt_every: int | None = None,
        model: Model = "learnt",
    ) -> None:
        for name, value in (("n_robots", n_robots), ("n_segments", n_segments), ("segment_length", segment_length)):
            check_number(f"Dynamics' {name}", value, least=1, whole=True)
        check_number("Dynamics' seed", seed, least=0, whole=True)
        check_number("Dynamics' adapt_every", adapt_every, least=1, whole=True, hint=", or null")
        if min(n_robots, n_segments, segment_length) < 1 or (families is not None and not families):
            raise ValueError(
                f"Dynamics has n_robots {n_robots}, n_segments {n_segments}, segment_length {segment_length} and "
                f"families {families}: give at least one of each"
            )
        self.robot = robot
        self.families = robot.families if families is None else tuple(families)
        for family in self.families:
            robot.draw(family, np.random.default_rng(0))  # refuses an unknown family
        self.n_robots, self.n_segments, self.segment_length = n_robots, n_segments, segment_length
        self.told, self.seed = told, seed
        self.planner, self.adapt_every, self.model = planner, adapt_every, model

    @cached_property
    def space(self) -> DynamicsSpace:
        """Return the conversion between the robot and a model, which depends only on the robot and ``told``."""
        nominal = collect(self.robot, self.robot.families[0], *REFERENCE)
        seen, change, _ = _transitions(self.robot, nominal)
        units = self.robot.feature_units
        deviation = _deviation(seen, (*units, *["action"] * self.robot.n_actions) if units else ())
        return DynamicsSpace(
            self.robot, seen.mean(dim=0), deviation, _deviation(change, self.robot.change_units), self.told
        )

    @property
    def controller(self) -> ModelPredictive:
        """Return a controller that plans with the adapted model."""
        return ModelPredictive(self.space, planner=self.planner, adapt_every=self.adapt_every, model=self.model)

    def domains(self) -> list[Domain]:
        """Return one domain per family; the class index of a transition is its segment."""
        return [self._domain(family, family, self.seed) for family in self.families]

    def simulations(self, domain: int, n: int, rng: np.random.Generator) -> list[Simulation]:
        """Create ``n`` robots of a family, drawn by the generator and therefore different from those of the data."""
        if not 0 <= domain < len(self.families):
            raise ValueError(f"Dynamics has {len(self.families)} domains, counted from 0, and no domain {domain}")
        robots = [self.robot.draw(self.families[domain], rng) for _ in range(n)]
        return [self.robot.simulation(dynamics, rng) for dynamics in robots]

    def _domain(self, family: str, name: str, seed: int) -> Domain:
        """Return the transitions of a family's robots, drawn by the seed, as a domain with a name."""
        settings = (self.n_robots, self.n_segments, self.segment_length, seed)
        seen, change, parameters = _transitions(self.robot, collect(self.robot, family, *settings))
        x = (seen - self.space.mean) / self.space.deviation
        x = torch.cat([x, parameters] if self.told else [x], dim=-1).clamp(-BOUND, BOUND)
        n_segments = self.n_robots * self.n_segments
        return Domain(
            name,
            x,
            np.repeat(np.arange(n_segments), self.segment_length),
            [f"robot {i // self.n_segments + 1}, segment {i % self.n_segments + 1}" for i in range(n_segments)],
            targets=self.space.target(change),
            siblings=self.n_segments,
            origin=f"{self.robot.name}: {name}",
            ordered=True,
        )


def _transitions(robot: Robot, collection: Collection) -> tuple[Tensor, Tensor, Tensor]:
    """Return features and actions ``(M, F + A)``, the changes ``(M, C)`` and the parameters ``(M, P)``."""
    states, actions = torch.from_numpy(collection.states), torch.from_numpy(collection.actions)
    before, after = states[:, :, :-1], states[:, :, 1:]
    seen = torch.cat([robot.features(before), actions], dim=-1)
    parameters = torch.from_numpy(collection.parameters)[:, None, None].expand(*actions.shape[:3], -1)
    columns = (seen, robot.change(before, after), parameters)
    seen, change, parameters = (column.flatten(0, 2).contiguous() for column in columns)
    return seen, change, parameters


def _deviation(x: Tensor, units: Sequence[str]) -> Tensor:
    """Return standard deviations ``(D,)`` of ``(M, D)``, the maximum per unit; 1 for constant features."""
    deviation = x.std(dim=0)
    if units:
        deviation = torch.stack([deviation[[other == unit for other in units]].max() for unit in units])
    return torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation))


def collect(robot: Robot, family: str, n_robots: int, n_segments: int, length: int, seed: int) -> Collection:
    """Return the transitions of random robots of a family under excitation, from the cache folder if possible.

    Robot ``i`` depends only on the seed, the family's name and ``i``.
    """
    rngs = [_generator(seed, family, i) for i in range(n_robots)]
    drawn = [robot.draw(family, rng) for rng in rngs]
    key = _key(robot, drawn, (family, n_segments, length, seed)) if robot.is_cached else None
    path = cache_folder() / f"dynamics-{key}.npz"
    if (arrays := load_arrays(path, COLUMNS) if robot.is_cached else None) is None:
        numbers = show_progress(range(n_robots), f"driving {robot.name}: {family}")
        driven = [_drive(robot, drawn[i], n_segments, length, rngs[i]) for i in numbers]
        states, actions = (np.stack(arrays) for arrays in zip(*driven, strict=True))
        parameters = np.stack([robot.parameter_values(dynamics) for dynamics in drawn])
        arrays = dict(zip(COLUMNS, (states, actions, parameters), strict=True))
        if robot.is_cached:
            save_arrays(path, arrays, "transitions")
    return Collection(*(arrays[name] for name in COLUMNS))


def _generator(seed: int, family: str, number: int) -> np.random.Generator:
    name = int.from_bytes(hashlib.sha256(family.encode()).digest()[:4], "big")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, name, number])))


def _drive(
    robot: Robot, dynamics: Parameters, n_segments: int, length: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return states ``(N, L + 1, S)`` and actions ``(N, L, A)`` of one robot."""
    simulation = robot.simulation(dynamics, rng)
    try:
        segments = [_segment(robot, simulation, length, rng) for _ in range(n_segments)]
    finally:
        simulation.close()
    states, actions = (np.stack(arrays) for arrays in zip(*segments, strict=True))
    return states, actions


def _segment(robot: Robot, simulation: Simulation, length: int, rng: np.random.Generator) -> tuple[Array, Array]:
    for _ in range(ATTEMPTS):
        simulation.reset(rng)
        actions = robot.excite(length, rng)
        states = [simulation.state]
        for action in actions:
            if simulation.is_over:
                break
            simulation.step(action)
            states.append(simulation.state)
        if len(states) == length + 1:
            return np.stack(states), actions
    raise ValueError(
        f"{robot.name} fell before {length} control steps in each of {ATTEMPTS} attempts: lower segment_length"
    )


def _key(robot: Robot, drawn: Sequence[Parameters], settings: tuple[object, ...]) -> str:
    """Return a hash of everything that a collection depends on: the robot's code, arguments, draws, and simulator."""
    digest = hashlib.sha256(repr((VERSION, type(robot).__qualname__, settings, list(map(dict, drawn)))).encode())
    digest.update(repr(sorted(init_arguments(robot).items())).encode())
    code = Path(inspect.getfile(type(robot)))
    for file in sorted(code.parent.glob(f"{code.stem}.*")):  # car.py and car.xml
        digest.update(file.read_bytes())
    for package in ("mujoco", "gymnasium"):
        try:
            digest.update(version(package).encode())
        except PackageNotFoundError:
            digest.update(b"-")
    return digest.hexdigest()[:16]
