"""Meta-World: manipulation tasks of a robot arm, learnt by imitating scripted experts.

Shapes: ``M`` transitions, ``T`` tasks, ``…`` any leading dimensions.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules._arrays import Arrays, load_arrays, save_arrays
from datamodules._meta_world_arm import ArmSimulation, check_task, encode, experts, make_environment, reset
from lifelong.control.control_source import ControlSource
from lifelong.control.imitation import Imitation
from lifelong.control.simulation import Array, Simulation
from lifelong.data.domain import Domain
from lifelong.utilities.cache import cache_folder
from lifelong.utilities.progress_bar import show_progress
from lifelong.utilities.ranges import check_number

CW10 = (
    "hammer-v3",
    "push-wall-v3",
    "faucet-close-v3",
    "push-back-v3",
    "stick-pull-v3",
    "handle-press-side-v3",
    "push-v3",
    "shelf-place-v3",
    "window-close-v3",
    "peg-unplug-side-v3",
)
"""The ten tasks of Continual World, in order."""
ATTEMPTS = 10
"""Number of failures per demonstration, over all of a task, at which the expert is refused."""
SECONDS_PER_STEP = 0.0125
VERSION = 1
"""Version of the cached files; data of other versions are collected again."""


class MetaWorld(ControlSource):
    """Collect demonstrations of Meta-World's scripted experts, one domain per task (extra ``robot``).

    An input is an observation: hand, gripper, two objects and the goal. Meta-World hides the goal by default; here it
    is always visible, since the experts use it. A target is the expert's action in [−1, 1]. A "class" is one
    demonstration, so a few-shot task consists of one demonstration's transitions; with ``n_way`` 1 and
    ``NoAdaptation(task="regression")`` this is behaviour cloning.

    Inputs are scaled by constants that are the same for all tasks: see :func:`datamodules._meta_world_arm.encode`.

    Args:
        tasks: names of Meta-World's tasks, in the order of the stream. Default: Continual World's ten (CW10).
        n_demonstrations: successful episodes per task, with random positions of objects and goals.
        episode_steps: maximum number of steps of an episode (200 in Continual World); it also ends at the first
            success.
        n_after: number of steps that a demonstration continues after its success.
        noise: standard deviation of the noise added to the expert's executed actions, but not to the targets. Small
            noise demonstrates recovery from small errors (Laskey et al., "DART", 2017).
        tell_task: append the task's one-hot index in ``tasks`` to the inputs.
        seed: seed of the demonstrations.

    Raises:
        ValueError: when the extra is missing, a task is unknown, a number is out of range, or an expert fails too
            often.

    Reference:
        Yu et al., "Meta-World", CoRL 2019; Wołczyk et al., "Continual World", NeurIPS 2021. Difference: imitation
        instead of reinforcement learning.

    Example:
        >>> MetaWorld(tasks=["push-v3"]).tasks
        ('push-v3',)
    """

    def __init__(
        self,
        *,
        tasks: Sequence[str] = CW10,
        n_demonstrations: int = 40,
        episode_steps: int = 200,
        n_after: int = 10,
        noise: float = 0.1,
        tell_task: bool = False,
        seed: int = 0,
    ) -> None:
        for name, value, least in (
            ("n_demonstrations", n_demonstrations, 1),
            ("episode_steps", episode_steps, 1),
            ("n_after", n_after, 0),
            ("noise", noise, 0),
        ):
            check_number(f"MetaWorld's {name}", value, least=least, whole=name != "noise")
        check_number("MetaWorld's seed", seed, least=0, whole=True)
        if not tasks:
            raise ValueError("MetaWorld has no tasks: name at least one, such as push-v3")
        self.tasks = tuple(tasks)
        self.n_demonstrations = n_demonstrations
        self.episode_steps, self.n_after, self.noise = episode_steps, n_after, noise
        self.tell_task = tell_task
        self.seed = seed

    def domains(self) -> list[Domain]:
        """Return one domain per task; the class index of a transition is its demonstration."""
        for task in self.tasks:
            check_task(task)
        return [self._domain(number) for number in range(len(self.tasks))]

    @property
    def controller(self) -> Imitation:
        """Return a controller whose actions are the policy's outputs."""
        return Imitation(n_steps=self.episode_steps, seconds_per_step=SECONDS_PER_STEP)

    def simulations(self, domain: int, n: int, rng: np.random.Generator) -> list[Simulation]:
        """Create ``n`` arms in one task, with random positions of objects and goal.

        Raises:
            ValueError: when the domain does not exist.
        """
        if not 0 <= domain < len(self.tasks):
            raise ValueError(
                f"MetaWorld has {len(self.tasks)} tasks, numbered from 0, and none has the number {domain}"
            )
        task, inputs = self.tasks[domain], partial(self.inputs, domain=domain)
        check_task(task)
        return [ArmSimulation(task, self.episode_steps, inputs, rng) for _ in range(n)]

    def inputs(self, observations: NDArray[np.float64], domain: int) -> Array:
        """Return a model's inputs ``(…, 33)`` or ``(…, 33 + T)`` for observations ``(…, 39)`` of a domain."""
        x = encode(observations)
        if not self.tell_task:
            return x
        one_hot = np.eye(len(self.tasks), dtype=np.float32)[domain]
        return np.concatenate([x, np.broadcast_to(one_hot, (*x.shape[:-1], len(self.tasks)))], axis=-1)

    def _domain(self, number: int) -> Domain:
        observations, actions, lengths = self._demonstrations(self.tasks[number])
        return Domain(
            self.tasks[number],
            torch.from_numpy(self.inputs(observations, number)),
            np.repeat(np.arange(len(lengths)), lengths),
            [f"demonstration {i + 1}" for i in range(len(lengths))],
            targets=torch.from_numpy(actions),
        )

    def _demonstrations(self, task: str) -> tuple[NDArray[np.float64], Array, NDArray[np.int64]]:
        """Return observations ``(M, 39)``, actions ``(M, 4)`` and the lengths of demonstrations, cached on disk."""
        packages = version("metaworld"), version("mujoco")
        decides = packages, task, self.n_demonstrations, self.episode_steps, self.n_after, self.noise, self.seed
        name = hashlib.sha256(repr((VERSION, *decides)).encode()).hexdigest()[:16]
        file = cache_folder() / f"demonstrations-{name}.npz"
        if (arrays := load_arrays(file, ("observations", "actions", "lengths"))) is None:
            arrays = self._collect(task)
            save_arrays(file, arrays, "demonstrations", compress=True)
        return arrays["observations"], arrays["actions"], arrays["lengths"]

    def _collect(self, task: str) -> Arrays:
        environment, expert = make_environment(task), experts()[task]()
        number = int.from_bytes(hashlib.sha256(task.encode()).digest()[:4], "big")
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, number])))
        episodes: list[tuple[NDArray[np.float64], Array]] = []
        n_failed = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the experts warn that their actions are clipped
            for _ in show_progress(range(self.n_demonstrations), f"demonstrations of {task}"):
                while (episode := _attempt(self, environment, expert, rng)) is None:
                    n_failed += 1
                    if n_failed >= ATTEMPTS * self.n_demonstrations:
                        raise ValueError(
                            f"the expert of {task} failed {n_failed} times and succeeded {len(episodes)} times within "
                            f"episode_steps {self.episode_steps} with noise {self.noise:g}: give it more steps or "
                            "less noise"
                        )
                episodes.append(episode)
        environment.close()
        return {
            "observations": np.concatenate([observations for observations, _ in episodes]),
            "actions": np.concatenate([actions for _, actions in episodes]),
            "lengths": np.array([len(actions) for _, actions in episodes]),
        }


def _attempt(
    source: MetaWorld, environment: Any, expert: Any, rng: np.random.Generator
) -> tuple[NDArray[np.float64], Array] | None:
    """Return one episode of the expert, observations ``(m, 39)`` and actions ``(m, 4)``; None if it failed."""
    observation, observations, actions = reset(environment, rng), [], []
    succeeded, n_left = False, source.episode_steps
    while n_left > 0:
        action = np.clip(expert.get_action(observation), -1, 1)
        observations.append(observation)
        actions.append(action.astype(np.float32))
        executed = np.clip(action + source.noise * rng.standard_normal(len(action)), -1, 1)
        observation, _, _, _, info = environment.step(executed)
        n_left -= 1
        if info["success"] and not succeeded:
            succeeded, n_left = True, source.n_after
    return (np.array(observations), np.array(actions)) if succeeded else None
