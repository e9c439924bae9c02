"""Meta-World: manipulation tasks of a robot's arm, learnt by imitation of their scripted experts.

Shapes: ``M`` transitions, ``T`` tasks, ``…`` any leading dimensions.
"""

from __future__ import annotations

import copy
import hashlib
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules._files import written_whole
from lifelong.control.controller import Imitation
from lifelong.control.extra import drawn, imported
from lifelong.control.robot import Array, Simulation
from lifelong.control.source import ControlSource
from lifelong.data.domain import Domain
from lifelong.utilities.cache import cache_folder
from lifelong.utilities.progress_bar import show_progress

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
"""The ten tasks of Continual World, in its order."""
ATTEMPTS = 10
"""So many attempts for each demonstration that is asked for; an expert that fails more often cannot be imitated."""
SECONDS_PER_STEP = 0.0125
VERSION = 1
"""Of what is kept on disk; another one is collected anew."""


class MetaWorld(ControlSource):
    """Demonstrations of Meta-World's scripted experts, one domain per task (extra ``robot``).

    An input is what the arm sees: hand, gripper, two objects and the goal (Meta-World hides it by default; here it is
    always visible, since the experts look at it). A target is the expert's action in [−1, 1].
    A "class" is one demonstration, so that a few-shot task is one demonstration's transitions; with ``n_way`` 1 and
    ``NoAdaptation(task="regression")`` that is behaviour cloning.

    Inputs are scaled by numbers that are the same for all tasks and were known before any data: see :func:`encode`.

    Args:
        tasks: names of Meta-World's tasks, in the order of the stream; Continual World's ten (CW10) by default.
        n_demonstrations: successful episodes of each task. They begin at random places of objects and goals.
        episode_steps: an episode is over after so many steps (Continual World's 200), and at the first success.
        n_after: a demonstration goes on for so many steps after its success.
        noise: deviation of what is added to the expert's actions when they are carried out; the targets stay the
            expert's own. A little of it shows how to come back from small mistakes (Laskey et al., "DART", 2017).
        tell_task: append the task's number in ``tasks`` to the inputs, one-hot.
        seed: of the demonstrations.

    Raises:
        ValueError: when the extra is missing, a task is unknown, a number is out of range, or an expert fails often.

    Reference:
        Yu et al., "Meta-World", CoRL 2019; Wołczyk et al., "Continual World", NeurIPS 2021. Difference: imitation in
        place of reinforcement.

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
            if value < least:
                raise ValueError(f"MetaWorld's {name} is {value}: it must be at least {least}")
        if not tasks:
            raise ValueError("MetaWorld has no tasks: name at least one, such as push-v3")
        self.tasks = tuple(tasks)
        self.n_demonstrations = n_demonstrations
        self.episode_steps, self.n_after, self.noise = episode_steps, n_after, noise
        self.tell_task = tell_task
        self.seed = seed

    def domains(self) -> list[Domain]:
        """One domain per task; the class index of a transition is its demonstration."""
        for task in self.tasks:
            _check_task(task)
        return [self._domain(number) for number in range(len(self.tasks))]

    @property
    def controller(self) -> Imitation:
        """The policy's outputs are the actions."""
        return Imitation(n_steps=self.episode_steps, seconds_per_step=SECONDS_PER_STEP)

    def simulations(self, domain: int, n: int, rng: np.random.Generator) -> list[Simulation]:
        """Arms before ``n`` random draws of objects and goal of one task.

        Raises:
            ValueError: when there is no such domain.
        """
        if not 0 <= domain < len(self.tasks):
            raise ValueError(
                f"MetaWorld has {len(self.tasks)} tasks, numbered from 0, and none has the number {domain}"
            )
        _check_task(self.tasks[domain])
        return [ArmSimulation(self, domain, rng) for _ in range(n)]

    def inputs(self, observations: NDArray[np.float64], domain: int) -> Array:
        """What a model of a domain sees of Meta-World's observations ``(…, 39)``: ``(…, 33)``, or ``(…, 33 + T)``."""
        x = encode(observations)
        if not self.tell_task:
            return x
        told = np.broadcast_to(np.eye(len(self.tasks), dtype=np.float32)[domain], (*x.shape[:-1], len(self.tasks)))
        return np.concatenate([x, told], axis=-1)

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
        """Observations ``(M, 39)``, actions ``(M, 4)``, and the transitions of each demonstration; kept on disk."""
        packages = version("metaworld"), version("mujoco")
        decides = packages, task, self.n_demonstrations, self.episode_steps, self.n_after, self.noise, self.seed
        name = hashlib.sha256(repr((VERSION, *decides)).encode()).hexdigest()[:16]
        file = cache_folder() / f"demonstrations-{name}.npz"
        if (kept := _load(file)) is None:
            kept = self._collect(task)
            _save(file, kept)
        return kept["observations"], kept["actions"], kept["lengths"]

    def _collect(self, task: str) -> dict[str, NDArray[Any]]:
        environment, expert = make_environment(task), _experts()[task]()
        number = int.from_bytes(hashlib.sha256(task.encode()).digest()[:4], "big")
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, number])))
        episodes: list[tuple[NDArray[np.float64], Array]] = []
        n_failed = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the experts ask for more than is carried out, and say so
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


