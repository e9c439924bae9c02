"""Few-shot model-predictive control: planning with a model that is adapted to a few transitions.

Shapes: ``R`` robots, ``K`` transitions of a support set, ``N`` candidates of a planner, ``S`` state, ``A`` action and
``G`` goal dimensions, ``P`` parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.control.adaptation import Predict, adapt_to
from lifelong.control.calibration import Transitions, calibrate
from lifelong.control.controller import Controller
from lifelong.control.drive import Drive, run_episodes
from lifelong.control.model_space import ModelSpace
from lifelong.control.mppi import MPPI
from lifelong.control.planner import Cost, Planner, Step
from lifelong.control.robot import Robot
from lifelong.control.simulation import Array, Simulation
from lifelong.data.episode import Episode
from lifelong.learners.base import Learner
from lifelong.utilities.ranges import check_number

Model = Literal["learnt", "true"]
"""The model of the planner: the adapted learner, or the robot's simulation (``Simulation.follow``)."""
Objective = Callable[[Tensor, Tensor], Cost]
"""Maps current states ``(R, S)`` and goals ``(R, G)`` to the cost that the planner minimises from there."""


class ModelPredictive(Controller):
    """Calibrate each robot, adapt a model to it, and plan with the model.

    Each robot first makes ``K`` random actions (``Robot.excite``). These transitions are its support set, by which
    strategies route the learner and to which it adapts, once. Then the episode starts. In each step, the planner
    predicts several steps ahead with the adapted model, and the robot executes the first action of the best plan.

    Args:
        space: inputs and outputs of the model for this robot; the source of the model's training data.
        planner: the planner. Default: ``MPPI()``.
        calibration_steps: number ``K`` of calibration transitions. Default: the support set size of the data's tasks.
        adapt_every: adapt again after this many control steps, to the ``K`` latest transitions, for robots that change
            during an episode. If None, adapt only once. Controlled motion is less informative than random actions, so
            frequent adaptation may reduce success.
        objective: cost that the planner minimises in an episode. Default: the robot's own cost.
        model: ``learnt``, or ``true`` for comparison: the planner then uses each robot's simulation instead of the
            learner.
        episode_steps: maximum number of control steps in an episode. Default: the robot's ``episode_steps``.

    Raises:
        ValueError: when a number is not positive, or the model is unknown.

    Reference:
        Nagabandi et al., "Learning to adapt in dynamic, real-world environments through meta-reinforcement learning",
        ICLR 2019. Difference: the support set is recorded before the episode, unless ``adapt_every`` is set.
    """

    def __init__(
        self,
        space: ModelSpace,
        *,
        planner: Planner | None = None,
        calibration_steps: int | None = None,
        adapt_every: int | None = None,
        objective: Callable[[Sequence[Simulation]], Objective] | None = None,
        model: Model = "learnt",
        episode_steps: int | None = None,
    ) -> None:
        if model not in get_args(Model):
            raise ValueError(f"ModelPredictive has the model {model!r}: choose from {', '.join(get_args(Model))}")
        numbers = {"calibration_steps": calibration_steps, "adapt_every": adapt_every, "episode_steps": episode_steps}
        for name, value in numbers.items():
            check_number(f"ModelPredictive's {name}", value, least=1, whole=True)
        self.space, self.planner = space, planner or MPPI()
        self.calibration_steps, self.adapt_every = calibration_steps, adapt_every
        self.objective = objective or (lambda simulations: partial(_robot_cost, space.robot))
        self.model, self.episode_steps = model, episode_steps

    def drive(
        self,
        learner: Learner,
        simulations: Sequence[Simulation],
        support: Episode,
        rng: np.random.Generator,
        *,
        runner: TaskRunner,
        adapt: bool = True,
        film: bool = False,
    ) -> Drive:
        """Calibrate, adapt, plan and act; only the size of ``support`` is used."""
        robot, seeds = self.space.robot, rng.integers(2**62, size=3)
        n_steps = self.calibration_steps or support.support_x.shape[1]
        transitions = calibrate(robot, simulations, n_steps, np.random.default_rng(seeds[0]))
        model = _RobotModel(
            self.space,
            partial(adapt_to, learner, runner=runner, adapt=adapt),
            _true_parameters(self.space, simulations, learner.device),
        )
        policy = _PlanningPolicy(
            model,
            self.planner,
            transitions,
            torch.Generator(learner.device).manual_seed(int(seeds[1])),
            self.adapt_every if adapt else None,
            self.objective(simulations),
            partial(_true_step, simulations) if self.model == "true" else None,
        )
        return run_episodes(
            simulations,
            policy,
            self.episode_steps or robot.episode_steps,
            np.random.default_rng(seeds[2]),
            device=learner.device,
            seconds_per_step=robot.seconds_per_step,
            positions=robot.positions,
            film=film,
        )


