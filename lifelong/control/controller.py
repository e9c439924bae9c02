"""Controllers: how a learner drives robots.

Shapes: ``R`` robots, ``T`` control steps, ``S`` numbers of a state, ``A`` of an action, ``G`` of a goal, ``K``
transitions of a support set, ``N`` candidates of a planner.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from lifelong.control.adapted import Predict, adapt_to
from lifelong.control.calibration import Transitions, calibrate
from lifelong.control.drive import Drive, act_out
from lifelong.control.planning import MPPI, Planner
from lifelong.control.robot import Array, Robot, Simulation
from lifelong.data.episode import Episode
from lifelong.learners.base import Learner


class Controller(ABC):
    """How a learner acts in the domains of a source."""

    @abstractmethod
    def drive(
        self,
        learner: Learner,
        simulations: Sequence[Simulation],
        support: Episode,
        rng: np.random.Generator,
        *,
        adapt: bool = True,
        film: bool = False,
    ) -> Drive:
        """Let every robot live through one episode, which begins with a ``reset``.

        Args:
            learner: with its strategies.
            simulations: the ``R`` robots.
            support: ``R`` tasks drawn from the evaluation tasks of the robots' domain, for controllers whose support
                sets are data; others take its number of examples.
            rng: decides all that is random. With an equal one, episodes begin alike whether ``adapt`` is set or not.
            adapt: False drives the learner as it is before it has seen a support set, for comparison.
            film: take pictures of the first robot.
        """


class ModelSpace(Protocol):
    """Between a robot's world and a model's: how states and actions become inputs, and outputs become changes."""

    @property
    def robot(self) -> Robot:
        """The robot that the model is of."""

    def tell(self, simulation: Simulation) -> Array | None:
        """Numbers ``(P,)`` of the robot's true dynamics for a model that is told them, None for all others."""

    def encode(self, state: Tensor, action: Tensor, told: Tensor | None) -> Tensor:
        """Inputs of the network, of states ``(…, S)``, actions ``(…, A)`` and what is told ``(…, P)``."""

    def decode(self, output: Tensor) -> Tensor:
        """The change ``(…, C)`` that the network's output stands for."""

    def target(self, change: Tensor) -> Tensor:
        """The output that a change stands for: ``decode(target(c)) = c``."""


