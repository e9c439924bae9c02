"""Meta-World's simulated arm, and the encoding of its observations for a network.

Shapes: ``…`` any leading dimensions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong.control.extra import drawn, imported
from lifelong.control.simulation import Array, Simulation

N_SEEN = 18
"""Dimension of one observation: hand (3), gripper (1), two objects' position (3) and orientation (4)."""
GRIPPER, POSITIONS = 3, (0, 4, 11, 18)
"""Indices in an observation followed by the goal: the gripper's opening, and the start of each position (hand, objects,
goal)."""
CENTRE = (0.0, 0.6, 0.2)
"""Initial position of the hand, in metres."""
N_INPUTS = N_SEEN + 3 + 12
"""Dimension of an encoded observation."""


def encode(observations: NDArray[np.float64]) -> Array:
    """Encode Meta-World's observations for a network, ``(…, 39)`` to ``(…, 33)``, with constant scales.

    The observation of the previous step is removed, as the experts do not use it. Positions are in units of 10 cm
    relative to the hand's initial position, the gripper's opening is scaled to [−1, 1], and orientations are unchanged.
    The differences from the hand to both objects and the goal, and from the first object to the goal, are appended as
    ``asinh`` of centimetres, because the experts' actions depend on whether they are below one or two centimetres.

    Example:
        >>> encode(np.zeros(39))[:4]
        array([ 0., -6., -2., -1.], dtype=float32)
    """
    x = np.concatenate([observations[..., :N_SEEN], observations[..., -3:]], axis=-1)
    hand, first, second, goal = (x[..., start : start + 3] for start in POSITIONS)
    differences = np.concatenate([first - hand, second - hand, goal - hand, goal - first], axis=-1)
    differences = np.arcsinh(100 * differences)
    for position in (hand, first, second, goal):
        position[...] = 10 * (position - CENTRE)
    x[..., GRIPPER] = 2 * x[..., GRIPPER] - 1
    return np.concatenate([x, differences], axis=-1).astype(np.float32)


class ArmSimulation(Simulation):
    """Simulate an arm in one of Meta-World's tasks, until the first success or the maximum number of steps.

    ``state`` is a model's input; ``observation`` is Meta-World's observation.

    Args:
        task: name of the task.
        episode_steps: maximum number of steps of an episode.
        inputs: function from an observation ``(39,)`` to a model's input.
        rng: draws the positions of objects and goal.
    """

    def __init__(
        self,
        task: str,
        episode_steps: int,
        inputs: Callable[[NDArray[np.float64]], Array],
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self.task, self.episode_steps, self.inputs = task, episode_steps, inputs
        self.environment = make_environment(task)
        self.reset(rng)

    def reset(self, rng: np.random.Generator) -> None:
        """Start an episode with new positions of objects and goal."""
        self._n_steps, self._success, self._return = 0, False, 0.0
        self._observe(reset(self.environment, rng))

    def _observe(self, observation: NDArray[np.float64]) -> None:
        self.observation = observation
        self.state = self.inputs(observation)
        self.goal = observation[-3:].astype(np.float32)

    def step(self, action: Array) -> None:
        """Move the hand by ``action[:3]`` cm and close the gripper by ``action[3]``.

        Raises:
            ValueError: when the action is not four finite numbers, the episode is over, or the simulation is unstable.
        """
        if np.shape(action) != (4,) or not np.isfinite(action).all():
            raise ValueError(
                f"Meta-World takes actions of 4 finite numbers, and was given {np.asarray(action).tolist()}: train "
                "the model with n_outputs 4, and lower its learning rate if it diverged"
            )
        if self.is_over:
            raise ValueError("the episode is over: reset the simulation before the next step")
        clipped = np.clip(np.asarray(action, dtype=np.float64), -1, 1)
        observation, reward, _, _, info = self.environment.step(clipped)
        if not np.isfinite(observation).all():
            raise ValueError(
                f"the simulation of {self.task} became unstable at step {self._n_steps + 1}: "
                "reset it, and start from another draw"
            )
        self._n_steps += 1
        self._success |= bool(info["success"])
        self._return += float(reward)
        self._observe(observation)

    @property
    def is_over(self) -> bool:
        """Return whether the task has succeeded or the maximum number of steps is reached."""
        return self._success or self._n_steps >= self.episode_steps

    def measures(self) -> dict[str, float]:
        """Return ``success`` (1 once Meta-World has reported it), ``return`` (the sum of rewards) and ``steps``."""
        return {"success": float(self._success), "return": self._return, "steps": float(self._n_steps)}

    def frame(self) -> NDArray[np.uint8]:
        """Return a picture ``(480, 480, 3)`` from the corner of the table."""
        return np.asarray(drawn("MetaWorld", self.environment.render), dtype=np.uint8)

    def close(self) -> None:
        """Close the renderer, if one was opened."""
        self.environment.close()


def make_environment(task: str) -> Any:
    """Create Meta-World's environment of a task, with a visible goal that is drawn at each :func:`reset`."""
    environment = _environment_class(task)(render_mode="rgb_array", camera_name="corner2")
    environment._partially_observable = False
    environment.__dict__.pop("sawyer_observation_space", None)  # made for a hidden goal, which it would clip
    environment._freeze_rand_vec, environment.seeded_rand_vec, environment._set_task_called = False, True, True
    return environment


def reset(environment: Any, rng: np.random.Generator) -> NDArray[np.float64]:
    """Start an episode and return its first observation ``(39,)``."""
    environment.seed(int(rng.integers(2**31)))
    observation: NDArray[np.float64] = environment.reset()[0]
    return observation


@cache
def _environment_class(task: str) -> Any:
    """Return a task's class whose instances copy one model, as reading the XML file takes ten times as long."""
    base: Any = imported("metaworld.env_dict", "MetaWorld").ENV_CLS_MAP[task]
    mujoco, model = imported("mujoco", "MetaWorld"), base().model

    def initialise(self: Any) -> tuple[Any, Any]:
        copied = copy.copy(model)
        return copied, mujoco.MjData(copied)

    return type(base.__name__, (base,), {"_initialize_simulation": initialise})


def experts() -> dict[str, Any]:
    """Return Meta-World's scripted experts by task."""
    return dict(imported("metaworld.policies", "MetaWorld").ENV_POLICY_MAP)


def check_task(task: str) -> None:
    """Refuse an unknown task.

    Raises:
        ValueError: with similar names.
    """
    known = experts()
    if task not in known:
        near = get_close_matches(task, known, n=3, cutoff=0.4) or list(known)[:3]
        raise ValueError(
            f"Meta-World has no task {task!r}: near are {', '.join(near)}; all {len(known)} are in "
            "metaworld.policies.ENV_POLICY_MAP"
        )
