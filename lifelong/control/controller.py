"""Controllers: how a learner drives robots.

Shapes: ``R`` robots, ``T`` control steps, ``S`` numbers of a state, ``A`` of an action, ``G`` of a goal, ``K``
transitions of a support set, ``N`` candidates of a planner.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lifelong.batch import Episode
from lifelong.control.adapted import Predict, adapt_to
from lifelong.control.planning import MPPI, Planner
from lifelong.control.robot import Array, Robot, Simulation
from lifelong.learner import Learner
from lifelong.waiting import show_progress

Frames = list[NDArray[np.uint8]]
Policy = Callable[[Tensor, Tensor], Tensor]
"""States ``(R, S)`` and goals ``(R, G)`` to actions ``(R, A)``."""


@dataclass(frozen=True, eq=False)
class Drive:
    """What robots did in one episode each.

    Args:
        measures: ``(R,)`` by name; ``success`` or ``return`` is among them.
        states: ``(R, T + 1, S)``, NaN after the end of an episode.
        actions: ``(R, T, A)``, NaN after the end.
        goals: ``(R, T + 1, G)``, NaN after the end.
        failures: what went wrong with robots whose simulation became unstable, one sentence each.
        frames: pictures ``(height, width, 3)`` of the first robot, one more than it made steps; empty if not filmed.
        positions: ``(R, T + 1, 2)`` where the robots were, or None where that cannot be drawn.
        seconds_per_step: of a control step.
    """

    measures: dict[str, NDArray[np.float64]]
    states: Array
    actions: Array
    goals: Array
    failures: tuple[str, ...] = ()
    frames: Frames = field(default_factory=list)
    positions: Array | None = None
    seconds_per_step: float = 0.1

    @property
    def score_name(self) -> str:
        """What the robots are judged by."""
        return "success" if "success" in self.measures else "return"

    @property
    def scores(self) -> NDArray[np.float64]:
        """``(R,)``, higher is better."""
        return self.measures[self.score_name]


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


@dataclass(frozen=True, eq=False)
class Transitions:
    """The latest transitions of every robot, oldest first.

    Args:
        states: ``(R, K, S)``.
        actions: ``(R, K, A)``.
        following: ``(R, K, S)`` the states that followed.
    """

    states: Array
    actions: Array
    following: Array

    def append(self, state: Array, action: Array, following: Array) -> Transitions:
        """One more transition ``(R, S)``, ``(R, A)``, ``(R, S)``; the oldest is dropped."""
        pairs = ((self.states, state), (self.actions, action), (self.following, following))
        return Transitions(*(np.concatenate([old[:, 1:], new[:, None]], axis=1) for old, new in pairs))


def calibrate(robot: Robot, simulations: Sequence[Simulation], n_steps: int, rng: np.random.Generator) -> Transitions:
    """Move every robot in a way that shows how it responds; what happens across a reset is not kept.

    Args:
        robot: knows exciting actions.
        simulations: where they are tried.
        n_steps: ``K``.
        rng: decides the actions and where a robot that fell, or became unstable, begins anew.
    """
    rows = [_excite(robot, simulation, n_steps, rng) for simulation in simulations]
    return Transitions(*(np.stack(column) for column in zip(*rows, strict=True)))


def act_out(
    simulations: Sequence[Simulation],
    policy: Policy,
    n_steps: int,
    rng: np.random.Generator,
    *,
    device: torch.device | str = "cpu",
    seconds_per_step: float = 0.1,
    positions: Callable[[Tensor], Tensor | None] | None = None,
    film: bool = False,
) -> Drive:
    """One episode of every robot, from a reset to its end or for ``n_steps`` control steps.

    A robot whose simulation becomes unstable, or whose policy has no finite action for it, has failed: its success is
    0 and its return at most 0. The others go on.

    Args:
        simulations: the robots.
        policy: acts for all of them at once.
        n_steps: ``T``.
        rng: decides how episodes begin.
        device: of the policy.
        seconds_per_step: of a control step.
        positions: where robots are, from their states.
        film: take pictures of the first robot.

    Raises:
        ValueError: when no robot can make the first step, which is a mistake and no instability.
    """
    drivers = [_Driver(simulation, n_steps) for simulation in simulations]
    for driver, seed in zip(drivers, rng.integers(2**62, size=len(drivers)), strict=True):
        driver.simulation.reset(np.random.default_rng(seed))
        driver.begin()
    frames = [simulations[0].frame()] if film else []
    for number in show_progress(range(n_steps), f"driving {len(drivers)} robots"):
        if all(driver.is_over for driver in drivers):
            break
        state, goal = (torch.from_numpy(np.stack([getattr(d, name) for d in drivers])) for name in ("state", "goal"))
        with torch.inference_mode():
            actions = policy(state.to(device), goal.to(device)).float().cpu().numpy()
        for driver, action in zip(drivers, actions, strict=True):
            driver.act(number, action)
        if number == 0 and all(driver.error for driver in drivers):
            raise drivers[0].error  # type: ignore[misc]
        if film and not drivers[0].is_over:
            frames.append(simulations[0].frame())
    names = list(dict.fromkeys(name for driver in drivers for name in driver.measures()))
    measures = {n: np.array([d.measures().get(n, np.nan) for d in drivers], dtype=np.float64) for n in names}
    states = np.stack([driver.states for driver in drivers])
    places = None if positions is None else positions(torch.from_numpy(states))
    return Drive(
        measures,
        states,
        np.stack([driver.actions for driver in drivers]),
        np.stack([driver.goals for driver in drivers]),
        tuple(f"robot {n + 1}: {driver.error}" for n, driver in enumerate(drivers) if driver.error),
        frames,
        None if places is None else places.numpy(),
        seconds_per_step,
    )


class _Driver:
    """One robot in its episode, and what is recorded of it."""

    def __init__(self, simulation: Simulation, n_steps: int) -> None:
        self.simulation, self.n_steps = simulation, n_steps
        self.error: ValueError | None = None

    def begin(self) -> None:
        self.state, self.goal = self.simulation.state, self.simulation.goal
        self.states = np.full((self.n_steps + 1, len(self.state)), np.nan, dtype=np.float32)
        self.goals = np.full((self.n_steps + 1, len(self.goal)), np.nan, dtype=np.float32)
        self.states[0], self.goals[0] = self.state, self.goal
        self.actions: Array = np.zeros((self.n_steps, 0), dtype=np.float32)

    @property
    def is_over(self) -> bool:
        return self.error is not None or self.simulation.is_over

    def act(self, number: int, action: Array) -> None:
        if number == 0:
            self.actions = np.full((self.n_steps, len(action)), np.nan, dtype=np.float32)
        if self.is_over:
            return
        try:
            if not np.isfinite(action).all():
                raise ValueError(f"the learner answers {action.tolist()} for the state {self.state.tolist()}")
            self.simulation.step(action)
        except ValueError as error:
            self.error = error
            return
        self.state, self.goal = self.simulation.state, self.simulation.goal
        self.actions[number], self.states[number + 1], self.goals[number + 1] = action, self.state, self.goal

    def measures(self) -> dict[str, float]:
        found = self.simulation.measures()
        if self.error is None:
            return found
        worst = {"success": 0.0, "return": min(np.nan_to_num(found.get("return", 0.0)), 0.0)}
        return {name: worst.get(name, value) for name, value in found.items()}


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


def _excite(robot: Robot, simulation: Simulation, n_steps: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Transitions ``(K, S)``, ``(K, A)``, ``(K, S)`` of one robot."""
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
    while len(kept) < n_steps:  # it hardly ever moves: what it did once is all that can be learnt
        kept.append(kept[0])
    states, actions, following = (np.stack(column) for column in zip(*kept, strict=True))
    return states, actions, following