class ArmSimulation(Simulation):
    """An arm in one of Meta-World's tasks; over at the first success, or when its steps are used up.

    ``state`` is what a model sees, ready for it (see :meth:`MetaWorld.inputs`); ``observation`` is Meta-World's own.

    Args:
        source: whose task it is.
        domain: the task's number there.
        rng: draws where objects and goal are.
    """

    def __init__(self, source: MetaWorld, domain: int, rng: np.random.Generator) -> None:
        self._source, self._domain = source, domain
        self.environment = make_environment(source.tasks[domain])
        self.reset(rng)

    def reset(self, rng: np.random.Generator) -> None:
        """Begin anew, with objects and goal at other places."""
        self._n_steps, self._success, self._return = 0, False, 0.0
        self._see(begin(self.environment, rng))

    def _see(self, observation: NDArray[np.float64]) -> None:
        self.observation = observation
        self.state = self._source.inputs(observation, self._domain)
        self.goal = observation[-3:].astype(np.float32)

    def step(self, action: Array) -> None:
        """Move the hand by ``action[:3]`` cm and close the gripper by ``action[3]``.

        Raises:
            ValueError: when the action is no four finite numbers, or the episode is over.
        """
        if np.shape(action) != (4,) or not np.isfinite(action).all():
            raise ValueError(
                f"Meta-World takes actions of 4 finite numbers, and was given {np.asarray(action).tolist()}: train "
                "the model with n_outputs 4, and lower its learning rate if it diverged"
            )
        if self.is_over:
            raise ValueError("the episode is over: reset the simulation before the next step")
        clipped = np.clip(np.asarray(action, dtype=np.float64), -1, 1)
        observation, reward, _, _, about = self.environment.step(clipped)
        if not np.isfinite(observation).all():
            raise ValueError(
                f"the simulation of {self._source.tasks[self._domain]} became unstable at step {self._n_steps + 1}: "
                "reset it, and begin with another draw"
            )
        self._n_steps += 1
        self._success |= bool(about["success"])
        self._return += float(reward)
        self._see(observation)

    @property
    def is_over(self) -> bool:
        """After the first success, and when its steps are used up."""
        return self._success or self._n_steps >= self._source.episode_steps

    def measures(self) -> dict[str, float]:
        """``success``, 1 once Meta-World reported it; ``return``, the rewards so far; ``steps``."""
        return {"success": float(self._success), "return": self._return, "steps": float(self._n_steps)}

    def frame(self) -> NDArray[np.uint8]:
        """A picture ``(480, 480, 3)`` from the corner of the table."""
        return np.asarray(drawn("MetaWorld", self.environment.render), dtype=np.uint8)

    def close(self) -> None:
        """Give back the window, if one was drawn in."""
        self.environment.close()


N_SEEN = 18
"""Numbers that are seen at once: hand (3), gripper (1), two objects of place (3) and orientation (4)."""
GRIPPER, PLACES = 3, (0, 4, 11, 18)
"""In what is seen with the goal behind it: the gripper's opening, and where places begin (hand, objects, goal)."""
CENTRE = (0.0, 0.6, 0.2)
"""Where the hand is at the start, in metres."""
N_INPUTS = N_SEEN + 3 + 12
"""Numbers of an encoded observation."""


