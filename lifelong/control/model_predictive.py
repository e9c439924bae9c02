"""Few-shot model-predictive control: a planner that follows a model adapted to a few transitions.

Shapes: ``R`` robots, ``K`` transitions of a support set, ``N`` candidates of a planner, ``S`` numbers of a state, ``A``
of an action, ``G`` of a goal, ``P`` parameters.
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
"""What a planner follows: the learner's adapted model, or the robot's own simulation (``Simulation.follow``)."""
Objective = Callable[[Tensor, Tensor], Cost]
"""States ``(R, S)`` and goals ``(R, G)``, as they are now, to what the planner is to minimise from there on."""


class ModelPredictive(Controller):
    """Calibrate each robot, adapt a model of it, and plan with the model.

    Each robot first makes ``K`` exciting moves (``Robot.excite``): its support set, which the learner is routed by and
    adapts to, once. Then an episode starts. In each step the planner follows the adapted model a few steps ahead, and
    the robot takes the first action of the best plan.

    Args:
        space: how the model sees the robot; the source of the model's training data.
        planner: MPPI with its defaults where None.
        calibration_steps: ``K``; None takes as many as the tasks of the data have in their support sets.
        adapt_every: adapt anew every so many control steps, to the ``K`` latest transitions, as robots may change
            during an episode; None does not. What a robot does while it is controlled excites it less, so this may also
            do harm.
        objective: what the planner minimises for the robots of an episode; None is the cost of the robot itself.
        model: ``learnt``, or ``true`` for comparison: the planner then follows each robot's own simulation, and the
            learner is not asked.
        episode_steps: control steps of an episode at most; None is the robot's own number.

    Raises:
        ValueError: when a number is not positive, or there is no such model.

    Reference:
        Nagabandi et al., "Learning to adapt in dynamic, real-world environments through meta-reinforcement learning",
        ICLR 2019. Difference: the support set is an excitation before the episode, unless ``adapt_every`` is given.
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
        """Calibrate, adapt, plan and act; of ``support`` only the number of transitions is used."""
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
    """Predict the next states of robots, each by a model adapted to its own transitions.

    Args:
        space: how the model sees the robots.
        adapt: returns a model adapted to support inputs ``(R, K, *X)`` and targets ``(R, K, *Y)``.
        parameters: ``(R, P)`` true parameters, for a model that is given them.
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
        """Return the states ``(R, N, S)`` that the models predict after actions ``(R, N, A)``."""
        robot, outputs = self.space.robot, predict(self.encode(state, action))
        if outputs.shape[-1] != robot.n_changes:
            raise ValueError(
                f"the network has {outputs.shape[-1]} outputs, but {robot.name} changes by "
                f"{robot.n_changes} numbers: set --model.network.n_outputs {robot.n_changes}"
            )
        return robot.advance(state, self.space.decode(outputs))


class _PlanningPolicy:
    """Act by planning with adapted models; it keeps the plans and the latest transitions from step to step.

    Args:
        model: of the robots.
        planner: improves the plans.
        transitions: of the calibration.
        generator: decides the planner's noise.
        adapt_every: control steps after which models adapt anew, or None.
        objective: what the planner minimises.
        true_step: follows the robots in truth, in place of models; None asks these.
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
    """Return the robot's own cost, of the goals as they are now."""

    def cost(following: Tensor, action: Tensor) -> Tensor:
        return robot.cost(following, action, goal[:, None].expand(*following.shape[:2], goal.shape[-1]))

    return cost


def _true_step(simulations: Sequence[Simulation], state: Tensor, action: Tensor) -> Tensor:
    """Return the states ``(R, N, S)`` that follow in truth; those of robots whose episode is over stay as they are."""
    states, actions = state.cpu().numpy(), action.cpu().numpy()
    rows = [
        states[i] if simulation.is_over else simulation.follow(states[i], actions[i])
        for i, simulation in enumerate(simulations)
    ]
    return torch.from_numpy(np.stack(rows)).to(state)


def _true_parameters(space: ModelSpace, simulations: Sequence[Simulation], device: torch.device) -> Tensor | None:
    """Return the parameters ``(R, P)`` of robots for a model that is given them."""
    rows = [row for simulation in simulations if (row := space.true_parameters(simulation)) is not None]
    return torch.from_numpy(np.stack(rows)).to(device) if rows else None
