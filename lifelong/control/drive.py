"""Drives: one episode of several robots in parallel, and the record of it.

Shapes: ``R`` robots, ``T`` control steps, ``S`` state, ``A`` action and ``G`` goal dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lifelong.control.simulation import Array, Simulation
from lifelong.utilities.progress_bar import show_progress

if TYPE_CHECKING:
    from lifelong.control.rooms.room import Room

Frames = list[NDArray[np.uint8]]
Policy = Callable[[Tensor, Tensor], Tensor]
"""States ``(R, S)`` and goals ``(R, G)`` to actions ``(R, A)``."""


@dataclass(frozen=True, eq=False)
class Drive:
    """Record one episode of each robot.

    Args:
        measures: measures ``(R,)`` by name, including ``success`` or ``return``.
        states: states ``(R, T + 1, S)``, NaN after the end of an episode.
        actions: actions ``(R, T, A)``, NaN after the end.
        goals: goals ``(R, T + 1, G)``, NaN after the end.
        failures: one sentence for each robot whose simulation became unstable or reports why its episode was lost.
        frames: frames ``(height, width, 3)`` of the first robot, one more than its steps; empty if not filmed.
        positions: positions ``(R, T + 1, 2)``, or None if the robot has no position in a plane.
        seconds_per_step: duration of a control step in seconds.
        rooms: the room of each robot; empty on open ground.
    """

    measures: dict[str, NDArray[np.float64]]
    states: Array
    actions: Array
    goals: Array
    failures: tuple[str, ...] = ()
    frames: Frames = field(default_factory=list)
    positions: Array | None = None
    seconds_per_step: float = 0.1
    rooms: tuple[Room, ...] = ()

    @property
    def score_name(self) -> str:
        """Return the name of the main measure, ``success`` or ``return``."""
        return "success" if "success" in self.measures else "return"

    @property
    def scores(self) -> NDArray[np.float64]:
        """Return the score ``(R,)`` of each robot; higher is better."""
        return self.measures[self.score_name]


def run_episodes(
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
    """Run one episode of every robot, from a reset to its end, for at most ``n_steps`` control steps.

    A robot fails if its simulation becomes unstable, or its policy returns an action that is not finite. Then its
    success is 0 and its return at most 0; the other robots continue.

    Args:
        simulations: the robots.
        policy: computes the actions of all robots.
        n_steps: maximum number ``T`` of control steps.
        rng: random generator of the initial states and goals.
        device: device of the policy.
        seconds_per_step: duration of a control step in seconds.
        positions: returns the positions of states, or None if there are none.
        film: record frames of the first robot.

    Raises:
        ValueError: when no robot can make the first step, which indicates a mistake rather than instability.
    """
    episodes = [
        _RobotEpisode(simulation, n_steps, np.random.default_rng(seed))
        for simulation, seed in zip(simulations, rng.integers(2**62, size=len(simulations)), strict=True)
    ]
    frames = [simulations[0].frame()] if film else []
    for number in show_progress(range(n_steps), f"driving {len(episodes)} robots"):
        if all(episode.is_over for episode in episodes):
            break
        state, goal = (torch.from_numpy(np.stack([getattr(e, name) for e in episodes])) for name in ("state", "goal"))
        with torch.inference_mode():
            actions = policy(state.to(device), goal.to(device)).float().cpu().numpy()
        for episode, action in zip(episodes, actions, strict=True):
            episode.act(number, action)
        if number == 0:
            _check_first_step(episodes)
        if film and not episodes[0].is_over:
            frames.append(simulations[0].frame())
    return _recorded(episodes, frames, positions, seconds_per_step)


class _RobotEpisode:
    """Run and record the episode of one robot."""

    def __init__(self, simulation: Simulation, n_steps: int, rng: np.random.Generator) -> None:
        self.simulation, self.n_steps = simulation, n_steps
        self.error: ValueError | None = None
        simulation.reset(rng)
        self.state, self.goal = simulation.state, simulation.goal
        self.states = np.full((n_steps + 1, len(self.state)), np.nan, dtype=np.float32)
        self.goals = np.full((n_steps + 1, len(self.goal)), np.nan, dtype=np.float32)
        self.states[0], self.goals[0] = self.state, self.goal
        self.actions: Array = np.zeros((n_steps, 0), dtype=np.float32)

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

    @property
    def failure(self) -> str | None:
        return self.simulation.failure if self.error is None else str(self.error)

    def measures(self) -> dict[str, float]:
        measures = self.simulation.measures()
        if self.error is None:
            return measures
        worst = {"success": 0.0, "return": min(np.nan_to_num(measures.get("return", 0.0)), 0.0)}
        return {name: worst.get(name, value) for name, value in measures.items()}


def _check_first_step(episodes: Sequence[_RobotEpisode]) -> None:
    errors = [episode.error for episode in episodes if episode.error is not None]
    if errors and len(errors) == len(episodes):
        raise errors[0]


def _recorded(
    episodes: Sequence[_RobotEpisode],
    frames: Frames,
    positions: Callable[[Tensor], Tensor | None] | None,
    seconds_per_step: float,
) -> Drive:
    measures = [episode.measures() for episode in episodes]
    names = list(dict.fromkeys(name for row in measures for name in row))
    states = np.stack([episode.states for episode in episodes])
    places = None if positions is None else positions(torch.from_numpy(states))
    return Drive(
        {name: np.array([row.get(name, np.nan) for row in measures], dtype=np.float64) for name in names},
        states,
        np.stack([episode.actions for episode in episodes]),
        np.stack([episode.goals for episode in episodes]),
        tuple(f"robot {n + 1}: {episode.failure}" for n, episode in enumerate(episodes) if episode.failure),
        frames,
        None if places is None else places.numpy(),
        seconds_per_step,
        tuple(episode.simulation.room for episode in episodes if episode.simulation.room is not None),
    )