def encode(observations: NDArray[np.float64]) -> Array:
    """Meta-World's observations as a network likes them, ``(…, 39)`` to ``(…, 33)``, by numbers that no data decide.

    What was seen one step before is left out, as the experts do not look at it. Places are in units of 10 cm from
    where the hand starts, the gripper's opening is from −1 to 1, orientations stay as they are. Appended are the ways
    from the hand to both objects and the goal and from the first object to the goal, as ``asinh`` of centimetres: what
    an expert does next hangs on whether these are below a centimetre or two.

    Example:
        >>> encode(np.zeros(39))[:4]
        array([ 0., -6., -2., -1.], dtype=float32)
    """
    x = np.concatenate([observations[..., :N_SEEN], observations[..., -3:]], axis=-1)
    hand, first, second, goal = (x[..., start : start + 3] for start in PLACES)
    ways = np.concatenate([first - hand, second - hand, goal - hand, goal - first], axis=-1)
    ways = np.arcsinh(100 * ways)
    for place in (hand, first, second, goal):
        place[...] = 10 * (place - CENTRE)
    x[..., GRIPPER] = 2 * x[..., GRIPPER] - 1
    return np.concatenate([x, ways], axis=-1).astype(np.float32)


def _attempt(
    source: MetaWorld, environment: Any, expert: Any, rng: np.random.Generator
) -> tuple[NDArray[np.float64], Array] | None:
    """One episode of the expert's, observations ``(m, 39)`` and actions ``(m, 4)``; None where it failed."""
    observation, observations, actions = begin(environment, rng), [], []
    succeeded, n_left = False, source.episode_steps
    while n_left > 0:
        action = np.clip(expert.get_action(observation), -1, 1)
        observations.append(observation)
        actions.append(action.astype(np.float32))
        carried_out = np.clip(action + source.noise * rng.standard_normal(len(action)), -1, 1)
        observation, _, _, _, about = environment.step(carried_out)
        n_left -= 1
        if about["success"] and not succeeded:
            succeeded, n_left = True, source.n_after
    return (np.array(observations), np.array(actions)) if succeeded else None


def make_environment(task: str) -> Any:
    """Meta-World's environment of a task, its goal visible and drawn anew at each :func:`begin`."""
    environment = _environment_class(task)(render_mode="rgb_array", camera_name="corner2")
    environment._partially_observable = False
    environment.__dict__.pop("sawyer_observation_space", None)  # it was made for a hidden goal, and clips to it
    environment._freeze_rand_vec, environment.seeded_rand_vec, environment._set_task_called = False, True, True
    return environment


def begin(environment: Any, rng: np.random.Generator) -> NDArray[np.float64]:
    """The first observation ``(39,)`` of a new episode."""
    environment.seed(int(rng.integers(2**31)))
    observation: NDArray[np.float64] = environment.reset()[0]
    return observation


@cache
def _environment_class(task: str) -> Any:
    """A task's class whose instances copy one model: reading the XML file takes ten times as long."""
    base: Any = imported("metaworld.env_dict", "MetaWorld").ENV_CLS_MAP[task]
    mujoco, model = imported("mujoco", "MetaWorld"), base().model

    def initialise(self: Any) -> tuple[Any, Any]:
        own = copy.copy(model)
        return own, mujoco.MjData(own)

    return type(base.__name__, (base,), {"_initialize_simulation": initialise})


def _experts() -> dict[str, Any]:
    return dict(imported("metaworld.policies", "MetaWorld").ENV_POLICY_MAP)


def _check_task(task: str) -> None:
    known = _experts()
    if task not in known:
        near = get_close_matches(task, known, n=3, cutoff=0.4) or list(known)[:3]
        raise ValueError(
            f"Meta-World has no task {task!r}: near are {', '.join(near)}; all {len(known)} are in "
            "metaworld.policies.ENV_POLICY_MAP"
        )


def _load(file: Path) -> dict[str, NDArray[Any]] | None:
    """What is kept; None where there is nothing, or nothing whole."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in ("observations", "actions", "lengths")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _save(file: Path, arrays: dict[str, NDArray[Any]]) -> None:
    try:
        with written_whole(file) as part, part.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)
    except OSError as error:
        raise ValueError(
            f"demonstrations cannot be kept in {file.parent} ({error}): name a folder with room with LIFELONG_CACHE"
        ) from error
