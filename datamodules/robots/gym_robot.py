"""Any robot of gymnasium's MuJoCo environments, with varying parameters.

Shapes: ``…`` any leading dimensions; a state is the observation followed by the last reward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from datamodules.robots.mujoco_simulation import MuJoCoSimulation, check_family, checked_action
from datamodules.robots.rewarded_robot import RewardedRobot, rewarded_state
from lifelong.control.extra import imported
from lifelong.control.simulation import Array, Dynamics
from lifelong.utilities.ranges import check_number

Ranges = Mapping[str, tuple[float, float]]


class GymRobot(RewardedRobot):
    """Use a MuJoCo environment of gymnasium (extra ``robot``) as a robot with varying parameters.

    The key of a parameter is a quantity, for all parts that have it, or a quantity and a part, as in
    ``actuator_gain.bfoot``. Its values are the minimum and maximum factor. Quantities: ``actuator_gain`` (negative
    factors reverse an actuator, 0 disables it; parts are actuators or joints), ``body_mass`` (including inertia),
    ``geom_friction``, ``dof_damping`` (parts are joints) and ``gravity``.

    A model predicts the next observation and the reward; the cost is the negative reward. Measures: ``return``, the
    sum of rewards.

    Args:
        id: id of the environment, such as ``HalfCheetah-v5``.
        varied: ranges of factors that apply to every family.
        families: ranges that differ for each family, in the order of the stream.
        episode_steps: control steps per episode.
        options: further arguments of ``gymnasium.make``.

    Raises:
        ValueError: when the extra is missing, the environment does not exist or does not use MuJoCo, or a quantity, a
            name or a range is invalid.

    Reference:
        Towers et al. 2024, Gymnasium: A Standard Interface for Reinforcement Learning Environments.

    Example:
        >>> cheetah = GymRobot(  # doctest: +SKIP
        ...     id="HalfCheetah-v5",
        ...     varied={"body_mass": (0.8, 1.2)},
        ...     families={"nominal": {}, "crippled back foot": {"actuator_gain.bfoot": (0, 0)}},
        ... )
        >>> cheetah.draw("nominal", np.random.default_rng(0))["actuator_gain.bfoot"]  # doctest: +SKIP
        1.0
    """

    def __init__(
        self,
        *,
        id: str,
        varied: dict[str, tuple[float, float]] | None = None,
        families: dict[str, dict[str, tuple[float, float]]] | None = None,
        episode_steps: int = 200,
        options: dict[str, Any] | None = None,
    ) -> None:
        check_number(f"episode_steps of {id}", episode_steps, least=1, whole=True)
        self.id, self.options = id, options or {}
        self.varied, self.ranges = varied or {}, families or {"nominal": {}}
        self.name = id
        self.families = tuple(self.ranges)
        self.parameters = tuple(dict.fromkeys([*self.varied, *(path for f in self.ranges.values() for path in f)]))
        self.episode_steps = episode_steps
        env = make(id, self.options)
        try:
            for path, (low, high) in [item for r in (self.varied, *self.ranges.values()) for item in r.items()]:
                if low > high:
                    raise ValueError(f"{path} of {id} has the range ({low}, {high}): give the lower end first")
                scale(env.model, path, 1.0, id)
            self.n_features = env.observation_space.shape[0]
            self.n_actions = env.action_space.shape[0]
            self.seconds_per_step = float(env.dt)
        finally:
            env.close()
        self.n_states = self.n_changes = self.n_features + 1

    def draw(self, family: str, rng: np.random.Generator) -> Dynamics:
        """Draw a factor for each varied parameter; 1 if the family does not change it."""
        check_family(self.id, family, self.families)
        ranges = dict.fromkeys(self.parameters, (1.0, 1.0)) | self.varied | self.ranges[family]
        return {path: float(rng.uniform(low, high)) for path, (low, high) in ranges.items()}

    def simulation(self, dynamics: Dynamics, rng: np.random.Generator) -> GymSimulation:
        """Create a robot with these dynamics."""
        return GymSimulation(self, dynamics, rng)

    def parameter_values(self, dynamics: Dynamics) -> Array:
        """Return the factors."""
        return np.array([dynamics[path] for path in self.parameters], dtype=np.float32)


class GymSimulation(MuJoCoSimulation):
    """Simulate one robot of an environment. The state is that of :class:`GymRobot`; the goal is empty.

    Args:
        robot: environment and length of an episode.
        dynamics: parameters drawn by the robot.
        rng: generator of the first state.
    """

    def __init__(self, robot: GymRobot, dynamics: Dynamics, rng: np.random.Generator) -> None:
        self._env = make(robot.id, robot.options)
        for path, factor in dynamics.items():
            scale(self._env.model, path, factor, robot.id)
        super().__init__(robot.id, self._env.model, self._env.data, dynamics, self._env.frame_skip)
        self.mujoco.mj_setConst(self.model, self.data)
        space = self._env.action_space
        self._middle, self._half = (space.high + space.low) / 2, (space.high - space.low) / 2
        self.goal = np.zeros(0, dtype=np.float32)
        self.reset(rng)

    def reset(self, rng: np.random.Generator) -> None:
        """Reset the environment and the sum of rewards."""
        observation, _ = self._env.reset(seed=int(rng.integers(2**31)))
        self._return, self._over = 0.0, False
        self.state = rewarded_state(observation, 0.0)

    def step(self, action: Array) -> None:
        """Act for one step of the environment."""
        entries = checked_action(self.who, action, len(self._middle))
        observation, reward, self._over, _, _ = self._env.step(self._middle + self._half * entries)
        self.state = rewarded_state(observation, reward)
        self.check()
        self._return += float(reward)

    def observe(self) -> Array:
        """Return the state after the last step."""
        return self.state

    @property
    def is_over(self) -> bool:
        """Return whether the environment has ended the episode because the robot fell."""
        return bool(self._over)

    def measures(self) -> dict[str, float]:
        """Return the sum of rewards."""
        return {"return": self._return}

    def camera(self) -> Any:
        """Return the model's first camera, which follows the robot in gymnasium's models, or the free one."""
        return 0 if self.model.ncam else -1

    def close(self) -> None:
        """Close renderer and environment."""
        super().close()
        self._env.close()


def make(id: str, options: Mapping[str, Any]) -> Any:
    """Create an environment without gymnasium's wrappers, which would reset it or limit its duration.

    Raises:
        ValueError: when the id is unknown or contains a module, or the environment does not use MuJoCo with a flat
            observation.
    """
    if ":" in id:
        # gymnasium imports the module before the colon, so a config could execute any module.
        raise ValueError(
            f"GymRobot has the id {id!r}, which imports a module: give the id alone, and a robot of your own that "
            "imports it (--data.sources.robot mine.Robot)"
        )
    imported("mujoco", "GymRobot")
    gymnasium = imported("gymnasium", "GymRobot")
    try:
        env = gymnasium.make(id, **options).unwrapped
    except (gymnasium.error.Error, TypeError, OSError) as error:  # TypeError: an unknown option
        raise ValueError(
            f"gymnasium cannot make {id!r} ({error}): give the id of a MuJoCo environment, such as HalfCheetah-v5"
        ) from error
    shapes = [getattr(space, "shape", None) or () for space in (env.observation_space, env.action_space)]
    if not hasattr(env, "do_simulation") or [len(shape) for shape in shapes] != [1, 1]:
        env.close()
        raise ValueError(
            f"{id} is not a MuJoCo environment with a flat observation and action: GymRobot needs one, such as "
            f"HalfCheetah-v5"
        )
    return env


def scale(model: Any, path: str, factor: float, who: str) -> None:
    """Multiply a parameter of a model, in place.

    Raises:
        ValueError: when the quantity is unknown, or no part of that name has it.
    """
    quantity, _, name = path.partition(".")
    if quantity not in QUANTITIES or (name and quantity == "gravity"):
        raise ValueError(
            f"{who} cannot vary {path!r}: name one of {', '.join(QUANTITIES)}, all but gravity with .NAME where one "
            f"part alone varies"
        )
    kind, change = QUANTITIES[quantity]
    if not name:
        change(model, slice(None), factor)
        return
    parts = [i for i, names in enumerate(_names(model, kind)) if name in names]
    if not parts:
        known = ", ".join(sorted({name for names in _names(model, kind) for name in names if name}))
        raise ValueError(f"{who} has no {kind} {name!r} to vary with {path!r}: choose from {known}")
    change(model, parts, factor)


def _names(model: Any, kind: str) -> list[tuple[str, ...]]:
    """Return the names of each part; an actuator also has the name of its joint, a degree of freedom only that."""
    match kind:
        case "actuator":
            joints = model.actuator_trnid[:, 0].tolist()
            return [(model.actuator(i).name, model.joint(joint).name) for i, joint in enumerate(joints)]
        case "joint":
            return [(model.joint(joint).name,) for joint in model.dof_jntid.tolist()]
        case "body":
            return [(model.body(i).name,) for i in range(model.nbody)]
        case "geom":
            return [(model.geom(i).name,) for i in range(model.ngeom)]
    raise ValueError(f"parts of kind {kind!r} have no names")


def _gain(model: Any, parts: slice | list[int], factor: float) -> None:
    model.actuator_gainprm[parts] *= factor


def _mass(model: Any, parts: slice | list[int], factor: float) -> None:
    model.body_mass[parts] *= factor
    model.body_inertia[parts] *= factor


def _friction(model: Any, parts: slice | list[int], factor: float) -> None:
    model.geom_friction[parts] *= factor


def _damping(model: Any, parts: slice | list[int], factor: float) -> None:
    model.dof_damping[parts] *= factor


def _gravity(model: Any, parts: slice | list[int], factor: float) -> None:
    model.opt.gravity[:] *= factor


QUANTITIES: dict[str, tuple[str, Callable[[Any, slice | list[int], float], None]]] = {
    "actuator_gain": ("actuator", _gain),
    "body_mass": ("body", _mass),
    "geom_friction": ("geom", _friction),
    "dof_damping": ("joint", _damping),
    "gravity": ("option", _gravity),
}
"""For each quantity, the kind of part that has it and the function that multiplies it."""