class _RobotModel:
    """Predict the next states of robots, each with a model adapted to its own transitions.

    Args:
        space: inputs and outputs of the model.
        adapt: returns models adapted to support inputs ``(R, K, *X)`` and targets ``(R, K, *Y)``.
        parameters: true parameters ``(R, P)``, for models that use them as inputs.
    """

    def __init__(
        self, space: ModelSpace, adapt: Callable[[Tensor, Tensor], Predict], parameters: Tensor | None
    ) -> None:
        self.space, self.adapt, self.parameters = space, adapt, parameters

    def adapted(self, transitions: Transitions, device: torch.device) -> Predict:
        """Return the models adapted to the latest transitions."""
        arrays = (transitions.states, transitions.actions, transitions.following)
        states, actions, following = (torch.from_numpy(array).to(device) for array in arrays)
        support_x = self.encode(states, actions)
        return self.adapt(support_x, self.space.target(self.space.robot.change(states, following)))

    def encode(self, state: Tensor, action: Tensor) -> Tensor:
        """Return the inputs ``(R, N, *X)`` for states ``(R, N, S)`` and actions ``(R, N, A)``."""
        parameters = self.parameters
        if parameters is not None:
            parameters = parameters[:, None].expand(*state.shape[:2], parameters.shape[-1])
        return self.space.encode(state, action, parameters)

    def step(self, predict: Predict, state: Tensor, action: Tensor) -> Tensor:
        """Return the predicted next states ``(R, N, S)`` after actions ``(R, N, A)``."""
        robot, outputs = self.space.robot, predict(self.encode(state, action))
        if outputs.shape[-1] != robot.n_changes:
            raise ValueError(
                f"the network has {outputs.shape[-1]} outputs, but {robot.name} changes by "
                f"{robot.n_changes} numbers: set --model.network.n_outputs {robot.n_changes}"
            )
        return robot.advance(state, self.space.decode(outputs))


class _PlanningPolicy:
    """Act by planning with adapted models; plans and latest transitions are kept between steps.

    Args:
        model: model of the robots.
        planner: improves the plans.
        transitions: transitions of the calibration.
        generator: random generator of the planner's noise.
        adapt_every: number of control steps between adaptations, or None.
        objective: cost that the planner minimises.
        true_step: simulates the robots' true next states. If None, the models predict them.
    """

    def __init__(
        self,
        model: _RobotModel,
        planner: Planner,
        transitions: Transitions,
        generator: torch.Generator,
        adapt_every: int | None,
        objective: Objective,
        true_step: Step | None,
    ) -> None:
        self.model, self.planner, self.transitions = model, planner, transitions
        self.generator, self.objective, self.true_step = generator, objective, true_step
        self.adapt_every = adapt_every if true_step is None else None
        n_robots, n_actions = transitions.actions.shape[0], transitions.actions.shape[-1]
        self.plan = planner.start(n_robots, n_actions, generator.device)
        self.step: Step = true_step or self._adapted_step()
        self.n_steps = 0
        self.last: tuple[Array, Array] | None = None

    def __call__(self, state: Tensor, goal: Tensor) -> Tensor:
        self._adapt_anew(state)
        plan = self.planner.improve(self.step, self.objective(state, goal), state, self.plan, self.generator)
        self.plan, action = self.planner.shift(plan), plan[:, 0]
        self.last = state.cpu().numpy(), action.cpu().numpy()
        self.n_steps += 1
        return action

    def _adapted_step(self) -> Step:
        return partial(self.model.step, self.model.adapted(self.transitions, self.generator.device))

    def _adapt_anew(self, state: Tensor) -> None:
        if self.adapt_every is None or self.last is None:
            return
        self.transitions = self.transitions.append(*self.last, state.cpu().numpy())
        if self.n_steps % self.adapt_every == 0:
            self.step = self._adapted_step()


def _robot_cost(robot: Robot, state: Tensor, goal: Tensor) -> Cost:
    """Return the robot's own cost for the current goals."""

    def cost(following: Tensor, action: Tensor) -> Tensor:
        return robot.cost(following, action, goal[:, None].expand(*following.shape[:2], goal.shape[-1]))

    return cost


def _true_step(simulations: Sequence[Simulation], state: Tensor, action: Tensor) -> Tensor:
    """Return the true next states ``(R, N, S)``; states of robots whose episode is over do not change."""
    states, actions = state.cpu().numpy(), action.cpu().numpy()
    rows = [
        states[i] if simulation.is_over else simulation.follow(states[i], actions[i])
        for i, simulation in enumerate(simulations)
    ]
    return torch.from_numpy(np.stack(rows)).to(state)


def _true_parameters(space: ModelSpace, simulations: Sequence[Simulation], device: torch.device) -> Tensor | None:
    """Return the robots' parameters ``(R, P)`` for models that use them as inputs."""
    rows = [row for simulation in simulations if (row := space.true_parameters(simulation)) is not None]
    return torch.from_numpy(np.stack(rows)).to(device) if rows else None
