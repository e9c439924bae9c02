"""Your own gymnasium environments as robots.

Shapes: dimensions ``O`` of an observation and ``A`` of an action; a state is the observation followed by the last
reward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.robots.mujoco_simulation import check_family, checked_action
from datamodules.robots.rewarded_robot import RewardedRobot, rewarded_state
from lifelong.control.simulation import Array, Dynamics, Simulation
from lifelong.utilities.ranges import check_number

Make = Callable[[np.random.Generator], Any]
"""Create a ``gymnasium.Env`` with parameters drawn from the generator."""
LARGEST_SEED = 2**31


class Environments(RewardedRobot):
    """Wrap your own gymnasium environments as robots: one function per family creates them, with random parameters.

    Observations and actions are vectors (one-dimensional ``Box`` spaces), and actions have finite bounds. A model
    predicts the next observation and the reward; the planner maximises the predicted reward. Measures: ``return``, the
    sum of rewards. Films need environments with ``render_mode="rgb_array"``.

    A config cannot contain functions, so load a run by ``lifelong.load(folder, data=data)``. Each process collects the
    transitions again; they are not stored in the cache folder.

    Args:
        make: one function per family, by the family's name, in the order of the stream. It takes a
            ``numpy.random.Generator`` and returns a new environment. The first family also determines the scale of
            observations and changes.
        episode_steps: control steps per evaluation episode.
        name: name of the robot in error messages.

    Raises:
        ValueError: when there is no function, a space is not supported, or spaces differ between families.

    Reference:
        Towers et al. 2024, Gymnasium: A Standard Interface for Reinforcement Learning Environments.

    Example:
        >>> import gymnasium  # doctest: +SKIP
        >>> def pendulum(rng):  # doctest: +SKIP
        ...     return gymnasium.make("Pendulum-v1", g=rng.uniform(9, 11))
        >>> Environments({"earth": pendulum}).n_features  # doctest: +SKIP
        3
    """

    is_cached = False
    parameters = ()

    def __init__(
        self, make: Mapping[str, Make], *, episode_steps: int = 200, name: str = "the robot of Environments"
    ) -> None:
        check_number("Environments' episode_steps", episode_steps, least=1, whole=True)
        if not make:
            raise ValueError("Environments has no family: give a function that makes an environment for each name")
        self.make, self.families, self.episode_steps, self.name = dict(make), tuple(make), episode_steps, name
        shapes = {family: self._shape(family) for family in self.families}
        self.n_features, self.n_actions, self.seconds_per_step = shapes[self.families[0]]
        for family, shape in shapes.items():
            if shape[:2] != (self.n_features, self.n_actions):
                raise ValueError(
                    f"the environment of {family!r} has {shape[0]} observed numbers and {shape[1]} actions, that of "
                    f"{self.families[0]!r} {self.n_features} and {self.n_actions}: one model needs the same for all"
                )
        self.n_states = self.n_changes = self.n_features + 1

    def draw(self, family: str, rng: np.random.Generator) -> Dynamics:
        """Draw the seed with which the family's function creates an environment."""
        check_family(self.name, family, self.families)
        return {"family": family, "seed": int(rng.integers(LARGEST_SEED))}

    def simulation(self, dynamics: Dynamics, rng: np.random.Generator) -> EnvironmentSimulation:
        """Create an environment."""
        env = self.make[dynamics["family"]](np.random.default_rng(dynamics["seed"]))
        return EnvironmentSimulation(self.name, env, dynamics, rng)

    def parameter_values(self, dynamics: Dynamics) -> Array:
        """Return an empty array: the parameters that a function draws are not known."""
        return np.zeros(0, dtype=np.float32)

    def _shape(self, family: str) -> tuple[int, int, float]:
        """Return ``O``, ``A`` and the seconds per step of a family's environments."""
        env = self.make[family](np.random.default_rng(0))
        try:
            observed, acts = env.observation_space, env.action_space
            bounds = [getattr(acts, end, None) for end in ("low", "high")]
            is_known = all(len(getattr(space, "shape", None) or ()) == 1 for space in (observed, acts))
            if not is_known or any(bound is None or not np.isfinite(bound).all() for bound in bounds):
                raise ValueError(
                    f"the environment of {family!r} has observations {observed} and actions {acts}: both must be Box "
                    "spaces of one dimension, the actions with finite bounds (gymnasium has wrappers for it, such as "
                    "FlattenObservation)"
                )
            rate = (getattr(env, "metadata", None) or {}).get("render_fps") or 10
            return observed.shape[0], acts.shape[0], 1 / rate
        finally:
            env.close()


class EnvironmentSimulation(Simulation):
    """Simulate one robot in an environment. The goal is empty.

    Args:
        who: name of the robot in error messages.
        env: a ``gymnasium.Env`` that nothing else uses.
        dynamics: as drawn by the robot.
        rng: generator of the first state.
    """

    def __init__(self, who: str, env: Any, dynamics: Dynamics, rng: np.random.Generator) -> None:
        super().__init__(dynamics)
        self.who, self._env = who, env
        self._middle, self._half = (
            (env.action_space.high + sign * env.action_space.low) / 2 for sign in (1, -1)
        )  # in [−1, 1] each action covers its whole range
        self.goal = np.zeros(0, dtype=np.float32)
        self.reset(rng)

    def reset(self, rng: np.random.Generator) -> None:
        """Reset the environment and the sum of rewards."""
        observation, _ = self._env.reset(seed=int(rng.integers(LARGEST_SEED)))
        self._return, self._is_over = 0.0, False
        self.state = rewarded_state(observation, 0.0)

    def step(self, action: Array) -> None:
        """Take one step of the environment."""
        entries = checked_action(self.who, action, len(self._middle))
        space = self._env.action_space  # rounding must not leave its bounds, which environments may check
        scaled = np.clip(self._middle + self._half * entries, space.low, space.high).astype(space.dtype)
        observation, reward, terminated, truncated, _ = self._env.step(scaled)
        self._is_over = bool(terminated or truncated)
        self.state = rewarded_state(observation, float(reward))
        if not np.isfinite(self.state).all():
            raise ValueError(
                f"{self.who} became unstable: an environment of {self.dynamics['family']!r} gave an observation or a "
                "reward that is not finite; narrow the ranges of what its function draws"
            )
        self._return += float(reward)

    @property
    def is_over(self) -> bool:
        """Return whether the environment has terminated or truncated the episode."""
        return self._is_over

    def measures(self) -> dict[str, float]:
        """Return the sum of rewards."""
        return {"return": self._return}

    def frame(self) -> NDArray[np.uint8]:
        """Return the image that the environment renders."""
        picture = self._env.render()
        if not isinstance(picture, np.ndarray):
            raise ValueError(
                f'{self.who} renders no picture: make its environments with render_mode="rgb_array", or do without '
                "films (video: false)"
            )
        return picture

    def close(self) -> None:
        """Close the environment."""
        self._env.close()