class ModelPredictive(Controller):
    """Few-shot model-predictive control: try the robot out, adapt a model of it, plan with the model.

    Each robot first makes ``K`` exciting moves (``Robot.excite``): its support set, which the learner routes by and
    adapts to, once. Then an episode begins. In each step the planner follows the adapted model a few steps ahead, and
    the robot does what looks best.

    Args:
        space: how the model sees the robot; the source of the model's training data.
        planner: MPPI with its defaults where None.
        calibration_steps: ``K``; None takes as many as the tasks of the data have in their support sets.
        adapt_every: adapt anew every so many control steps, to the ``K`` most recent transitions, as robots may change
            on the way; None does not. What a robot does while it drives is less exciting, so this may also do harm.

    Raises:
        ValueError: when a number is not positive.

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
    ) -> None:
        for name, value in (("calibration_steps", calibration_steps), ("adapt_every", adapt_every)):
            if value is not None and value < 1:
                raise ValueError(f"ModelPredictive has {name} {value}: it must be at least 1")
        self.space, self.planner = space, planner or MPPI()
        self.calibration_steps, self.adapt_every = calibration_steps, adapt_every

    def drive(
        self,
        learner: Learner,
        simulations: Sequence[Simulation],
        support: Episode,
        rng: np.random.Generator,
        *,
        adapt: bool = True,
        film: bool = False,
    ) -> Drive:
        """Calibrate, adapt, plan and act; ``support`` says only how many transitions a support set has."""
        robot, seeds = self.space.robot, rng.integers(2**62, size=3)
        n_steps = self.calibration_steps or support.support_x.shape[1]
        window = calibrate(robot, simulations, n_steps, np.random.default_rng(seeds[0]))
        pilot = _Pilot(self, learner, _told(self.space, simulations, learner.device), window, int(seeds[1]), adapt)
        return act_out(
            simulations,
            pilot,
            robot.episode_steps,
            np.random.default_rng(seeds[2]),
            device=learner.device,
            seconds_per_step=robot.seconds_per_step,
            positions=robot.positions,
            film=film,
        )


class Imitation(Controller):
    """Few-shot imitation: adapt a policy to demonstrations, act as it predicts.

    The learner adapts once to the support set, states and the actions demonstrated in them; in each step its prediction
    for the state is the action.

    Args:
        n_steps: control steps of an episode.
        observe: inputs of the network, of states ``(R, S)`` and goals ``(R, G)``; the states alone where None.
        act: actions ``(R, A)`` from the network's outputs ``(R, *Y)``; the outputs where None.
        seconds_per_step: of a control step, for the pace of videos.

    Raises:
        ValueError: when there is no step.
    """

    def __init__(
        self,
        *,
        n_steps: int,
        observe: Callable[[Tensor, Tensor], Tensor] | None = None,
        act: Callable[[Tensor], Tensor] | None = None,
        seconds_per_step: float = 0.0125,
    ) -> None:
        if n_steps < 1:
            raise ValueError(f"Imitation has n_steps {n_steps}: it must be at least 1")
        self.n_steps, self.observe, self.act = n_steps, observe, act
        self.seconds_per_step = seconds_per_step

    def drive(
        self,
        learner: Learner,
        simulations: Sequence[Simulation],
        support: Episode,
        rng: np.random.Generator,
        *,
        adapt: bool = True,
        film: bool = False,
    ) -> Drive:
        """Adapt to the demonstrations in ``support`` and act."""
        predict = adapt_to(learner, support.support_x, support.support_y, adapt=adapt)

        def policy(state: Tensor, goal: Tensor) -> Tensor:
            inputs = state if self.observe is None else self.observe(state, goal)
            outputs = predict(inputs[:, None])[:, 0]
            return outputs if self.act is None else self.act(outputs)

        return act_out(
            simulations,
            policy,
            self.n_steps,
            rng,
            device=learner.device,
            seconds_per_step=self.seconds_per_step,
            film=film,
        )


class _Pilot:
    """The policy of :class:`ModelPredictive`: adapted models, the plans as they are, and the latest transitions."""

    def __init__(
        self,
        controller: ModelPredictive,
        learner: Learner,
        told: Tensor | None,
        window: Transitions,
        seed: int,
        adapt: bool,
    ) -> None:
        self.controller, self.learner, self.told, self.window, self.adapt = controller, learner, told, window, adapt
        self.generator = torch.Generator(learner.device).manual_seed(seed)
        n_robots, n_actions = window.actions.shape[0], window.actions.shape[-1]
        self.plan = controller.planner.start(n_robots, n_actions, learner.device)
        self.model = self._learn()
        self.n_steps = 0
        self.last: tuple[Array, Array] | None = None

    def __call__(self, state: Tensor, goal: Tensor) -> Tensor:
        self._look_back(state)
        planner, robot = self.controller.planner, self.controller.space.robot

        def cost(following: Tensor, action: Tensor) -> Tensor:
            return robot.cost(following, action, goal[:, None].expand(*following.shape[:2], goal.shape[-1]))

        plan = planner.improve(self._step, cost, state, self.plan, self.generator)
        self.plan, action = planner.shift(plan), plan[:, 0]
        self.last = state.cpu().numpy(), action.cpu().numpy()
        self.n_steps += 1
        return action

    def _look_back(self, state: Tensor) -> None:
        every = self.controller.adapt_every
        if every is None or not self.adapt or self.last is None:
            return
        self.window = self.window.append(*self.last, state.cpu().numpy())
        if self.n_steps % every == 0:
            self.model = self._learn()

    def _learn(self) -> Predict:
        space, device = self.controller.space, self.learner.device
        states, actions, following = (
            torch.from_numpy(part).to(device)
            for part in (self.window.states, self.window.actions, self.window.following)
        )
        support_x = space.encode(states, actions, self._told_to(states))
        support_y = space.target(space.robot.change(states, following))
        return adapt_to(self.learner, support_x, support_y, adapt=self.adapt)

    def _step(self, state: Tensor, action: Tensor) -> Tensor:
        space = self.controller.space
        outputs = self.model(space.encode(state, action, self._told_to(state)))
        if outputs.shape[-1] != space.robot.n_changes:
            raise ValueError(
                f"the network has {outputs.shape[-1]} outputs, but {space.robot.name} changes by "
                f"{space.robot.n_changes} numbers: set --model.network.n_outputs {space.robot.n_changes}"
            )
        return space.robot.advance(state, space.decode(outputs))

    def _told_to(self, state: Tensor) -> Tensor | None:
        return None if self.told is None else self.told[:, None].expand(*state.shape[:2], self.told.shape[-1])


def _told(space: ModelSpace, simulations: Sequence[Simulation], device: torch.device) -> Tensor | None:
    rows = [row for simulation in simulations if (row := space.tell(simulation)) is not None]
    return torch.from_numpy(np.stack(rows)).to(device) if rows else None
